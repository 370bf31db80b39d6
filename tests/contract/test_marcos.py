"""The MaRCoS driver and the emulator, written by two people from the description alone, under the contract of all consoles."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder
from drivers.testing.bench import Bench, Run
from drivers.testing.console_contract import ConsoleContract

POINTS, WIDTH_Hz = 1024, 96000.0
H1_MHz = 7.05 * 42.577478
"""Of the field in which the twin's cell lies: beyond the console's first Nyquist zone."""


def acquisition(nucleus: str) -> AcquisitionOrder:
    template = {"nucleus": nucleus, "points": POINTS, "spectral_width_Hz": WIDTH_Hz, "carrier_ppm": 100, "pulse_us": 8}
    return AcquisitionOrder(key="small", name="small", nucleus=nucleus, template=template, scans=4, dummies=1, recycle_s=0.5)


class TestMarcos(ConsoleContract):
    @pytest.fixture
    def bench(self, bench_run: Run, bench_speed: float | None, repository: Path, tmp_path: Path) -> Bench:
        orders = {nucleus: acquisition(nucleus) for nucleus in ("7Li", "23Na")}
        vendor = Vendor("marcos", repository, driven={"H1_MHz": H1_MHz, "nyquist_zone": 2, "data_root": str(tmp_path / "scans")})
        return vendor.bench(bench_run, bench_speed, orders, POINTS, WIDTH_Hz)
