"""A magnet with one 7Li line, and a bench: the emulator, an agent that calls what it is told, and a caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.sim.physics import Scan
from drivers.topspin.emulator import TopSpinEmulator
from drivers.transport.memory import MemoryNetwork

AGENT = Path(__file__).parent / "remote_agent.py"


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


class Caller:
    """One connection to the agent."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._kept = b""

    async def call(self, *request: Any) -> Any:
        found = await self.reply(*request)
        assert "answer" in found, found
        return found["answer"]

    async def reply(self, *request: Any) -> dict[str, Any]:
        await self.stream.write((json.dumps(request) + "\n").encode())
        while b"\n" not in self._kept:
            data = await self.stream.read()
            assert data, "the agent closed the connection"
            self._kept += data
        line, _, self._kept = self._kept.partition(b"\n")
        return dict(json.loads(line))


class Desk:
    """The emulator with its agent, and whoever calls it."""

    def __init__(self, clock: Clock, network: Any, folder: Path, twin: Any = None, **options: Any) -> None:
        self.clock, self.network, self.folder = clock, network, folder
        self.twin = twin or OneLine(clock)
        self.context = Context(clock, network, Silence(), self.twin)
        settings = Settings("console", "topspin", "", options={"folder": str(folder), "agent": str(AGENT), "write_s": 0.1, **options})
        self.emulator = TopSpinEmulator(settings, self.context)
        self.callers: list[Caller] = []

    @property
    def root(self) -> Path:
        return self.emulator.site.root

    @property
    def screen(self) -> Any:
        return self.emulator.topspin.screen

    async def caller(self) -> Caller:
        made = Caller(await self.network.connect("127.0.0.1", self.emulator.port))
        self.callers.append(made)
        return made

    async def close(self) -> None:
        for caller in self.callers:
            await caller.stream.close()
        await self.emulator.stop()

    def target(self, expno: int = 101, name: str = "cellA") -> list[str]:
        return self.emulator.site.place(name, expno).words

    def path(self, expno: int = 101, name: str = "cellA") -> Path:
        return self.emulator.site.place(name, expno).path

    async def clone(self, agent: Caller, template: str = "7Li_metal", expno: int = 101, **parameters: str) -> Path:
        """What an agent does before ``zg``: clone, make current, set."""
        await agent.call("RE", self.emulator.topspin.template(template).words)
        await agent.call("WR", self.target(expno))
        await agent.call("RE", self.target(expno))
        for name, value in {"NS": "4", "D_1": "0.5", **parameters}.items():
            await agent.call("PUTPAR", name.replace("_", " ") if name[0] == "D" else name, value)
        return self.path(expno)

    async def acquired(self, agent: Caller, **options: Any) -> Path:
        path = await self.clone(agent, **options)
        await agent.call("XCMD", "zg")
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(clock: Clock, network: Any = None, twin: Any = None, restored: Any = None, **options: Any) -> Any:
        made = Desk(clock, network or MemoryNetwork(), tmp_path / "console", twin, **options)
        if restored is not None:
            made.emulator.restore(restored)
        try:
            await made.emulator.start()
            yield made
        finally:
            async with asyncio.timeout(30):
                await made.close()

    return make
