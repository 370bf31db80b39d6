"""The Arbin driver in front of the emulated MITS Pro under the contract of all potentiostats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import Cable
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, Limits, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import Bench, PotentiostatBench, Run
from drivers.testing.potentiostat_contract import PotentiostatContract
from drivers.transport.real import RealNetwork

WIDE = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)


class TestArbin(PotentiostatContract):
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
            emulator: Any = make_emulator(Settings("emulator", "arbin", ""), Context(clock, network, Silence(), twin))
            address, cable = (await emulator.start()).address, Cable(network)

            def another(identity: str = "") -> Any:
                options = {"min_voltage_V": -5.0, "max_current_A": 0.1}
                settings = Settings("cycler", "arbin", address, channel="1", identity=identity, options=options)
                return make_potentiostat(settings, Context(clock, cable, Silence()))

            try:
                yield PotentiostatBench(
                    potentiostat=another(),
                    clock=clock,
                    truth=twin,
                    another=another,
                    current_A=4e-4,
                    upper_V=self.rest_V + 0.05,
                    lower_V=self.rest_V - 0.05,
                    rest_V=self.rest_V,
                    limits=self.limits,
                    cut_link=cable.cut,
                    mend_link=cable.mend,
                    reboot=lambda: emulator.inject("power_lost"),
                    skew_clock=lambda: emulator.inject("clock_skew"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)
