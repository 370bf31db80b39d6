"""A tiny cell, and a bench: the emulator on a line, virtual or real, with a host that reads lines."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.methodscript.emulator import MethodScriptEmulator
from drivers.sim.physics import Measured
from drivers.transport.memory import MemoryNetwork


class ResistorTwin:
    """E = 3.7 V + 100 Ω · I + Q / 10 kF; no noise."""

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.rest_V, self.resistance_ohm, self.capacity_F = 3.7, 100.0, 1e4
        self.charge = self.t_s = self.current_A = 0.0
        self.voltage_V: float | None = None
        self.output_on = False
        self.calls: list[tuple[str, float, float]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []

    def _advance(self, t_s: float) -> None:
        assert t_s >= self.t_s, "time goes backwards"
        if self.voltage_V is not None:
            self.current_A = (self.voltage_V - self.rest_V - self.charge / self.capacity_F) / self.resistance_ohm
        self.charge += self.current_A * (t_s - self.t_s)
        self.t_s = t_s

    def open_circuit(self, t_s: float) -> None:
        self._advance(t_s)
        self.current_A, self.voltage_V, self.output_on = 0.0, None, False
        self.calls.append(("open", t_s, 0.0))

    def drive_current(self, t_s: float, current_A: float) -> None:
        self._advance(t_s)
        self.current_A, self.voltage_V, self.output_on = current_A, None, True
        self.calls.append(("current", t_s, current_A))

    def drive_voltage(self, t_s: float, voltage_V: float) -> None:
        self._advance(t_s)
        self.voltage_V, self.output_on = voltage_V, True
        self._advance(t_s)
        self.calls.append(("voltage", t_s, voltage_V))

    def measure(self, t_s: float) -> Measured:
        self._advance(t_s)
        return Measured(
            t_s, self.rest_V + self.resistance_ohm * self.current_A + self.charge / self.capacity_F, self.current_A, self.output_on
        )

    def impedance(self, t_s: float, frequency_Hz: np.ndarray) -> np.ndarray:
        self._advance(t_s)
        return self.resistance_ohm / (1 + 2j * np.pi * frequency_Hz * 1e-5 * self.resistance_ohm)

    def larmor_MHz(self, nucleus: str) -> float:
        return {"7Li": 155.5, "23Na": 105.8}[nucleus]

    def acquire(self, scan: Any) -> np.ndarray:
        raise NotImplementedError

    def tell(self, t_s: float, what: str, **data: Any) -> None:
        self.told.append((what, data))

    def charge_C(self) -> float:
        return self.charge

    def snapshot(self) -> dict[str, Any]:
        names = ("rest_V", "resistance_ohm", "capacity_F", "charge", "t_s", "current_A", "voltage_V", "output_on")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Any) -> None:
        self.__dict__.update(state)


class Host:
    """A program at the other end of the line."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, text: str) -> None:
        await self.stream.write(text.encode())

    async def line(self, timeout_s: float = 1e6) -> str:
        async with asyncio.timeout(timeout_s):
            while b"\n" not in self.buffer:
                data = await self.stream.read()
                if not data:
                    raise EOFError
                self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode("latin-1")

    async def lines(self, count: int) -> list[str]:
        return [await self.line() for _ in range(count)]

    async def until_empty(self) -> list[str]:
        """All lines up to the empty one, which is left out."""
        found: list[str] = []
        while line := await self.line():
            found.append(line)
        return found

    async def run(self, script: str) -> list[str]:
        """Execute a script and return its whole stream after the echo."""
        await self.send(f"e\n{script.strip()}\n\n")
        assert await self.line() == "e"
        return await self.until_empty()

    async def quiet(self, seconds: float) -> bytes:
        """Whatever arrives within so many seconds; what came at the very end lies in the host's own buffer already."""
        for within_s in (seconds, 0.0):
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while data := await self.stream.read():
                        self.buffer += data
        found, self.buffer = self.buffer, b""
        return found


class Bench:
    """Everything of one test: clock, twin, network, emulator and a host on its line."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = ResistorTwin(clock)
        self.context = Context(clock, network, Silence(), self.twin)
        self.emulator = MethodScriptEmulator(Settings("potentiostat", "methodscript", "", options=options), self.context)
        self.address = ""
        self.host: Host = None  # type: ignore[assignment]

    async def open(self) -> Host:
        self.host = Host(await self.network.serial(self.emulator.line.address))
        return self.host


@pytest.fixture
def bench() -> Any:
    """``async with bench(clock, **options) as b`` inside ``run_virtual``; ``network=`` for real media."""

    @asynccontextmanager
    async def make(clock: Clock, network: Any = None, **options: Any) -> Any:
        made = Bench(clock, network or MemoryNetwork(), **options)
        made.address = (await made.emulator.start()).address
        await made.open()
        try:
            yield made
        finally:
            await made.host.stream.close()
            await made.emulator.stop()

    return make
