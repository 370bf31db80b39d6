"""The DLL's structures as the document has them (section 3.1), and what happens where there is no DLL."""

from __future__ import annotations

import ctypes

import pytest
from biologic_bench import step

from drivers.biologic import com, dll, eclib
from drivers.biologic.techniques import Trigger, plan_of, techniques_of
from drivers.errors import NotReachable


def test_sizes_and_places() -> None:
    assert ctypes.sizeof(dll.CEccParam) == 76
    assert ctypes.sizeof(dll.CEccParams) == 4 + ctypes.sizeof(ctypes.c_void_p)
    assert dll.CDataInfos.StartTime.offset == 32
    assert ctypes.sizeof(dll.CDeviceInfos) == 11 * 4
    assert ctypes.sizeof(dll.CChannelInfos) == 19 * 4
    assert dll.CChannelInfos.FirmwareCode.offset == 3 * 4
    assert dll.CChannelInfos.MemFilled.offset == 13 * 4
    assert dll.CChannelInfos.State.offset == 14 * 4
    assert ctypes.sizeof(dll.CCurrentValues) == 19 * 4


def test_parameters_lie_as_the_dll_reads_them() -> None:
    made = techniques_of(plan_of(step()), Trigger())[0]
    by_value, array = dll.c_params(made.params)
    assert by_value.n == len(made.params) == len(array)
    raw = bytes(array)
    first = made.params[0]
    assert raw[:64].rstrip(b"\0").decode("ascii") == first.label == "Current_step"
    assert int.from_bytes(raw[64:68], "little") == eclib.TYPE_SINGLE
    assert int.from_bytes(raw[68:72], "little") == 0x3A03126F
    assert int.from_bytes(raw[72:76], "little") == 0


def test_structures_come_back_as_values() -> None:
    found = dll.CCurrentValues(State=1, MemFilled=40, Ewe=3.5, OptErr=2)
    values = dll.plain(eclib.CurrentValues, found)
    assert (values.State, values.MemFilled, values.Ewe, values.OptErr) == (1, 40, 3.5, 2)
    negative = dll.plain(eclib.ChannelInfos, dll.CChannelInfos(AmpCode=-1))
    assert negative.AmpCode == -1


def test_every_call_of_the_protocol_is_there() -> None:
    wanted = {name for name in vars(eclib.EclibBackend) if name.startswith("BL_")}
    assert len(wanted) >= 15
    assert wanted <= set(vars(dll.Dll))


@pytest.mark.posix_only
def test_elsewhere_it_says_where_it_would_work() -> None:
    with pytest.raises(NotReachable, match="Windows"):
        dll.Dll("/opt/package")
    with pytest.raises(NotReachable, match="Windows"):
        com.EcLab()
