"""A report about several runs of one cell: one axis of time, charge counted on, one verdict."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artificial_night import Night, S
from reported import clean, run_folder

from orchestrator.cli.app import run as operando
from orchestrator.model.events import Event
from orchestrator.recorder.reader import open_run
from orchestrator.report.several import NotOneCell, write_several

LATER_h = 30.0
FIRST = Night(samples=300, fids=3, points=256)
SECOND = Night(samples=200, fids=2, points=256, seed=8, epoch_ns=FIRST.epoch_ns + round(LATER_h * 3600) * S)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [run_folder(folder / "20260101T000000Z_a", clean(FIRST)), run_folder(folder / "20260102T060000Z_b", clean(SECOND))]


@pytest.fixture(autouse=True)
def without_figure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing costs seconds; one test draws."""
    if "figure" not in request.node.name:
        monkeypatch.setattr("orchestrator.report.several.draw", lambda folder: True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_runs_lie_on_one_axis_of_time_and_charge_is_counted_on(runs: list[Path], tmp_path: Path) -> None:
    written = write_several(list(reversed(runs)), tmp_path / "x")
    assert written.verdict.complete
    cell = rows(tmp_path / "x" / "report" / "electrochemistry.csv")
    times = [float(row["time_h"]) for row in cell if row["time_h"]]
    assert times == sorted(times)
    gaps = [n for n, row in enumerate(cell) if not row["time_h"]]
    assert len(gaps) == 2  # after each run the line is lifted
    assert float(cell[gaps[0] + 1]["time_h"]) == pytest.approx(LATER_h, abs=0.01)
    areas = rows(tmp_path / "x" / "report" / "areas.csv")
    with open_run(runs[0]) as first, open_run(runs[1]) as second:
        before = first.electrochemistry["charge_net"][-1]
        own = (second.fid["li"]["charge_start"] + second.fid["li"]["charge_end"]) / 2
    assert {round(float(row["charge_mAh"]), 6) for row in areas[-2:]} <= {round(before + one, 6) for one in own}
    assert max(abs(float(row["relative"])) for row in areas) == pytest.approx(1.0)


def test_spectra_of_all_runs_stand_in_one_waterfall(runs: list[Path], tmp_path: Path) -> None:
    write_several(runs, tmp_path / "x")
    spectra = rows(tmp_path / "x" / "report" / "waterfall_li.csv")
    assert len(spectra) == 5
    assert float(spectra[3]["t_start_h"]) > LATER_h
    shift = np.array([float(ppm) for ppm in list(spectra[0])[2:]])
    with open_run(runs[1]) as second:
        line = second.spectra["li"]
        peak = line["chemical_shift"][np.abs(line.part("intensity", 0)).argmax()]
    shown = np.array([float(value or 0.0) for value in list(spectra[3].values())[2:]])
    assert shift[shown.argmax()] == pytest.approx(peak, abs=2 * (shift[1] - shift[0]) if shift[1] > shift[0] else 5.0)


def test_the_page_says_which_runs_and_how_far_each_came(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["report", *map(str, runs), "--to", str(tmp_path / "x"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = Path(told["file"]).read_text("utf-8")
    assert told["complete"] is True
    assert "cell-17: 2 runs" in page
    assert all(run.name in page for run in runs)
    assert "All 2 runs are complete." in page
    assert "<script" not in page


def test_the_figure_is_drawn_from_the_joined_data(runs: list[Path], tmp_path: Path) -> None:
    assert write_several(runs, tmp_path / "x").has_figure
    assert (tmp_path / "x" / "report" / "figure.svg").stat().st_size > 10_000


def test_one_bad_run_is_named(runs: list[Path], tmp_path: Path) -> None:
    bad = run_folder(tmp_path / "bad", clean(SECOND), closed=False)
    written = write_several([runs[0], bad], tmp_path / "x")
    assert not written.verdict.complete
    assert "Of 2 runs 1 are not complete: bad." in (tmp_path / "x" / "report.html").read_text("utf-8")


def of_cell(event: Event, name: str) -> Event:
    return replace(event, data={**event.data, "cell": {"id": name}}) if event.kind == "run.started" else event


def test_runs_of_two_cells_are_refused_and_so_is_one_run(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run_folder(tmp_path / "other", [of_cell(event, "cell-18") for event in clean(SECOND)])
    with pytest.raises(NotOneCell, match="cell-17, cell-18"):
        write_several([runs[0], other], tmp_path / "x")
    with pytest.raises(NotOneCell, match="needs two"):
        write_several([runs[0], runs[0]], tmp_path / "x")
    assert operando(["report", str(runs[0]), str(other), "--to", str(tmp_path / "x")]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_runs_of_a_cell_are_those_of_its_record(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.rig.cells import CellLedger

    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    record = tmp_path / "home" / "cells" / "cell-17.yaml"
    record.parent.mkdir(parents=True)
    record.write_text("id: cell-17\n", "utf-8")
    for run in runs:
        CellLedger(record).begin_run(run.name, run, None, simulated=True)
    gone = shutil.copytree(runs[0], tmp_path / "gone")
    CellLedger(record).begin_run("gone", gone, None, simulated=True)
    shutil.rmtree(gone)
    assert operando(["report", "--cell", "cell-17", "--out", str(tmp_path)]) == 0
    assert "cell-17: 2 runs" in (tmp_path / "cell-17_report" / "report.html").read_text("utf-8")
    assert operando(["report", "--cell", "cell-99", "--out", str(tmp_path)]) == 2
