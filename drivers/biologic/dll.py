"""The real DLL by ctypes, on Windows. Nothing of BioLogic's comes with this program: its package is installed by the lab.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_float, c_int32, c_uint8, c_uint32
from pathlib import Path
from typing import Any, TypeVar, cast

from drivers.biologic import eclib
from drivers.biologic.eclib import ChannelInfos, CurrentValues, DataInfos, DeviceInfos, EccParam
from drivers.errors import NotReachable

LABEL = 64
MESSAGE = 4096
DLLS = {8: "EClib64.dll", 4: "EClib.dll"}
T = TypeVar("T")


class CEccParam(Structure):
    """TEccParam, 76 bytes."""

    _fields_ = (("label", c_char * LABEL), ("type", c_int32), ("value", c_uint32), ("index", c_int32))


class CEccParams(Structure):
    """TEccParams, packed to 4: 12 bytes on 64 bit, handed over by value."""

    _pack_ = 4
    _fields_ = (("n", c_int32), ("params", POINTER(CEccParam)))


def _of_int32(kind: type[Any]) -> type[Structure]:
    """A structure of nothing but int32, in the order of the dataclass."""
    return type(f"C{kind.__name__}", (Structure,), {"_fields_": [(name, c_int32) for name in kind.__slots__]})


CDeviceInfos, CChannelInfos = _of_int32(DeviceInfos), _of_int32(ChannelInfos)


class CDataInfos(Structure):
    """TDataInfos, aligned as C does: StartTime lies at offset 32."""

    _fields_ = (*((name, c_int32) for name in DataInfos.__slots__[:7]), ("StartTime", c_double), ("MuxPad", c_int32))


_INTS = frozenset({"State", "MemFilled", "Eoverflow", "IRange", "Ioverflow", "Saturation", "OptErr", "OptPos"})


class CCurrentValues(Structure):
    """TCurrentValues: int32 and single, four bytes each."""

    _fields_ = tuple((name, c_int32 if name in _INTS else c_float) for name in CurrentValues.__slots__)


def plain(kind: type[T], found: Structure) -> T:
    """A structure as the dataclass of the same fields."""
    names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
    return kind(**{name: getattr(found, name) for name in names})


def c_params(params: tuple[EccParam, ...]) -> tuple[CEccParams, Any]:
    """Parameters as the DLL reads them, and the array that must outlive the call."""
    array = (CEccParam * len(params))()
    for place, param in zip(array, params, strict=True):
        place.label, place.type, place.index = param.label.encode("ascii"), param.type, param.index
        place.value = param.value & 0xFFFFFFFF
    return CEccParams(len(params), cast("Any", array)), array


class Dll:
    """``EClibBackend``. All calls from the thread that made it."""

    def __init__(self, package: str) -> None:
        load: Any = getattr(ctypes, "WinDLL", None)
        if load is None:
            advice = "run this program on the computer of the potentiostat"
            raise NotReachable("the EC-Lab Development Package is a Windows DLL", advice=advice)
        path = Path(package) / DLLS[struct.calcsize("P")]
        try:
            self._dll: Any = load(str(path))
        except OSError as error:
            advice = "install BioLogic's EC-Lab Development Package and name its folder: options: {package: …}"
            raise NotReachable(f"{path} cannot be loaded ({error})", advice=advice) from error

    def _call(self, name: str, *args: Any) -> int:
        function = getattr(self._dll, name)
        function.restype = c_int32
        return int(function(*args))

    def BL_Connect(self, address: str, timeout_s: int) -> tuple[int, int, DeviceInfos]:
        """See ``EclibBackend``."""
        number, infos = c_int32(), CDeviceInfos()
        code = self._call("BL_Connect", c_char_p(address.encode()), c_uint8(timeout_s), ctypes.byref(number), ctypes.byref(infos))
        return code, number.value, plain(DeviceInfos, infos)

    def BL_TestConnection(self, ID: int) -> int:
        """See ``EclibBackend``."""
        return self._call("BL_TestConnection", c_int32(ID))

    def BL_Disconnect(self, ID: int) -> int:
        """See ``EclibBackend``."""
        return self._call("BL_Disconnect", c_int32(ID))

    def BL_GetChannelsPlugged(self, ID: int) -> tuple[int, bytes]:
        """See ``EclibBackend``."""
        plugged = (c_uint8 * eclib.CHANNELS)()
        return self._call("BL_GetChannelsPlugged", c_int32(ID), plugged, c_uint8(eclib.CHANNELS)), bytes(plugged)

    def BL_GetChannelBoardType(self, ID: int, channel: int) -> tuple[int, int]:
        """See ``EclibBackend``."""
        kind = c_uint32()
        return self._call("BL_GetChannelBoardType", c_int32(ID), c_uint8(channel), ctypes.byref(kind)), int(kind.value)

    def BL_GetChannelInfos(self, ID: int, channel: int) -> tuple[int, ChannelInfos]:
        """See ``EclibBackend``."""
        infos = CChannelInfos()
        code = self._call("BL_GetChannelInfos", c_int32(ID), c_uint8(channel), ctypes.byref(infos))
        return code, plain(ChannelInfos, infos)

    def BL_LoadFirmware(
        self, ID: int, channels: bytes, ShowGauge: int, ForceReload: int, BinFile: str, XlxFile: str
    ) -> tuple[int, tuple[int, ...]]:
        """See ``EclibBackend``."""
        wanted, results = (c_uint8 * eclib.CHANNELS)(*channels), (c_int32 * eclib.CHANNELS)()
        files = c_char_p(BinFile.encode("mbcs")), c_char_p(XlxFile.encode("mbcs") if XlxFile else None)
        flags = c_bool(bool(ShowGauge)), c_bool(bool(ForceReload))
        code = self._call("BL_LoadFirmware", c_int32(ID), wanted, results, c_uint8(eclib.CHANNELS), *flags, *files)
        return code, tuple(results)

    def BL_LoadTechnique(
        self,
        ID: int,
        channel: int,
        FName: str,
        Params: tuple[EccParam, ...],
        FirstTechnique: int,
        LastTechnique: int,
        DisplayParams: int,
    ) -> int:
        """See ``EclibBackend``."""
        by_value, _alive = c_params(Params)
        flags = (c_bool(bool(one)) for one in (FirstTechnique, LastTechnique, DisplayParams))
        return self._call("BL_LoadTechnique", c_int32(ID), c_uint8(channel), c_char_p(FName.encode("mbcs")), by_value, *flags)

    def BL_UpdateParameters(self, ID: int, channel: int, TechIndx: int, Params: tuple[EccParam, ...], EccFileName: str) -> int:
        """See ``EclibBackend``."""
        by_value, _alive = c_params(Params)
        name = c_char_p(EccFileName.encode("mbcs"))
        return self._call("BL_UpdateParameters", c_int32(ID), c_uint8(channel), c_int32(TechIndx), by_value, name)

    def _define(self, name: str, lbl: str, value: Any, index: int) -> tuple[int, EccParam]:
        param = CEccParam()
        code = self._call(name, c_char_p(lbl.encode("ascii")), value, c_int32(index), ctypes.byref(param))
        return code, EccParam(param.label.decode("ascii"), param.type, param.value, param.index)

    def BL_DefineBoolParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """See ``EclibBackend``."""
        return self._define("BL_DefineBoolParameter", lbl, c_bool(bool(value)), index)

    def BL_DefineSglParameter(self, lbl: str, value: float, index: int) -> tuple[int, EccParam]:
        """See ``EclibBackend``."""
        return self._define("BL_DefineSglParameter", lbl, c_float(value), index)

    def BL_DefineIntParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """See ``EclibBackend``."""
        return self._define("BL_DefineIntParameter", lbl, c_int32(value), index)

    def BL_StartChannel(self, ID: int, channel: int) -> int:
        """See ``EclibBackend``."""
        return self._call("BL_StartChannel", c_int32(ID), c_uint8(channel))

    def BL_StopChannel(self, ID: int, channel: int) -> int:
        """See ``EclibBackend``."""
        return self._call("BL_StopChannel", c_int32(ID), c_uint8(channel))

    def BL_GetCurrentValues(self, ID: int, channel: int) -> tuple[int, CurrentValues]:
        """See ``EclibBackend``."""
        values = CCurrentValues()
        code = self._call("BL_GetCurrentValues", c_int32(ID), c_uint8(channel), ctypes.byref(values))
        return code, plain(CurrentValues, values)

    def BL_GetData(self, ID: int, channel: int) -> tuple[int, tuple[int, ...], DataInfos, CurrentValues]:
        """See ``EclibBackend``."""
        words, infos, values = (c_uint32 * eclib.WORDS)(), CDataInfos(), CCurrentValues()
        code = self._call("BL_GetData", c_int32(ID), c_uint8(channel), words, ctypes.byref(infos), ctypes.byref(values))
        found, count = plain(DataInfos, infos), max(0, infos.NbRows) * max(0, infos.NbCols)
        return code, tuple(words[: min(count, eclib.WORDS)]), found, plain(CurrentValues, values)

    def BL_ConvertChannelNumericIntoSingle(self, num: int, ChannelType: int) -> tuple[int, float]:
        """See ``EclibBackend``; packages before 6.11 know it under its older name, without the board's family."""
        found = c_float()
        if hasattr(self._dll, "BL_ConvertChannelNumericIntoSingle"):
            args = c_uint32(num), ctypes.byref(found), c_uint32(ChannelType)
            return self._call("BL_ConvertChannelNumericIntoSingle", *args), found.value
        return self._call("BL_ConvertNumericIntoSingle", c_uint32(num), ctypes.byref(found)), found.value

    def BL_GetMessage(self, ID: int, channel: int) -> tuple[int, bytes]:
        """See ``EclibBackend``."""
        buffer, size = ctypes.create_string_buffer(MESSAGE), c_uint32(MESSAGE)
        code = self._call("BL_GetMessage", c_int32(ID), c_uint8(channel), buffer, ctypes.byref(size))
        return code, buffer.raw[: min(size.value, MESSAGE)]

    def BL_GetOptErr(self, ID: int, channel: int) -> tuple[int, int, int]:
        """See ``EclibBackend``."""
        error, position = c_int32(), c_int32()
        code = self._call("BL_GetOptErr", c_int32(ID), c_uint8(channel), ctypes.byref(error), ctypes.byref(position))
        return code, error.value, position.value
