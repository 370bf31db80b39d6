"""TopSpin's side: a data tree, an acquisition server, a fake ``TopCmds``, and the shipped agent running on it unmodified.

Built to the document (and to recorded data sets of other spectrometers), not yet met a TopSpin. Options: ``folder`` (where
everything lies; default: a temporary one), ``root`` (the data; default ``<folder>/nmr``),
``shown_as`` (what its files call that folder), ``topspin`` (2.1, 3.6.2, 4.4.0),
``agent`` (the script; default: the shipped file), ``agent_options`` (more of its settings: ``key_file``,
``mode`` pull with ``host`` and ``port`` of whoever is asked), ``user``,
``host``, ``instrument``, ``zone`` (IANA, "UTC"), ``clock_off_s``, ``overhead_s`` (2.0), ``write_s`` (0.3), ``reference_off_Hz``
(250), ``zgsafety`` (true), ``atm`` (true), ``lock`` (false), ``port``, ``faults`` (names, or name → parameters).

Real and scaled speed: the script in an interpreter of its own, behind a door on the network that carries every byte. Virtual time:
the same script inside the event loop (``drivers.topspin.console.script`` says how).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Context, EmulatorAddress, Listener, Settings
from drivers.errors import NotReachable
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults
from drivers.topspin.console.people import People
from drivers.topspin.console.script import Script, ScriptInside, ScriptProcess
from drivers.topspin.console.site import Site
from drivers.topspin.console.topspin import TopSpin
from drivers.topspin.faults import DEFAULTS, NAMES

ABSENT = frozenset({"port_closed", "agent_gone", "topspin_gone"})
AU_GO = 4711.0
"""What the shipped AU program ``operando_pull`` looks for in CNST 60."""
AGENT = Path(__file__).parent / "agent" / "operando_agent.py"


class TopSpinEmulator:
    """One spectrometer with TopSpin in front of it, and the agent inside."""

    fault_names = NAMES

    def __init__(self, settings: Settings, context: Context) -> None:
        self.settings = settings
        self.clock = context.clock
        self.network = context.network
        self.options = settings.options
        self.twin = context.twin
        self._temporary = "" if self.options.get("folder") else tempfile.mkdtemp(prefix="topspin-")
        self.folder = Path(str(self.options.get("folder") or self._temporary)).absolute()
        self.port = int(self.options.get("port", 0))
        self.faults = Faults(DEFAULTS, self.clock, self._switched, self.clear)
        self.site = Site(self.options, self.folder, self.clock, self.faults)
        self.topspin = TopSpin(self.clock, self.twin, self.site, self.faults)
        self.people = People(self.topspin, self.faults)
        self.script: Script | None = None
        self._listener: Listener | None = None
        self._door: asyncio.Task[None] | None = None
        self._guests: set[asyncio.Task[None]] = set()
        self._silent = asyncio.Event()
        self._silent.set()
        self._alive = False
        self._moving = asyncio.Lock()
        self._restarts: set[asyncio.Task[None]] = set()
        self.faults.inject_all(self.options.get("faults", ()))

    @property
    def stamps(self) -> Stamps:
        """Marks in real time: started, acquired, filed."""
        return self.topspin.server.stamps

    async def edge(self) -> bool:
        """An edge on the trigger input; False where nothing waits for one."""
        return self.topspin.server.edge()

    # ------------------------------------------------------------------------------------------------------------- life

    async def start(self) -> EmulatorAddress:
        """Make the site, start the program and the agent in it; the address is that of the agent."""
        await self.clock.in_thread(self.topspin.make)
        self.topspin.start()
        self._alive = True
        try:
            await self._open_door()
            await self._start_script()
        except BaseException:
            await self.stop()
            raise
        for name in sorted(set(self.faults.on) & ABSENT):  # a snapshot was taken while it was away
            self._switched(name)
        self.faults.start()
        host, port = self._where
        return EmulatorAddress(self.settings.instrument, "topspin", f"{host}:{port}", host, port)

    async def stop(self) -> None:
        """End the agent and close the door; the twin and the files stay (a temporary folder goes)."""
        self._alive = False
        await self.faults.stop()
        await _end(self._restarts)
        await self.people.stop()
        await self._close_door()
        await self._stop_script()
        await self.topspin.stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    @property
    def _pulls(self) -> bool:
        """The agent connects to somebody, by an AU program; nobody connects to it."""
        return bool(self.options.get("agent_options", {}).get("mode") == "pull")

    @property
    def _where(self) -> tuple[str, int]:
        asked = self.options.get("agent_options", {})
        return (str(asked["host"]), int(asked["port"])) if self._pulls else ("127.0.0.1", self.port)

    async def _start_script(self) -> None:
        if self._pulls:
            self._later(self._loop_of_the_au_program())
            return
        self.script = self._new_script()
        await self.script.start()

    def _new_script(self) -> Script:
        path = Path(str(self.options.get("agent") or AGENT))
        config = {"root": str(self.site.root), **self.options.get("agent_options", {})}
        if self.clock.virtual is not None:
            return ScriptInside(self.topspin, self.network, path, config, self.folder, self.port)
        return ScriptProcess(self.topspin, self.network, path, config, self.folder)

    async def _loop_of_the_au_program(self) -> None:
        """``operando_pull``: CNST 60 to 0, the script, then ``zg`` where it has set the go there, and again; else the loop ends."""
        while True:
            await self.topspin.call("PUTPAR", "CNST 60", "0")
            self.script = self._new_script()
            await self.script.run()
            if float(await self.topspin.call("GETPAR", "CNST 60")) != AU_GO:
                return
            await self.topspin.call("XCMD", "zg")

    async def _stop_script(self) -> None:
        script, self.script = self.script, None
        if script is not None:
            await script.stop()

    # --------------------------------------------------------------------------------------------------------- the door

    async def _open_door(self) -> None:
        if self._pulls:
            return
        self._listener = await self.network.listen(port=self.port)
        self.port = self._listener.port
        self._door = asyncio.create_task(self._accept(self._listener), name="door of the agent")

    async def _close_door(self) -> None:
        """Nobody comes in any more, and who is in is cut off."""
        if self._door is not None:
            self._door.cancel()
            with suppress(asyncio.CancelledError):
                await self._door
        self._door = None
        await _end(self._guests)
        if self._listener is not None:
            await self._listener.close()
        self._listener = None

    async def _accept(self, listener: Listener) -> None:
        with suppress(NotReachable):
            while True:
                task = asyncio.create_task(self._serve(await listener.accept()))
                self._guests.add(task)
                task.add_done_callback(self._guests.discard)

    async def _serve(self, stream: ByteStream) -> None:
        try:
            if self.script is not None:
                await self.script.serve(Muffled(stream, self._silent))
        finally:
            await stream.close()

    # ----------------------------------------------------------------------------------------------------------- faults

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``drivers.topspin.faults`` lists them and their parameters)."""
        self.faults.inject(fault, parameters)

    def clear(self, fault: str) -> None:
        """Switch a fault off."""
        self.faults.clear(fault)
        if fault == "silent":
            self._silent.set()
        elif fault in ABSENT and self._alive:
            self._later(self._back())
        elif fault == "dialog":
            self.topspin.screen.click()
        else:
            self.people.cleared(fault)

    def click(self, answer: str = "ok") -> bool:
        """Somebody clicks the oldest dialog; False when there is none."""
        return self.topspin.screen.click(answer)

    def _switched(self, fault: str) -> None:
        self.twin.tell((self.clock.mono_ns() - self.twin.t0_mono_ns) / 1e9, "fault", instrument=self.settings.instrument, fault=fault)
        if fault == "silent":
            self._silent.clear()
        elif fault in ABSENT:
            self._later(self._gone(fault, self.faults[fault].get("seconds")))
        else:
            self.people.switched(fault)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _gone(self, fault: str, seconds: float | None) -> None:
        """The door, the script, or the whole program with it; the acquisition server goes on in every case."""
        async with self._moving:
            await self._close_door()
            if fault != "port_closed":
                await self._stop_script()
            if fault == "topspin_gone":
                await self.topspin.close()
        if seconds is not None:
            await self.clock.sleep(float(seconds))
            self.faults.clear(fault)
            await self._back()

    async def _back(self) -> None:
        """What is missing comes back, on the same port."""
        async with self._moving:
            if self.script is None:
                await self._start_script()
            if self._listener is None:
                await self._open_door()

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; files lie on the disk and are not in it, and the script starts anew."""
        return {
            "folder": str(self.folder),
            "port": self.port,
            "mono_ns": self.clock.mono_ns(),
            "topspin": self.topspin.snapshot(),
            "faults": self.faults.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot, in the same folder; call it before ``start``."""
        self.folder = Path(state["folder"])
        self.site = Site(self.options, self.folder, self.clock, self.faults)
        self.topspin.site = self.topspin.server.site = self.site
        self.port = state["port"]
        self.topspin.restore(state["topspin"], self.clock.mono_ns() - state["mono_ns"])
        self.faults.restore(state["faults"])


class Muffled:
    """A connection that passes nothing while it is silent."""

    def __init__(self, stream: ByteStream, passes: asyncio.Event) -> None:
        self._stream = stream
        self._passes = passes

    async def read(self, limit: int = 65536) -> bytes:
        """What has arrived, when it may pass."""
        data = await self._stream.read(limit)
        await self._passes.wait()
        return data

    async def write(self, data: bytes) -> None:
        """Write, when it may pass."""
        await self._passes.wait()
        await self._stream.write(data)

    async def close(self) -> None:
        """Close it."""
        await self._stream.close()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in list(tasks):
        if task is not asyncio.current_task():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
