"""The OpenVnmrJ driver and its emulator under the contract of all consoles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Filed, Progress, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.testing.bench import Bench, ConsoleBench, Run, on_bench
from drivers.testing.console_contract import ConsoleContract
from drivers.transport.real import RealNetwork

TEMPLATE = {"points": 2048, "spectral_width_Hz": 93458.0, "carrier_ppm": 100.0}


def acquisition(nucleus: str) -> AcquisitionOrder:
    template = {"nucleus": nucleus, **TEMPLATE}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=1, recycle_s=0.5)


class TestOpenVnmrJ(ConsoleContract):
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path, options: dict[str, Any]) -> Bench:
        description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[ConsoleBench]:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            network = memory_network() if bench_speed is None else RealNetwork()
            emulator = make_emulator(
                Settings("emulator", "openvnmrj", str(tmp_path), options=options), Context(clock, network, Silence(), twin)
            )
            address = (await emulator.start()).address

            def another(identity: str = "") -> Any:
                settings = Settings("console", "openvnmrj", address, identity=identity, options=options)
                return make_console(settings, Context(clock, network, Silence()))

            try:
                yield ConsoleBench(
                    console=another(),
                    clock=clock,
                    another=another,
                    orders={nucleus: acquisition(nucleus) for nucleus in ("7Li", "23Na")},
                    points=TEMPLATE["points"],
                    spectral_width_Hz=TEMPLATE["spectral_width_Hz"],
                    cut_link=lambda: emulator.inject("silent"),
                    mend_link=lambda: emulator.clear("silent"),
                )
            finally:
                await emulator.stop()

        return Bench(opened, bench_run)


class TestOpenVnmrJBehindAFirewall(TestOpenVnmrJ):
    """Its answers come as files: no connection is made from the console to us."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"back_channel": "file"}


class TestOpenVnmrJWithInfostat:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"infostat_port": 47_120}

    bench = TestOpenVnmrJ.bench

    @on_bench
    async def test_scans_are_told_as_they_come(self, bench: ConsoleBench) -> None:
        assert bench.console.capabilities.progress
        async with bench.connected() as log:
            order = bench.small_acquisition("told", scans=8)
            await bench.console.prepare(order)
            await bench.console.start("told")
            await log.until(Filed)
            told = [event.scans_done for event in log.of(Progress)]
            assert told == sorted(set(told))
            assert len(told) >= 3, "once a second"
            assert max(told) <= 8
