"""A channel through EC-Lab itself, by OLE-COM: EC-Lab keeps its firmware, its windows and its files, and obeys load, run and stop.

EC-Lab (11.52 or later) is open in a session that somebody is logged into. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

from drivers.base import Identity, ImpedanceOrder, Mode, Reason
from drivers.biologic import mps
from drivers.biologic.calls import Calls, is_remote
from drivers.biologic.models import Options
from drivers.biologic.mps_numbers import Site
from drivers.clock import Clock
from drivers.errors import DeviceFault, NotReachable, Rejected, WrongInstrument
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Batch, Look
from drivers.stream.rows import Point, Row

CALLS = frozenset({"EnableMessagesWindows", "GetDeviceSN", "SelectChannel", "LoadSettings", "RunChannel", "StopChannel"}) | frozenset(
    {"MeasureStatus", "GetExperimentInfos", "GetDataFileName", "MeasureNumberOfPoints", "MeasureDcValue", "MeasureEisValue"}
)
RETRIES_S = (0.01, 0.05, 0.25)
"""Calls fail now and then when they come quickly (seen by others): again after these."""
MOST_DEVICES = 100
STATUS, TIME, EWE, CURRENT, SAFETY_LIMIT = 0, 15, 16, 19, 30
"""Places in ``MeasureStatus`` (inferred from a public program)."""
VALUES = 32
MILLI = 1e-3
"""The current comes in mA (inferred: in a public recorded reading 0.59 stands beside a range of 0.001 A)."""

_log = logging.getLogger(__name__)


class EcLabDoor:
    """One channel of one instrument in EC-Lab's list. Its address: ``SN 365``, the instrument's serial number there."""

    stops_needed = 3

    def __init__(self, calls: Calls, clock: Clock, options: Options, address: str, channel: int, name: str, wanted: str) -> None:
        self._calls, self._clock, self._options = calls, clock, options
        self._address, self._channel, self._name, self._wanted = address, channel, name, wanted
        self._site = Site(options.device, options.decimal, options.bandwidth)
        self._device = 0
        self._loaded: StepPlan | None = None
        self._ran: StepPlan | None = None
        self._seen_running = False
        self._points = self._row = 0
        """So many points of the sweep, and rows of its file, were read."""

    # ------------------------------------------------------------------------------------------------------- the calls

    async def _again(self, name: str, *args: Any, good: Callable[[Any], bool]) -> Any:
        """A call, repeated while its answer is none. Raises NotReachable, DeviceFault."""
        answer = None
        for wait_s in (*RETRIES_S, None):
            answer = await self._calls.call(name, *args)
            if good(answer):
                return answer
            if wait_s is not None:
                await self._clock.sleep(wait_s * self._clock.speed)
        raise DeviceFault(f"EC-Lab's {name} failed four times", instrument=self._name, sent=name, received=repr(answer)[:200])

    async def _on_channel(self, name: str, *args: Any, good: Callable[[Any], bool] = lambda answer: answer == 1) -> Any:
        return await self._again(name, self._device, self._channel, *args, good=good)

    async def _status(self) -> tuple[float, ...]:
        """Raises NotReachable where EC-Lab does not see the instrument: then all values are zero."""
        try:
            answer = await self._on_channel("MeasureStatus", good=_is_status)
        except DeviceFault as fault:
            raise NotReachable(
                fault.message, instrument=self._name, advice="look at EC-Lab's window: is the instrument connected?"
            ) from fault
        return tuple(float(one) for one in answer)

    # ---------------------------------------------------------------------------------------------------------- opening

    async def open(self) -> Identity:
        """Find the instrument in EC-Lab's list. Raises NotReachable, WrongInstrument."""
        device_sn, channels = await self._find()
        if self._channel >= len(channels):
            raise WrongInstrument(
                f"the instrument has {len(channels)} channels", instrument=self._name, advice="look at the numbers in EC-Lab"
            )
        serial = str(int(channels[self._channel]))
        if self._wanted and serial != self._wanted:
            raise WrongInstrument(
                f"the channel has the serial number {serial}, not {self._wanted}",
                instrument=self._name,
                advice="check address and channel, or the identity in the rig file",
            )
        return Identity("BioLogic", f"{self._options.device} (SN {device_sn}), channel {self._channel + 1}, by EC-Lab", serial)

    async def _find(self) -> tuple[int, tuple[Any, ...]]:
        wanted = None if is_remote(self._address) else _serial_of(self._address, self._name)
        for device in range(MOST_DEVICES):
            answer = await self._calls.call("GetDeviceSN", device)
            if not isinstance(answer, tuple) or len(answer) != 3 or not answer[2]:
                break
            serial, channels, _ = answer
            if serial and (wanted is None or int(serial) == wanted):
                self._device = device
                return int(serial), tuple(channels)
        advice = "connect it in EC-Lab; its serial number stands in EC-Lab's list of instruments"
        raise NotReachable(f"EC-Lab shows no instrument {self._address} that is connected", instrument=self._name, advice=advice)

    async def close(self) -> None:
        """Let go of EC-Lab; what runs goes on, and EC-Lab goes on writing it down."""
        await self._calls.close()

    # ---------------------------------------------------------------------------------------------------------- looking

    async def look(self) -> Look:
        """EC-Lab's status line; what runs has a name where its file is one of ours."""
        status = await self._status()
        running = status[STATUS] != 0  # inferred: 0 is Stop; run, pause and waiting are all not open circuit for certain
        key = await self._key() if running else None
        foreign = running and key is None
        detail = "a safety limit of EC-Lab was met" if status[SAFETY_LIMIT] else ""
        return Look(running, status[EWE], status[CURRENT] * MILLI, status[TIME], foreign, key, detail)

    async def _key(self) -> str | None:
        try:
            answer = await self._on_channel(
                "GetExperimentInfos", good=lambda found: isinstance(found, tuple) and len(found) == 5 and found[4] == 1
            )
        except DeviceFault:
            return None
        folder, files = str(answer[2] or ""), [str(one) for one in answer[3] if one]
        ours = str(PureWindowsPath(self._options.folder)).rstrip("\\").lower()
        if not files or str(PureWindowsPath(folder)).rstrip("\\").lower() != ours:
            return None
        return key_of(files[0])

    async def fetch(self) -> Batch:
        """What the status line shows: one sample; EC-Lab's own file holds them all. Of a sweep, its new points from that file."""
        status = await self._status()
        running = status[STATUS] != 0
        trouble = "a safety limit of EC-Lab was met" if status[SAFETY_LIMIT] and not running else ""
        rows: tuple[Row, ...] = await self._new_points() if self._sweep is not None else ()
        if running and status[TIME] > 0:  # at 0 it is still being made
            rows = (*rows, Row(status[TIME], status[EWE], status[CURRENT] * MILLI))
        elif self._seen_running and self._sweep is None:
            rows = await self._last_row()
        self._seen_running = running
        return Batch(rows, running, self._lacks_points and not running, trouble=trouble, trouble_reason=Reason.SAFETY)

    @property
    def _sweep(self) -> ImpedanceOrder | None:
        return self._ran.order.impedance if self._ran is not None and self._ran.order.mode is Mode.IMPEDANCE else None

    @property
    def _lacks_points(self) -> bool:
        return self._sweep is not None and self._points < self._sweep.points

    async def _data_file(self) -> str:
        """Where EC-Lab keeps what runs; empty where that is none of ours."""
        path = str(await self._calls.call("GetDataFileName", self._device, self._channel, 0))
        ours = self._ran is not None and key_of(PureWindowsPath(path).name) == self._ran.order.key
        return path if ours else ""

    async def _last_row(self) -> tuple[Row, ...]:
        """At which voltage and current it ended: the status line shows the cell at open circuit by now."""
        path = await self._data_file()
        count = await self._calls.call("MeasureNumberOfPoints", path) if path else 0
        if not isinstance(count, int) or count < 1:
            return ()
        answer = await self._calls.call("MeasureDcValue", path, count - 1)
        return (Row(answer[0], answer[1], answer[2]),) if _are_values(answer, 3) else ()

    async def _new_points(self) -> tuple[Point, ...]:
        """Rows of the sweep's file that were not there before; a row without a frequency belongs to the time before the sweep."""
        path, found = await self._data_file() if self._lacks_points else "", []
        while path and self._lacks_points:
            answer = await self._calls.call("MeasureEisValue", path, self._row)
            if not _are_values(answer, 4):
                break
            self._row += 1
            if answer[1] > 0:
                self._points += 1
                found.append(_point(answer[1], answer[2], answer[3]))
        return tuple(found)

    # ---------------------------------------------------------------------------------------------------------- running

    async def write(self, plan: StepPlan) -> None:
        """The settings file. Raises Rejected."""
        data, path = mps.settings_bytes(plan, self._site), self._file(plan, "mps")
        try:
            await self._clock.in_thread(_write, path, data, lane=f"files of {self._name}")
        except OSError as error:
            advice = "look at option folder"
            raise Rejected(
                f"settings not written: {error}", instrument=self._name, sent=path, did="nothing was started", advice=advice
            ) from error

    async def load(self, plan: StepPlan) -> None:
        """Have the settings file loaded. Raises Rejected."""
        path = self._file(plan, "mps")
        try:
            await self._calls.call("EnableMessagesWindows", 0)
            await self._on_channel("SelectChannel")
            await self._on_channel("LoadSettings", path)
        except DeviceFault as fault:
            raise Rejected(f"settings not loaded: {fault}", instrument=self._name, sent=path, did="nothing was started") from fault
        self._loaded = plan

    async def start(self) -> None:
        """Run it. A call that failed is repeated only while the channel certainly does not run. Raises Rejected."""
        if self._loaded is None:
            raise Rejected("nothing is loaded", instrument=self._name, did="nothing was started")
        path = self._file(self._loaded, "mpr")
        self._ran, self._seen_running = self._loaded, False
        self._points = self._row = 0
        for wait_s in RETRIES_S:
            if await self._calls.call("RunChannel", self._device, self._channel, path) == 1:
                return
            await self._clock.sleep(wait_s * self._clock.speed)
            if (await self._status())[STATUS] != 0:
                return
        self._ran = None
        raise Rejected("EC-Lab does not run the channel", instrument=self._name, sent=path, did="nothing was started")

    async def stop(self) -> None:
        """Stop the channel; no window of EC-Lab waits for an answer meanwhile."""
        await self._calls.call("EnableMessagesWindows", 0)
        await self._on_channel("StopChannel")

    def _file(self, plan: StepPlan, ending: str) -> str:
        """As Windows writes it; beside an emulator, as this computer does."""
        folder, name = self._options.folder, f"{plan.order.key.replace(':', '%3A')}.{ending}"
        return f"{folder}/{name}" if folder.startswith("/") else str(PureWindowsPath(folder) / name)


def key_of(file_name: str) -> str | None:
    """The step whose data a file holds (EC-Lab adds ``_C01``, the channel); None for a file that is none of ours."""
    found = re.fullmatch(r"([A-Za-z0-9._%-]{1,240}?)(?:_C\d\d)?\.mpr", file_name)
    return found[1].replace("%3A", ":") if found else None


def _is_status(answer: Any) -> bool:
    return isinstance(answer, tuple) and len(answer) >= VALUES and any(answer) and all(isinstance(one, int | float) for one in answer)


def _are_values(answer: Any, count: int) -> bool:
    """So many numbers, and a 1."""
    return (
        isinstance(answer, tuple) and len(answer) == count + 1 and answer[-1] == 1 and all(isinstance(one, int | float) for one in answer)
    )


def _point(frequency_Hz: float, real_ohm: float, minus_imaginary_ohm: float) -> Point:
    """Of the spectrum alone: the file's row says neither voltage nor current, so that it is no sample."""
    return Point(math.nan, math.nan, math.nan, frequency_Hz=frequency_Hz, impedance_ohm=complex(real_ohm, -minus_imaginary_ohm))


def _serial_of(address: str, name: str) -> int:
    found = re.fullmatch(r"(?:SN\s*)?0*(\d{1,9})", address.strip(), re.IGNORECASE)
    if found is None:
        raise NotReachable(f"address {address!r}", instrument=name, advice="the instrument's serial number as EC-Lab shows it: SN 365")
    return int(found[1])


def _write(path: str, data: bytes) -> None:
    where = Path(path)
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data)
