"""The Spinsolve driver and the emulator, written by two people from the description alone, under the contract of all consoles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from drivers.base import AcquisitionOrder, Context, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.testing.bench import Bench, ConsoleBench, Run
from drivers.testing.console_contract import ConsoleContract
from drivers.transport.real import RealNetwork

ROOT = r"D:\opnmr"
OPTIONS = {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02}
WIDTH_ppm = {"7Li": 800, "23Na": 1600}
POINTS, WIDTH_Hz = 2048, 800 * 16.546 * 7.05


class Silence:
    """Nobody keeps the bytes."""

    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


def acquisition(nucleus: str) -> AcquisitionOrder:
    options = {"Bandwidth": WIDTH_ppm[nucleus], "CenterFrequency": 100}
    template = {"nucleus": nucleus, "acquisition_time_s": 0.02, "pulse_angle_deg": 90, "options": options}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=0, recycle_s=0.98)


class TestSpinsolve(ConsoleContract):
    @pytest.fixture(params=["real", "xsd"])
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
        description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            network = memory_network() if bench_speed is None else RealNetwork()
            chosen = {"folder": str(tmp_path), "shown_as": ROOT, "profile": request.param}
            emulator = make_emulator(Settings("emulator", "spinsolve", "", options=chosen), Context(clock, network, Silence(), twin))
            address = (await emulator.start()).address

            def another(identity: str = "") -> Any:
                settings = Settings("console", "spinsolve", address, identity=identity, options=OPTIONS)
                return make_console(settings, Context(clock, network, Silence()))

            try:
                yield ConsoleBench(
                    console=another(),
                    clock=clock,
                    another=another,
                    orders={nucleus: acquisition(nucleus) for nucleus in WIDTH_ppm},
                    points=POINTS,
                    spectral_width_Hz=WIDTH_Hz,
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)
