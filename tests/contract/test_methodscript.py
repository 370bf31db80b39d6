"""The MethodSCRIPT driver and its emulator under the contract of all potentiostats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


class TestMethodScript(PotentiostatContract):
    faults: tuple[str, ...] = ()

    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path) -> Bench:
        description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            network = memory_network() if bench_speed is None else RealNetwork()
            settings = Settings("emulator", "methodscript", "", options={"faults": list(self.faults)})
            emulator = make_emulator(settings, Context(clock, network, Silence(), twin))
            address = (await emulator.start()).address

            def another(identity: str = "") -> Any:
                settings = Settings("potentiostat", "methodscript", address, identity=identity)
                return make_potentiostat(settings, Context(clock, network, Silence()))

            try:
                yield PotentiostatBench(
                    potentiostat=another(),
                    clock=clock,
                    truth=twin,
                    another=another,
                    current_A=4e-4,
                    upper_V=0.05,
                    lower_V=-0.05,
                    rest_V=0.0005,
                    limits=WIDE,
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                    skew_clock=lambda: emulator.inject("clock_skew"),
                    reboot=lambda: emulator.inject("reboot_mid_step"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)


class TestMethodScriptInPieces(TestMethodScript):
    """The same over a line that cuts the output anywhere and lets control characters in."""

    faults = ("chunked", "stray_xon")
