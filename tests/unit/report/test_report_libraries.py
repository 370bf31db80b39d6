"""What a report is written with is loaded while the observer closes the file; and what a figure of a long night costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from orchestrator.report.redraw import shade

LOADED = (
    "import sys; from orchestrator.report.libraries import take_in; {}; print(*(name in sys.modules for name in ('h5py', 'matplotlib')))"
)


@pytest.mark.parametrize(("what", "loaded"), [("take_in()", "True True"), ("pass", "False False")])
def test_the_libraries_come_when_they_are_asked_for_and_not_before(what: str, loaded: str) -> None:
    said = subprocess.run([sys.executable, "-c", LOADED.format(what)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == loaded


@pytest.mark.parametrize("intervals", [0, 1, 300])
def test_intervals_are_shaded_by_one_shape_however_many_they_are(intervals: int) -> None:
    axes = Figure().subplots()
    axes.plot([0.0, 400.0], [1.0, 2.0])
    before = axes.get_ylim()
    shade(axes, [{"start_h": str(n), "end_h": str(n + 0.5)} for n in range(intervals)])
    assert len(axes.patches) + len(axes.collections) == 1
    assert sum(len(shape.get_paths()) for shape in axes.collections) == intervals
    assert axes.get_ylim() == before
