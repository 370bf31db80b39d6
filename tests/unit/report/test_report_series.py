"""What of a night gets a panel of its own on the figure along time."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.report.redraw import series


def written(folder: Path, name: str, *spans_h: tuple[float, float]) -> Path:
    path = folder / f"waterfall_{name}.csv"
    path.write_text("\n".join(["t_start_h,t_end_h,10.0", *(f"{start},{end},1" for start, end in spans_h)]) + "\n", "utf-8")
    return path


def test_spectra_of_the_preparation_alone_have_no_panel(tmp_path: Path) -> None:
    reference = written(tmp_path, "reference", (0.1, 0.2))
    metal = written(tmp_path, "metal", (0.3, 0.4), (9.0, 9.1))
    assert series([metal, reference]) == [metal]


@pytest.mark.parametrize("names", [("only",), ()])
def test_a_run_of_one_spectrum_has_its_panel(tmp_path: Path, names: tuple[str, ...]) -> None:
    maps = [written(tmp_path, name, (0.1, 0.2)) for name in names]
    assert series(maps) == maps
