"""The MaRCoS driver and the emulator, written by two people from the description alone, under the contract of all consoles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.testing.bench import Bench, ConsoleBench, Run
from drivers.testing.console_contract import ConsoleContract
from drivers.transport.real import RealNetwork

POINTS, WIDTH_Hz = 1024, 96000.0
H1_MHz = 7.05 * 42.577478
"""Of the field in which the twin's cell lies: beyond the console's first Nyquist zone."""


def acquisition(nucleus: str) -> AcquisitionOrder:
    template = {"nucleus": nucleus, "points": POINTS, "spectral_width_Hz": WIDTH_Hz, "carrier_ppm": 100, "pulse_us": 8}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=1, recycle_s=0.5)


class TestMarcos(ConsoleContract):
    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path) -> Bench:
        description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
        options = {"H1_MHz": H1_MHz, "nyquist_zone": 2, "data_root": str(tmp_path / "scans")}

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            network = memory_network() if bench_speed is None else RealNetwork()
            emulator = make_emulator(Settings("emulator", "marcos", ""), Context(clock, network, Silence(), twin))
            address = (await emulator.start()).address

            def another(identity: str = "") -> Any:
                settings = Settings("console", "marcos", address, identity=identity, options=options)
                return make_console(settings, Context(clock, network, Silence()))

            try:
                yield ConsoleBench(
                    console=another(),
                    clock=clock,
                    another=another,
                    orders={nucleus: acquisition(nucleus) for nucleus in ("7Li", "23Na")},
                    points=POINTS,
                    spectral_width_Hz=WIDTH_Hz,
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)
