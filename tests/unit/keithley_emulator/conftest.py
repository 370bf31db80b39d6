"""A tiny cell, and a bench: the emulator on a network, virtual or real, with a host that sends lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import Context, EmulatorAddress, Settings
from drivers.clock import Clock
from drivers.keithley.emulator import KeithleyEmulator
from drivers.sim.physics import Measured
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual


class CapacitorTwin:
    """E = 3.0 V + 100 Ω · I + Q / 100 F; no noise."""

    REST_V, RESISTANCE_ohm, CAPACITY_F = 3.0, 100.0, 100.0

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.charge = self.t_s = self.current_A = 0.0
        self.voltage_V: float | None = None
        self.output_on = False
        self.told: list[str] = []

    def _advance(self, t_s: float) -> None:
        assert t_s >= self.t_s, "time goes backwards"
        if self.voltage_V is not None:
            fade = np.exp(-(t_s - self.t_s) / (self.RESISTANCE_ohm * self.CAPACITY_F))
            begin_A = (self.voltage_V - self.REST_V - self.charge / self.CAPACITY_F) / self.RESISTANCE_ohm
            self.charge += begin_A * self.RESISTANCE_ohm * self.CAPACITY_F * (1 - fade)
            self.current_A = begin_A * fade
        else:
            self.charge += self.current_A * (t_s - self.t_s)
        self.t_s = t_s

    def open_circuit(self, t_s: float) -> None:
        self._advance(t_s)
        self.current_A, self.voltage_V, self.output_on = 0.0, None, False

    def drive_current(self, t_s: float, current_A: float) -> None:
        self._advance(t_s)
        self.current_A, self.voltage_V, self.output_on = current_A, None, True

    def drive_voltage(self, t_s: float, voltage_V: float) -> None:
        self._advance(t_s)
        self.voltage_V, self.output_on = voltage_V, True
        self._advance(t_s)

    def measure(self, t_s: float) -> Measured:
        self._advance(t_s)
        voltage_V = self.REST_V + self.RESISTANCE_ohm * self.current_A + self.charge / self.CAPACITY_F
        return Measured(t_s, voltage_V, self.current_A, self.output_on)

    def tell(self, t_s: float, what: str, **data: Any) -> None:
        self.told.append(str(data.get("fault", what)))


class Bench:
    """The emulator and one host connected to it."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = CapacitorTwin(clock)
        settings = Settings("smu", "keithley2450", "", options={"output_off": "HIMP", **options})
        self.emulator = KeithleyEmulator(settings, Context(clock, network, Silence(), self.twin))
        self.address: EmulatorAddress
        self.stream: Any = None
        self._waiting = b""

    async def begin(self) -> None:
        self.address = await self.emulator.start()
        await self.connect()

    async def connect(self) -> None:
        self.stream = await self.network.connect(self.address.host, self.address.port)

    async def send(self, *lines: str) -> None:
        for line in lines:
            await self.stream.write(line.encode() + b"\n")

    async def hear(self, within_s: float = 1000.0) -> str:
        async with asyncio.timeout(within_s):
            while b"\n" not in self._waiting:
                data = await self.stream.read()
                if not data:
                    raise EOFError
                self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line.decode("latin-1")

    async def ask(self, line: str, within_s: float = 1000.0) -> str:
        await self.send(line)
        return await self.hear(within_s)

    async def numbers(self, line: str) -> list[float]:
        return [float(text) for text in (await self.ask(line)).split(",")]

    async def error(self) -> int:
        return int((await self.ask("SYST:ERR?")).partition(",")[0])


Scene = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., Bench]:
    """Run a scene on a fresh bench in virtual time."""

    def run(scene: Scene, **options: Any) -> Bench:
        made: list[Bench] = []

        async def main(clock: Clock) -> None:
            bench = Bench(clock, MemoryNetwork(), **options)
            made.append(bench)
            await bench.begin()
            try:
                await scene(bench)
            finally:
                await bench.emulator.stop()

        run_virtual(main, epoch_utc_ns=1_800_000_000 * 10**9)
        return made[0]

    return run


@pytest.fixture
def make_bench() -> type[Bench]:
    """For other media than memory, or more than one life."""
    return Bench
