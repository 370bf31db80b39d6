r"""A Neware cycler behind its BTS software: XML over TCP, step files from the PC's disk, channels that run by themselves.

Built to the document and to captured answers, not yet met an instrument. Options: ``folder`` (where everything lies; default: a temporary
one), ``root`` (where step files are put; default ``<folder>/steps``), ``shown_as`` (what the PC calls that folder, ``D:\steps``),
``subdevices`` (2) of ``channels`` (8) each, ``channel`` (the one with the cell, ``1-1``: sub-device and channel), ``cells`` (channel → the
twin of a further cell), ``busy`` (channels that somebody else's test runs on, ``["1-2"]``), ``devid`` (21), ``zone`` (IANA, "UTC"),
``port``, ``faults``. Its address is host, port and ``folder``, which stands for a share of the PC's. The vendor's own data files
(``backup``) are not written.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.base import Context, EmulatorAddress, Settings
from drivers.neware.instrument.channel import Channel
from drivers.neware.instrument.faults import DEFAULTS, NAMES
from drivers.neware.instrument.messages import TERMINATOR, Requests
from drivers.neware.instrument.software import Disk, Place, Software, driven
from drivers.sim.served import HOST, NOISE, ServedInstrument
from drivers.sim.stamps import Stamps

WEEK_s = 604800.0


class NewareEmulator(ServedInstrument):
    """One cycler, its PC, and the twin's cell on one channel."""

    fault_names = NAMES
    kind = "neware"
    noise = NOISE + TERMINATOR
    vanishes = "bts_gone"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        options = settings.options
        self._temporary = "" if options.get("folder") else tempfile.mkdtemp(prefix="neware-")
        self.folder = Path(str(options.get("folder") or self._temporary)).absolute()
        self.place = _place(str(options.get("channel", "1-1")))
        subdevices, each = int(options.get("subdevices", 2)), int(options.get("channels", 8))
        places = [(sub, n) for sub in range(1, subdevices + 1) for n in range(1, each + 1)]
        cells = {_place(str(place)): twin for place, twin in options.get("cells", {}).items()} | {self.place: self.twin}
        self.cells = tuple(cells.values())
        self.channels = {place: Channel(cells.get(place)) for place in places}
        self.channel = self.channels[self.place]
        self.channel.disturb = self._disturb
        disk = Disk(self.folder, Path(str(options.get("root") or self.folder / "steps")).absolute(), str(options.get("shown_as", "")))
        self.software = Software(self.channels, self.faults, disk, self.clock, options, now_s=self.now_s, mine=self.place)
        self._busy = [_place(str(one)) for one in options.get("busy", ())]

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Feel the cell, and listen."""
        await self.clock.in_thread(lambda: self.software.disk.root.mkdir(parents=True, exist_ok=True))
        now_s = self.now_s()
        for channel in self.channels.values():
            channel.now_s = max(channel.now_s, now_s)
        return await super().start()

    def _address(self) -> str:
        shared = self.folder.as_posix().lstrip("/")
        return f"{HOST}:{self.port}/{shared}"

    def _begin(self, now_s: float) -> None:
        for twin in self.cells:
            twin.open_circuit(now_s)
        self._start_others()

    def _start_others(self) -> None:
        for place in self._busy:
            mine, self.software.mine = self.software.mine, place
            self.software.guest(WEEK_s, "guest")
            self.software.mine = mine

    async def stop(self) -> None:
        """Close the port; the twin stays as it is (a temporary folder goes)."""
        await super().stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _conversation(self) -> Session:
        return Session(self.software, self.stamps)

    def _advance(self, t_s: float) -> None:
        for channel in self.channels.values():
            channel.advance(t_s)
        self._guests()

    def _next_s(self) -> float:
        return min(channel.next_s for channel in self.channels.values())

    def _guests(self) -> None:
        fault = self.faults.on.get("foreign_run")
        if fault is not None and self.software.guest(float(fault["seconds"]), str(fault["barcode"])):
            self.faults.clear("foreign_run")

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the wire says."""
        return driven(self.channel)

    def _disturb(self, voltage_V: float) -> float:
        return voltage_V + (float(self.faults["voltage_jump"]["offset_V"]) if "voltage_jump" in self.faults else 0.0)

    # ------------------------------------------------------------------------------------------------------------- faults

    def _gone_off(self, fault: str) -> None:
        if fault == "paused":
            self.channel.resume()

    def _gone_on(self, fault: str) -> None:
        if fault == "protected":
            self.faults.clear(fault)
            self.channel.trip()
        elif fault == "paused":
            self.channel.pause()
        elif fault == "power_lost":
            self.faults.clear(fault)
            for channel in self.channels.values():
                channel.stop()

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "root": str(self.software.disk.root),
            "tests": self.software.tests,
            "channels": {f"{sub}-{n}": channel.snapshot() for (sub, n), channel in self.channels.items()},
        }

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        """In the same folder."""
        self.folder = self.software.disk.folder = Path(state["folder"])
        self.software.disk.root = Path(state["root"])
        self.software.tests = state["tests"]
        for name, plain in state["channels"].items():
            self.channels[_place(name)].restore(plain)


class Session:
    """One connection."""

    def __init__(self, software: Software, stamps: Stamps) -> None:
        self._software, self._stamps = software, stamps
        self._requests = Requests()

    def hear(self, data: bytes) -> Iterator[bytes]:
        """The answers to what is complete by now, each as it is asked for."""
        for message in self._requests.feed(data):
            found = self._software.hear(message)
            if found is not None:
                self._stamps.mark(found[0])
                yield found[1]

    def over(self) -> None:
        """A test goes on without whoever started it."""


def _place(text: str) -> Place:
    sub, _, number = text.partition("-")
    return int(sub), int(number)
