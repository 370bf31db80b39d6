r"""A Neware cycler behind its BTS software: XML over TCP, step files from the PC's disk, channels that run by themselves.

Built to the document and to captured answers, not yet met an instrument. Options: ``folder`` (where everything lies; default: a temporary
one), ``root`` (where step files are put; default ``<folder>/steps``), ``shown_as`` (what the PC calls that folder, ``D:\steps``),
``subdevices`` (2) of ``channels`` (8) each, ``channel`` (the one with the cell, ``1-1``: sub-device and channel), ``cells`` (channel → the
twin of a further cell), ``busy`` (channels that somebody else's test runs on, ``["1-2"]``), ``devid`` (21), ``zone`` (IANA, "UTC"),
``port``, ``faults``. Its address is host, port and ``folder``, which stands for a share of the PC's. The vendor's own data files
(``backup``) are not written.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import ByteStream, Context, EmulatorAddress, Listener, Settings
from drivers.errors import InstrumentError, NotReachable
from drivers.neware.instrument.channel import Channel, NEVER_s
from drivers.neware.instrument.faults import DEFAULTS, NAMES
from drivers.neware.instrument.messages import TERMINATOR, Requests
from drivers.neware.instrument.software import Disk, Place, Software, driven
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults

HOST = "127.0.0.1"
PIECE_s = 0.01
NOISE = bytes((0xFF, 0x00, 0x7E, 0x50, 0x3B, 0x80))
WEEK_s = 604800.0


class NewareEmulator:
    """One cycler, its PC, and the twin's cell on one channel."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self.settings, self.clock, self.twin = settings, context.clock, context.twin
        self._network = context.network
        self._temporary = "" if options.get("folder") else tempfile.mkdtemp(prefix="neware-")
        self.folder = Path(str(options.get("folder") or self._temporary)).absolute()
        self.port = int(options.get("port", 0))
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        self.stamps = Stamps()
        self.place = _place(str(options.get("channel", "1-1")))
        subdevices, each = int(options.get("subdevices", 2)), int(options.get("channels", 8))
        places = [(sub, n) for sub in range(1, subdevices + 1) for n in range(1, each + 1)]
        cells = {_place(str(place)): twin for place, twin in options.get("cells", {}).items()} | {self.place: self.twin}
        self.cells = tuple(cells.values())
        self.channels = {place: Channel(cells.get(place)) for place in places}
        self.channel = self.channels[self.place]
        self.channel.disturb = self._disturb
        disk = Disk(self.folder, Path(str(options.get("root") or self.folder / "steps")).absolute(), str(options.get("shown_as", "")))
        self.software = Software(self.channels, self.faults, disk, self.clock, options, now_s=self._twin_s, mine=self.place)
        self._busy = [_place(str(one)) for one in options.get("busy", ())]
        self._listener: Listener | None = None
        self._open: list[ByteStream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._audible = asyncio.Event()
        self._audible.set()
        self._alive, self._fresh, self._sent = False, True, 0
        self.faults.inject_all(options.get("faults", ()))

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Feel the cell, and listen."""
        await self.clock.in_thread(lambda: self.software.disk.root.mkdir(parents=True, exist_ok=True))
        now_s = self._twin_s()
        for channel in self.channels.values():
            channel.now_s = max(channel.now_s, now_s)
        if self._fresh:
            for twin in self.cells:
                twin.open_circuit(now_s)
            self._start_others()
        self._alive = True
        await self._listen()
        self._spawn(self._live())
        for name in sorted(self.faults.on):  # a snapshot was taken while they were on
            self._apply(name)
        self.faults.start()
        shared = self.folder.as_posix().lstrip("/")
        return EmulatorAddress(self.settings.instrument, "neware", f"{HOST}:{self.port}/{shared}", HOST, self.port)

    def _start_others(self) -> None:
        for place in self._busy:
            mine, self.software.mine = self.software.mine, place
            self.software.guest(WEEK_s, "guest")
            self.software.mine = mine

    async def stop(self) -> None:
        """Close the port; the twin stays as it is (a temporary folder goes)."""
        self._alive = False
        await self.faults.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._deafen()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._network.listen(HOST, self.port)
            self.port = self._listener.port
            self._spawn(self._accepts(self._listener))

    async def _deafen(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        for stream in list(self._open):
            await stream.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self) -> None:
        """The cycler goes on without anybody asking."""
        while True:
            now_s = self._twin_s()
            for channel in self.channels.values():
                channel.advance(now_s)
            self._guests()
            wait_s = min(channel.next_s for channel in self.channels.values())
            self._changed.clear()
            if wait_s >= NEVER_s:
                await self._changed.wait()
            else:
                await self._wait(max(wait_s - self._twin_s(), 1e-6))

    async def _wait(self, seconds: float) -> None:
        changed, slept = asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(self.clock.sleep(seconds))
        try:
            await asyncio.wait({changed, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            slept.cancel()

    def _guests(self) -> None:
        fault = self.faults.on.get("foreign_run")
        if fault is not None and self.software.guest(float(fault["seconds"]), str(fault["barcode"])):
            self.faults.clear("foreign_run")

    def _twin_s(self) -> float:
        return (self.clock.mono_ns() - int(self.twin.t0_mono_ns)) / 1e9

    @property
    def driven(self) -> bool:
        """True while a current can flow: the truth, whatever the wire says."""
        return driven(self.channel)

    def _disturb(self, voltage_V: float) -> float:
        return voltage_V + (float(self.faults["voltage_jump"]["offset_V"]) if "voltage_jump" in self.faults else 0.0)

    # -------------------------------------------------------------------------------------------------------- connections

    async def _accepts(self, listener: Listener) -> None:
        with suppress(NotReachable):
            while True:
                self._spawn(self._serves(await listener.accept()))

    async def _serves(self, stream: ByteStream) -> None:
        self._open.append(stream)
        requests = Requests()
        try:
            with suppress(OSError, InstrumentError):
                while data := await stream.read():
                    await self._audible.wait()
                    for message in requests.feed(data):
                        await self._answer(stream, message)
        finally:
            self._open.remove(stream)
            await stream.close()

    async def _answer(self, stream: ByteStream, message: bytes) -> None:
        found = self.software.hear(message)
        self._changed.set()
        if found is None:
            return
        command, data = found
        self.stamps.mark(command)
        if "slow" in self.faults:
            await self.clock.sleep(float(self.faults["slow"]["delay_s"]))
        if self.faults.use("garbage"):
            data = NOISE + TERMINATOR
        if self.faults.use("half_answer"):
            data = data[: len(data) // 2]
        await self._audible.wait()
        for n, piece in enumerate(self._pieces(data)):
            if n:
                await self.clock.sleep(PIECE_s)
            await stream.write(piece)

    def _pieces(self, data: bytes) -> list[bytes]:
        if "split_messages" not in self.faults:
            return [data]
        fault, self._sent = self.faults["split_messages"], self._sent + 1
        generator = np.random.default_rng([int(fault["seed"]), self._sent])
        random = generator.integers(1, len(data), max(1, int(fault["pieces"]) - 2)).tolist()
        return [data[begin:end] for begin, end in itertools.pairwise(sorted({0, len(data) - 2, len(data), *random}))]

    # ------------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.neware.instrument.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.channel.advance(self._twin_s())
        self.faults.clear(fault)
        if fault == "silent":
            self._audible.set()
        elif fault == "paused":
            self.channel.resume()
        elif fault == "bts_gone" and self._alive:
            self._spawn(self._listen())
        self._changed.set()

    def _switched(self, fault: str) -> None:
        self.twin.tell(self._twin_s(), "fault", instrument=self.settings.instrument, fault=fault)
        self.channel.advance(self._twin_s())
        if fault == "protected":
            self.faults.clear(fault)
            self.channel.trip()
        elif fault == "paused":
            self.channel.pause()
        elif fault == "power_lost":
            self.faults.clear(fault)
            for channel in self.channels.values():
                channel.stop()
        self._apply(fault)

    def _apply(self, fault: str) -> None:
        if fault == "silent":
            self._audible.clear()
        elif fault == "bts_gone":
            self._spawn(self._gone(self.faults[fault]["seconds"]))
        self._changed.set()

    async def _gone(self, seconds: float | None) -> None:
        await self._deafen()
        if seconds is not None:
            await self.clock.sleep(float(seconds))
            self.faults.clear("bts_gone")
            await self._listen()

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; connections are not part of it, and step files lie on the disk."""
        now_s = self._twin_s()
        for channel in self.channels.values():
            channel.advance(now_s)
        return {
            "folder": str(self.folder),
            "root": str(self.software.disk.root),
            "port": self.port,
            "tests": self.software.tests,
            "channels": {f"{sub}-{n}": channel.snapshot() for (sub, n), channel in self.channels.items()},
            "faults": self.faults.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot, in the same folder; call it before ``start``."""
        self.folder = self.software.disk.folder = Path(state["folder"])
        self.software.disk.root = Path(state["root"])
        self.port, self.software.tests = state["port"], state["tests"]
        for name, plain in state["channels"].items():
            self.channels[_place(name)].restore(plain)
        self.faults.restore(state["faults"])
        self._fresh = False


def _place(text: str) -> Place:
    sub, _, number = text.partition("-")
    return int(sub), int(number)
