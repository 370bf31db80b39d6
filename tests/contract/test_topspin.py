"""The TopSpin driver, and its agent's shipped file inside the emulator, under the contract of all consoles."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder, Axis, Filed
from drivers.errors import Rejected
from drivers.testing.bench import Bench, ConsoleBench, Run, on_bench
from drivers.testing.console_contract import ConsoleContract

DATASETS = {"7Li": "templates/7Li_metal/1", "23Na": "templates/23Na_0ppm/1"}
POINTS, WIDTH_Hz = 2048, 93458.0


def acquisition(nucleus: str) -> AcquisitionOrder:
    template = {"nucleus": nucleus, "dataset": DATASETS[nucleus], "points": POINTS, "carrier_ppm": 100.0}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=1, recycle_s=0.5)


class TestTopSpin(ConsoleContract):
    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path) -> Bench:
        orders = {nucleus: acquisition(nucleus) for nucleus in DATASETS}
        vendor = Vendor("topspin", repository, address=str(tmp_path))
        return vendor.bench(bench_run, bench_speed, orders, POINTS, WIDTH_Hz)

    @on_bench
    async def test_a_wide_line_is_stepped_through_in_data_sets_of_its_own(self, bench: ConsoleBench) -> None:
        carriers = Axis("carrier_ppm", (-100.0, 0.0, 200.0))
        order = bench.small_acquisition("wide", sequence="hahn_echo", blocks=3, per_block=carriers)
        async with bench.connected() as log:
            await bench.console.prepare(order)
            found = []
            for block in range(3):
                await bench.console.start("wide", block)
                while not any(event.block == block for event in log.of(Filed)):
                    await bench.clock.sleep(1.0)
                found.append((await bench.console.fetch("wide", block)).fid)
            offsets = [(fid.carrier_MHz / fid.reference_MHz - 1) * 1e6 for fid in found]
            assert offsets == pytest.approx(carriers.values, abs=0.1)

    @on_bench
    async def test_an_array_of_delays_that_nobody_unlocked_is_refused(self, bench: ConsoleBench) -> None:
        async with bench.connected():
            for name, sequence in (("TE_ms", "hahn_echo"), ("tau_ms", "saturation_recovery"), ("pulse_us", "nutation")):
                with pytest.raises(Rejected, match="site's pulse program"):
                    await bench.console.prepare(bench.small_acquisition("array", sequence=sequence, rows=Axis(name, (1.0, 2.0))))
            with pytest.raises(Rejected, match="cannot sweep"):
                await bench.console.prepare(bench.small_acquisition("array", rows=Axis("mixing_ms", (1.0, 2.0))))
