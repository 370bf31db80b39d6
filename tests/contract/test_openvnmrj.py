"""The OpenVnmrJ driver and its emulator under the contract of all consoles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder, Filed, Progress
from drivers.testing.bench import Bench, ConsoleBench, Run, on_bench
from drivers.testing.console_contract import ConsoleContract

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
        orders = {nucleus: acquisition(nucleus) for nucleus in ("7Li", "23Na")}
        vendor = Vendor("openvnmrj", repository, address=str(tmp_path), emulated=options, driven=options)
        return vendor.bench(bench_run, bench_speed, orders, TEMPLATE["points"], TEMPLATE["spectral_width_Hz"])


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
