"""EC-Lab's OLE-COM object, on Windows, as plain calls. All from the thread that made it.

Registered once by an administrator: ``eclab /regserver`` in EC-Lab's folder. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from drivers.errors import NotReachable

NAME = "EClabCOM.EClabExe"


class EcLab:
    """What ``drivers.biologic.eclab_door`` calls."""

    def __init__(self) -> None:
        self._app = _application()

    def EnableMessagesWindows(self, enable: int) -> int:
        """No window of EC-Lab waits for an answer."""
        self._app.EnableMessagesWindows(enable)
        return 1

    def GetDeviceSN(self, device: int) -> tuple[int, tuple[int, ...], int]:
        """Serial numbers of an instrument and of its channels, and 1; 0 where there is none."""
        serial, channels, success = self._app.GetDeviceSN(device)
        return int(serial or 0), tuple(int(one or 0) for one in channels), int(success)

    def SelectChannel(self, device: int, channel: int) -> int:
        """1 = done."""
        return int(self._app.SelectChannel(device, channel))

    def LoadSettings(self, device: int, channel: int, path: str) -> int:
        """1 = done."""
        return int(self._app.LoadSettings(device, channel, path))

    def RunChannel(self, device: int, channel: int, path: str) -> int:
        """1 = done."""
        return int(self._app.RunChannel(device, channel, path))

    def StopChannel(self, device: int, channel: int) -> int:
        """1 = done."""
        return int(self._app.StopChannel(device, channel))

    def MeasureStatus(self, device: int, channel: int) -> tuple[float, ...]:
        """32 numbers; all zero: it failed."""
        return tuple(float(one) for one in self._app.MeasureStatus(device, channel))

    def GetExperimentInfos(self, device: int, channel: int) -> tuple[str, str, str, tuple[str, ...], int]:
        """Start, end, folder, files, and 1."""
        start, end, folder, files, result = self._app.GetExperimentInfos(device, channel)
        return str(start or ""), str(end or ""), str(folder or ""), tuple(str(one) for one in files if one), int(result)

    def GetDataFileName(self, device: int, channel: int, technique: int) -> str:
        """The file in which a technique of the list is kept; empty: there is none."""
        found = self._app.GetDataFileName(device, channel, technique)
        texts = [one for one in (found if isinstance(found, tuple | list) else (found,)) if isinstance(one, str)]
        return texts[0] if texts else ""

    def MeasureNumberOfPoints(self, path: str) -> int:
        """How many rows a file has; 0 as long as there is none."""
        found = self._app.MeasureNumberOfPoints(path)
        return int((found[-1] if isinstance(found, tuple | list) else found) or 0)

    def MeasureDcValue(self, path: str, index: int) -> tuple[float, ...]:
        """Time in s, voltage in V and current in A of one row of a file, and 1; all zero: it has no such row."""
        values, result = self._app.MeasureDcValue(path, index)
        known = int(result) == 1 and values is not None and len(values) == 3
        return (*(float(one) for one in values), 1.0) if known else (0.0,) * 4

    def MeasureEisValue(self, path: str, index: int) -> tuple[float, ...]:
        """Time in s, frequency in Hz, Re Z and -Im Z in ohm of one row of a file, and 1; all zero: it has no such row."""
        values, result = self._app.MeasureEisValue(path, index)
        known = int(result) == 1 and values is not None and len(values) == 4
        return (*(float(one) for one in values), 1.0) if known else (0.0,) * 5


def _application() -> Any:
    if os.name != "nt":
        raise NotReachable("EC-Lab runs on Windows only", advice="run this program on the computer of the potentiostat")
    try:
        create: Any = importlib.import_module("comtypes.client").CreateObject
    except ImportError as error:
        raise NotReachable("comtypes is not installed", advice="install operando-nmr[eclab]") from error
    try:
        return create(NAME)
    except OSError as error:
        advice = "open EC-Lab 11.52 or later; let an administrator run `eclab /regserver` once in its folder"
        raise NotReachable(f"EC-Lab does not answer by OLE-COM ({error})", advice=advice) from error
