"""Figures of a run that took images: their data, drawn from these alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from orchestrator.report.imaging import write_pictures
from orchestrator.report.page import PICTURED, pictured
from orchestrator.report.redraw_pictures import picture, rows

SIZE = (6, 8)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Two series of two images, a map of each; a cluster in the second."""
    file = h5py.File(tmp_path / "entry.h5", "w")
    axes = {"y": np.arange(6.0), "z": np.arange(8.0) / 10}
    magnitude = np.arange(4 * 48, dtype=np.float32).reshape(4, *SIZE)
    images = {"magnitude": magnitude, "time": [0.0, 3600.0, 7200.0, 10800.0], "TE": [3.0, 20.0, 3.0, 20.0], **axes}
    for name, values in images.items():
        file[f"images/t2/{name}"] = values
    file["images/t2/key"] = ["a0-t2", "a0-t2", "a9-t2", "a9-t2"]
    T2, mask, cluster = np.full((2, *SIZE), 7.5), np.full((2, *SIZE), 2, np.uint8), np.zeros((2, *SIZE), np.uint8)
    T2[1, 2, 3], cluster[1, 2, 3], mask[:, 0, 0] = 16.2, 1, 1
    bins = np.arange(0.25, 40.0, 0.5)
    histogram = np.stack([np.histogram(each[np.where(mask[0] == 2)], np.arange(0.0, 40.25, 0.5))[0] for each in T2])
    for name, values in {
        "T2": T2,
        "mask": mask,
        "cluster": cluster,
        "bin": bins,
        "histogram": histogram,
        "time": [0.0, 7200.0],
        **axes,
    }.items():
        file[f"maps/t2/{name}"] = values
    yield SimpleNamespace(entry=file, spectra={})
    file.close()


def test_first_and_last_series_are_written_each_with_its_shortest_echo(run: Any, tmp_path: Path) -> None:
    assert write_pictures(run, tmp_path)
    told = {(row["kind"], row["which"]): row for row in rows(tmp_path / "pictures.csv")}
    assert [(told["image", which]["at_h"], told["image", which]["TE_ms"]) for which in ("first", "last")] == [("0", "3"), ("2", "3")]
    y_mm, z_mm, values = picture(tmp_path / told["image", "last"]["file"])
    assert (y_mm.size, z_mm.size) == SIZE
    assert values == pytest.approx(np.asarray(run.entry["images/t2/magnitude"][2]))
    assert np.isnan(picture(tmp_path / told["map", "first"]["file"])[2][0, 0]), "a pixel that is not determined is blank"


def test_the_histogram_tells_the_cluster_apart(run: Any, tmp_path: Path) -> None:
    write_pictures(run, tmp_path)
    first, last = (rows(tmp_path / f"histogram_t2_{which}.csv") for which in ("first", "last"))
    assert sum(float(row["of_them_cluster"]) for row in first) == 0
    assert [(row["T2_ms"], row["of_them_cluster"]) for row in last if float(row["of_them_cluster"])] == [("16.25", "1")]
    assert sum(float(row["pixels"]) for row in last) == 47


def test_a_run_without_images_has_no_such_figures(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "entry.h5", "w") as file:
        assert not write_pictures(SimpleNamespace(entry=file, spectra={}), tmp_path)  # type: ignore[arg-type]
    assert str(pictured(tmp_path)) == ""


def test_they_are_drawn_from_their_data_alone_and_shown_on_the_page(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_pictures(run, tmp_path)
    shutil.copy(Path(sys.modules["orchestrator.report.redraw_pictures"].__file__ or ""), tmp_path / "redraw_pictures.py")
    subprocess.run([sys.executable, "-I", str(tmp_path / "redraw_pictures.py")], check=True, cwd=tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"figure_images", "figure_T2"}
    shown = str(pictured(tmp_path))
    assert PICTURED["figure_T2"] in shown
    assert PICTURED["figure_spectra"] not in shown


class Spectra(dict[str, Any]):
    """Two spectra of one line far inside a wide axis, the second 30 degrees out of phase."""

    def __init__(self) -> None:
        t_s = np.arange(2048) / 2e5
        fids = [np.exp((2j * np.pi * 2000.0 - np.pi * 600.0) * t_s + 1j * np.deg2rad(phase_deg)) for phase_deg in (0.0, 30.0)]
        self.intensity = np.array([np.fft.fftshift(np.fft.fft(fid)).real for fid in fids])
        shift = np.fft.fftshift(np.fft.fftfreq(2048, 1 / 2e5)) / 100.0
        super().__init__(t_start=np.array([0.0, 7200.0]), chemical_shift=shift)

    def part(self, name: str, n: int) -> Any:
        """As ``Columns`` has it."""
        return getattr(self, name)[n]


def test_spectra_are_shown_where_their_line_is_and_in_one_phase(run: Any, tmp_path: Path) -> None:
    run.spectra["mrs"] = Spectra()
    write_pictures(run, tmp_path)
    first, last = (
        np.array([(float(row["shift_ppm"]), float(row["intensity"])) for row in rows(tmp_path / f"spectrum_mrs_{which}.csv")])
        for which in ("first", "last")
    )
    assert np.ptp(first[:, 0]) < 0.2 * 2000.0
    assert first[first[:, 1].argmax(), 0] == pytest.approx(20.0, abs=1.0)
    assert last[:, 1] == pytest.approx(first[:, 1], abs=0.03 * first[:, 1].max())


def test_nothing_is_drawn_after_the_last_spectrum() -> None:
    pytest.importorskip("matplotlib")
    from orchestrator.report.redraw import widths

    start, end = np.array([0.0, 16.0, 21.0, 51.5]), np.array([0.1, 16.1, 21.1, 51.6])
    assert widths(start, end)[-1] == 51.6
