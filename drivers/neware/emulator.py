r"""A Neware cycler behind its BTS software: XML over TCP, step files from the PC's disk, channels that run by themselves.

Built to the document and to captured answers, not yet met an instrument. Options: ``folder`` (where everything lies; default: a temporary
one), ``root`` (where step files are put; default ``<folder>/steps``), ``shown_as`` (what the PC calls that folder, ``D:\steps``),
``subdevices`` (2) of ``channels`` (8) each, ``channel`` (the one with the cell, ``1-1``: sub-device and channel), ``cells`` (channel → the
twin of a further cell), ``busy`` (channels that somebody else's test runs on, ``["1-2"]``), ``devid`` (21), ``ip`` (as answers name it),
``tests`` (142: the number of the last test), ``zone`` (IANA, "UTC"), ``port``, ``faults``. Its address is host, port and ``folder``, which
stands for a share of the PC's. The vendor's own data files (``backup``) are not written.
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
from drivers.neware.instrument.software import Disk, Place, Software
from drivers.sim.cycler import Cycler
from drivers.sim.physics import Physics
from drivers.sim.served import HOST, NOISE
from drivers.sim.stamps import Stamps


class NewareEmulator(Cycler[Place, Channel]):
    """One cycler, its PC, and the twin's cell on one channel."""

    fault_names = NAMES
    kind = "neware"
    noise = NOISE + TERMINATOR
    vanishes = "bts_gone"
    first_channel = "1-1"
    guest_key = "barcode"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, DEFAULTS)
        options = settings.options
        self._temporary = "" if options.get("folder") else tempfile.mkdtemp(prefix="neware-")
        self.folder = Path(str(options.get("folder") or self._temporary)).absolute()
        disk = Disk(self.folder, Path(str(options.get("root") or self.folder / "steps")).absolute(), str(options.get("shown_as", "")))
        self.software = Software(self.channels, self.faults, disk, self.clock, options, now_s=self.now_s, mine=self.mine)

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Feel the cell, and listen."""
        await self.clock.in_thread(lambda: self.software.disk.root.mkdir(parents=True, exist_ok=True))
        return await super().start()

    async def stop(self) -> None:
        """Close the port; the twin stays as it is (a temporary folder goes)."""
        await super().stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _address(self) -> str:
        shared = self.folder.as_posix().lstrip("/")
        return f"{HOST}:{self.port}/{shared}"

    # -------------------------------------------------------------------------------------------- what all of them ask for

    def _conversation(self) -> Session:
        return Session(self.software, self.stamps)

    def _place(self, text: Any) -> Place:
        sub, _, number = str(text).partition("-")
        return int(sub), int(number)

    def _written(self, place: Place) -> str:
        return f"{place[0]}-{place[1]}"

    def _places(self, options: Mapping[str, Any]) -> list[Place]:
        subdevices, each = int(options.get("subdevices", 2)), int(options.get("channels", 8))
        return [(sub, n) for sub in range(1, subdevices + 1) for n in range(1, each + 1)]

    def _channel(self, twin: Physics | None) -> Channel:
        return Channel(twin)

    def _guest(self, place: Place, seconds: float, name: str) -> bool:
        return self.software.guest(place, seconds, name)

    def _lose_power(self, channel: Channel) -> None:
        channel.stop()

    def _gone_on(self, fault: str) -> None:
        if fault == "protected":
            self.faults.clear(fault)
            self.channel.trip()
        else:
            super()._gone_on(fault)

    # -------------------------------------------------------------------------------------------------------------- state

    def _state(self) -> dict[str, Any]:
        software = {"folder": str(self.folder), "root": str(self.software.disk.root), "tests": self.software.tests}
        return {**software, **super()._state()}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        """In the same folder."""
        self.folder = self.software.disk.folder = Path(state["folder"])
        self.software.disk.root = Path(state["root"])
        self.software.tests = state["tests"]
        super()._go_on_from(state)


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
