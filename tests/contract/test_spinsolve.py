"""The Spinsolve driver and the emulator, written by two people from the description alone, under the contract of all consoles."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder
from drivers.testing.bench import Bench, Run
from drivers.testing.console_contract import ConsoleContract

ROOT = r"D:\opnmr"
OPTIONS = {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02}
WIDTH_ppm = {"7Li": 800, "23Na": 1600}
POINTS, WIDTH_Hz = 2048, 800 * 16.546 * 7.05


def acquisition(nucleus: str) -> AcquisitionOrder:
    options = {"Bandwidth": WIDTH_ppm[nucleus], "CenterFrequency": 100}
    template = {"nucleus": nucleus, "acquisition_time_s": 0.02, "pulse_angle_deg": 90, "options": options}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=0, recycle_s=0.98)


class TestSpinsolve(ConsoleContract):
    @pytest.fixture(params=["real", "xsd"])
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
        orders = {nucleus: acquisition(nucleus) for nucleus in WIDTH_ppm}
        vendor = Vendor(
            "spinsolve", repository, emulated={"folder": str(tmp_path), "shown_as": ROOT, "profile": request.param}, driven=OPTIONS
        )
        return vendor.bench(bench_run, bench_speed, orders, POINTS, WIDTH_Hz)
