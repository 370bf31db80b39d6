"""A recording that plays under the contract of all potentiostats. Its truth has no cell: no current flows anywhere, whatever is played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from recordings import Done, sampled, write_mpt
from wire_taps import Silence

from drivers.base import Context, Limits, Settings
from drivers.clock import Clock
from drivers.registry import make_potentiostat, memory_network
from drivers.testing.bench import Bench, PotentiostatBench, Run
from drivers.testing.potentiostat_contract import PotentiostatContract

REST_V, CURRENT_A = 0.0005, 3e-5
ROUND = (
    Done(310, 0.0),
    Done(310, CURRENT_A),
    Done(310, -CURRENT_A),
    Done(100, 0.0, REST_V + 0.001),
)


@dataclass
class NoLeads:
    voltage_V: float = REST_V
    current_A: float = 0.0
    output_on: bool = False


@dataclass
class NoCell:
    """The truth about a recording."""

    t0_mono_ns: int

    def measure(self, t_s: float) -> NoLeads:
        return NoLeads()

    def charge_C(self) -> float:
        return 0.0


class TestReplay(PotentiostatContract):
    """What is not asked of it: that current flows in the leads, and that it goes on when this program is gone."""

    test_a_second_connection_finds_the_step_running = None
    test_a_step_ends_at_its_charge = None
    test_read_state_tells_the_truth = None
    test_positive_current_is_oxidation_at_working = None
    test_the_samples_add_up_to_the_charge = None

    @pytest.fixture
    def bench(self, bench_run: Run, tmp_path: Path) -> Bench:
        path = tmp_path / "recorded"
        path.mkdir()
        for n, done in enumerate(ROUND * 3):
            write_mpt(path / f"{n:02}_recorded.mpt", sampled([done], REST_V, 1.0))

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
            def another(identity: str = "") -> Any:
                settings = Settings("cycler", "replay", str(path), identity=identity, simulated=True, recorded=True)
                return make_potentiostat(settings, Context(clock, memory_network(), Silence()))

            yield PotentiostatBench(
                potentiostat=another(),
                clock=clock,
                truth=NoCell(clock.mono_ns()),
                another=another,
                current_A=CURRENT_A,
                upper_V=REST_V + 0.05,
                lower_V=REST_V - 0.05,
                rest_V=REST_V,
                limits=Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0),
            )

        return Bench(opened, bench_run)
