"""Benches: of every potentiostat before its emulated instrument, and of the simulated pair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from potentiostat_stands import Stands
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Limits, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_potentiostat, memory_network
from drivers.testing.bench import Bench, ConsoleBench, PotentiostatBench, Run

TEMPLATE = {"points": 2048, "spectral_width_Hz": 93458.0, "carrier_ppm": 100.0}
WIDE = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)


def surroundings(repository: Path, clock: Clock) -> tuple[Any, Context]:
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
    return twin, Context(clock=clock, network=memory_network(), wire=Silence(), twin=twin)


def acquisition(nucleus: str) -> AcquisitionOrder:
    template = {"nucleus": nucleus, **TEMPLATE}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=1, recycle_s=0.5)


@pytest.fixture
def stand(bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path) -> Stands:
    """``stand("arbin")``: the bench of that driver before its emulated instrument."""
    return Stands(bench_run, bench_speed, repository, tmp_path)


@pytest.fixture
def sim_potentiostat(bench_run: Run, repository: Path) -> Bench:
    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
        twin, context = surroundings(repository, clock)

        def another(identity: str = "") -> Any:
            return make_potentiostat(Settings("potentiostat", "sim", "sim", identity=identity), context)

        potentiostat = another()
        yield PotentiostatBench(
            potentiostat=potentiostat,
            clock=clock,
            truth=twin,
            another=another,
            current_A=4e-4,
            upper_V=0.05,
            lower_V=-0.05,
            rest_V=0.0005,
            limits=WIDE,
            cut_link=lambda: potentiostat.inject("silent"),
            mend_link=lambda: potentiostat.clear("silent"),
        )

    return Bench(opened, bench_run)


@pytest.fixture
def sim_console(bench_run: Run, repository: Path, tmp_path: Path) -> Bench:
    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
        _, context = surroundings(repository, clock)

        def another(identity: str = "") -> Any:
            return make_console(Settings("console", "sim", "sim", identity=identity, options={"scratch": tmp_path}), context)

        console = another()
        yield ConsoleBench(
            console=console,
            clock=clock,
            another=another,
            orders={nucleus: acquisition(nucleus) for nucleus in ("7Li", "23Na")},
            points=TEMPLATE["points"],
            spectral_width_Hz=TEMPLATE["spectral_width_Hz"],
            cut_link=lambda: console.inject("silent"),
            mend_link=lambda: console.clear("silent"),
        )

    return Bench(opened, bench_run)
