"""The Keithley driver and the emulated 2450 under the contract of all potentiostats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, Limits, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import Bench, PotentiostatBench, Run
from drivers.testing.potentiostat_contract import PotentiostatContract
from drivers.transport.real import RealNetwork

WIDE = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)

OPEN_CIRCUIT_A = 1e-6
"""The twin's current noise is 20 nA; the smallest step here is 400 times as large as this."""


async def left_in_high_impedance(network: Any, address: str) -> None:
    """As its last user left it; fresh from power-on its output is off in NORMAL, and the cell is loaded."""
    stream = await network.visa(address)
    await stream.write(b"*CLS\n:OUTP:CURR:SMOD HIMP\n:OUTP:VOLT:SMOD HIMP\n:OUTP?\n")
    assert await stream.read() == b"0\n"
    await stream.close()


@dataclass(frozen=True)
class AtNoCurrent:
    """The truth about a cell on a source-measure unit: its open circuit is 0 A with the output on (off, it could not measure)."""

    twin: Any
    before_C: float

    @property
    def t0_mono_ns(self) -> int:
        return int(self.twin.t0_mono_ns)

    def measure(self, t_s: float) -> Any:
        leads = self.twin.measure(t_s)
        return leads._replace(output_on=leads.output_on and abs(leads.current_A) > OPEN_CIRCUIT_A)

    def charge_C(self) -> float:
        return float(self.twin.charge_C()) - self.before_C


class TestKeithley(PotentiostatContract):
    rest_V = 0.0005
    limits = WIDE

    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path) -> Bench:
        description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
        description["cell"]["open_circuit_V"] = self.rest_V

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            network = memory_network() if bench_speed is None else RealNetwork()
            emulator: Any = make_emulator(Settings("emulator", "keithley2450", ""), Context(clock, network, Silence(), twin))
            address = (await emulator.start()).address
            await left_in_high_impedance(network, address)

            def another(identity: str = "") -> Any:
                settings = Settings("potentiostat", "keithley", address, identity=identity)
                return make_potentiostat(settings, Context(clock, network, Silence()))

            try:
                yield PotentiostatBench(
                    potentiostat=another(),
                    clock=clock,
                    truth=AtNoCurrent(twin, twin.charge_C()),
                    another=another,
                    current_A=4e-4,
                    upper_V=self.rest_V + 0.05,
                    lower_V=self.rest_V - 0.05,
                    rest_V=self.rest_V,
                    limits=self.limits,
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                    reboot=lambda: emulator.inject("reboot"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)


class TestKeithleyOnAFullCell(TestKeithley):
    """A cell that stands at 3.6 V: a voltage source at the cut-off, the current as its limit."""

    rest_V = 3.6
    limits = replace(WIDE, voltage_upper_V=4.3, voltage_lower_V=2.5)
