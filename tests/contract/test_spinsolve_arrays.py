"""T1 and T2 on the emulated Spinsolve: the console's own delays or none, rows with times, what an abort leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console_stands import Laboratory, Vendor

from drivers.base import AcquisitionOrder, Axis, Filed
from drivers.errors import Rejected
from drivers.spinsolve.reader import Reader

ROOT = r"D:\opnmr"
TAU = Axis("tau_ms", (10.0, 37.6, 141.4, 531.8, 2000.0))
TE = Axis("TE_ms", (1.0, 3.76, 14.14, 53.2, 200.0))
RECYCLE_s = {"inversion_recovery": 7.0 - 2.0 - 0.02, "cpmg": 4.0 - 0.2 - 0.02}
"""With the longest delay and the acquisition they are repetitions of the menu."""


@pytest.fixture
def lay(repository: Path, tmp_path: Path) -> Callable[..., None]:
    emulated, driven = {"folder": str(tmp_path), "shown_as": ROOT}, {"data_root": ROOT, "path_map": {ROOT: "data"}}
    return Vendor("spinsolve", repository, emulated=emulated, driven=driven).laboratory(Laboratory)


def array(key: str, sequence: str, axis: Axis, **changes: Any) -> AcquisitionOrder:
    order = AcquisitionOrder(key, key, "7Li", {"acquisition_time_s": 0.02}, 4, 0, RECYCLE_s[sequence], sequence=sequence, rows=axis)
    return replace(order, **changes)


async def acquired(bench: Laboratory, order: AcquisitionOrder) -> Any:
    read_back = await bench.console.prepare(order)
    assert not read_back.deviations
    await bench.console.start(order.key)
    await bench.log.until(Filed, len(bench.log.of(Filed)) + 1, within_s=3600.0)
    return await bench.console.fetch(order.key, 0)


def test_rows_have_delays_and_times_of_their_own(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        inverted = await acquired(bench, array("t1", "inversion_recovery", TAU))
        assert inverted.fid.data.shape[0] == 5
        assert (inverted.fid.scans, inverted.partial) == (4, False)
        assert np.vdot(inverted.fid.data[0, :100], inverted.fid.data[-1, :100]).real < 0
        each_s = 4 * 7.0
        assert inverted.row_s == pytest.approx(np.array([[n, n + 1] for n in range(5)]) * each_s)
        faded = await acquired(bench, array("t2", "cpmg", TE))
        assert np.all(np.diff(np.abs(np.fft.fft(faded.fid.data[:3], axis=1)).max(axis=1)) < 0)
        again = bench.another()
        await again.connect()
        assert np.array_equal((await again.fetch("t1", 0)).fid.data, inverted.fid.data)
        await again.release()
        folder = inverted.files[0].path.parent
        assert Reader().lacking(folder) == ""
        assert np.array_equal(Reader().read(folder, "t1").fid.data, inverted.fid.data)
        (folder / "data.2d").write_bytes((folder / "data.2d").read_bytes()[:-8])
        assert "its header says" in Reader().lacking(folder)

    lay(test)


def test_an_aborted_array_keeps_the_rows_that_are_whole(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        await bench.console.prepare(array("cut", "inversion_recovery", TAU))
        await bench.console.start("cut")
        await bench.clock.sleep(2.5 * 4 * 7.0 + 1.0)
        await bench.console.halt("cut")
        await bench.log.until(Filed, within_s=600.0)
        cut = await bench.console.fetch("cut", 0)
        assert cut.partial
        assert cut.fid.data.shape[0] == 2
        assert cut.row_s.shape == (2, 2)
        assert np.all(np.abs(cut.fid.data).max(axis=1) > 0)

    lay(test)


def test_the_console_chooses_the_delays_and_says_which(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        own = array("t1", "inversion_recovery", Axis("tau_ms", (1.0, 10.0, 100.0, 500.0, 2000.0)))
        with pytest.raises(Rejected, match="chooses its delays itself") as caught:
            await bench.console.prepare(own)
        assert "tau_ms: [10, 37.61, 141.4, 531.8, 2000]" in str(caught.value)
        stated = replace(own, template={**own.template, "shown": {"delays_ms": list(own.rows.values)}})
        await bench.console.prepare(stated)  # whoever has looked at the screen knows better
        for order, said in (
            (replace(own, rows=Axis("tau_ms", (10.0, 2000.0))), "NumberOfSteps is one of"),
            (replace(own, rows=Axis("tau_ms", (*TAU.values[:-1], 2100.0))), "MaximumInversionTime is one of"),
            (replace(own, rows=Axis("TE_ms", TAU.values)), "array of tau_ms"),
            (replace(own, sequence="saturation_recovery"), "ask for `series: ir_T1`"),
            (replace(own, nucleus="23Na", rows=TAU), "no protocol for 23Na by inversion_recovery"),
        ):
            with pytest.raises(Rejected, match=said):
                await bench.console.prepare(order)

    lay(test)
