"""A magnet with one 7Li line, and a bench: the emulator, a sender of commands and a listener for the back channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.openvnmrj.emulator import OpenVnmrJEmulator
from drivers.sim.physics import Scan
from drivers.transport.memory import MemoryNetwork


class OneLine:
    """A Lorentzian at ``shift_ppm`` of 7Li; no noise; remembers what it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.shift_ppm = 100.0
        self.scans: list[Scan] = []

    def larmor_MHz(self, nucleus: str) -> float:
        if nucleus not in {"7Li", "23Na"}:
            raise ValueError(nucleus)
        return {"7Li": 116.642, "23Na": 79.39}[nucleus]

    def tell(self, t_s: float, what: str, **data: object) -> None:
        """Nobody listens."""

    def acquire(self, scan: Scan) -> np.ndarray:
        larmor = self.larmor_MHz(scan.nucleus)
        self.scans.append(scan)
        t = np.arange(scan.points) / scan.spectral_width_Hz
        offset_Hz = (larmor * (1 + self.shift_ppm * 1e-6) - scan.carrier_MHz) * 1e6
        return 100.0 * scan.scans * np.exp(2j * np.pi * offset_Hz * t - 500.0 * t)


class Desk:
    """Our side: sends commands to the port of ``.talk``, hears what the console writes back."""

    def __init__(self, clock: Clock, network: Any, vnmruser: Path, twin: Any = None, **options: Any) -> None:
        self.clock, self.network, self.vnmruser = clock, network, vnmruser
        self.twin = twin or OneLine(clock)
        self.context = Context(clock, network, Silence(), self.twin)
        self.console = OpenVnmrJEmulator(Settings("console", "openvnmrj", "", options={"vnmruser": str(vnmruser), **options}), self.context)
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self.console.start()
        self.listener = await self.network.listen()
        self.port = self.listener.port
        self._tasks = [asyncio.create_task(self._listen())]

    async def close(self) -> None:
        await self.listener.close()
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.console.stop()

    async def _listen(self) -> None:
        try:
            while True:
                stream = await self.listener.accept()
                text = b""
                while data := await stream.read():
                    text += data
                await stream.close()
                self.heard.put_nowait(text)
        except NotReachable:
            return

    async def send(self, *pieces: str | bytes) -> None:
        """One connection, one write a piece; a NUL behind text, as the original client does."""
        stream = await self.network.connect("127.0.0.1", self.console.port)
        for piece in pieces:
            await stream.write(piece if isinstance(piece, bytes) else piece.encode() + b"\0")
        await stream.close()

    async def hear(self, timeout_s: float = 1e6) -> str:
        async with asyncio.timeout(timeout_s):
            return (await self.heard.get()).decode("latin-1")

    async def ask(self, template: str, *expressions: str) -> str:
        """The query pattern: write('net', …) and the line that comes back."""
        arguments = "".join(f",{expression}" for expression in expressions)
        await self.send(f"write('net','127.0.0.1','{self.port}','{template}\\n'{arguments})")
        return (await self.hear()).rstrip("\n")

    async def acquire(self, name: str, extra: str = "nt=4 d1=1") -> str:
        done = f"svf(\\'{self.vnmruser}/{name}\\') write(\\'net\\',\\'127.0.0.1\\',\\'{self.port}\\',\\'DONE {name}\\\\n\\')"
        failed = f"write(\\'net\\',\\'127.0.0.1\\',\\'{self.port}\\',\\'FAIL {name}\\\\n\\')"
        await self.send(f"{extra} wexp='{done}' werr='{failed}' au")
        return (await self.hear()).rstrip("\n")


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(clock: Clock, network: Any = None, twin: Any = None, **options: Any) -> Any:
        made = Desk(clock, network or MemoryNetwork(), tmp_path / "vnmrsys", twin, **options)
        await made.open()
        try:
            yield made
        finally:
            await made.close()

    return make
