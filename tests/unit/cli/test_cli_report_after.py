"""`run` writes its report when everything else is over; what goes wrong with it changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from artificial_night import Night
from reported import clean, run_folder

from orchestrator import open_run
from orchestrator.cli.app import run as operando
from orchestrator.cli.report import report_after
from orchestrator.report import write

REST = ["--speed", "max", "--out", "runs"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A simulated rig as `init` makes it, and its first experiment: five minutes' rest with one spectrum."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(write, "draw", lambda folder, pictures: True)
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert operando(["init", "rig", "bench", "--defaults"]) == 0
    return "configs/experiments/first-bench.yaml"


def reports(folder: Path) -> list[Path]:
    return list(folder.glob("runs/*/report.html"))


def test_the_first_ten_minutes_after_the_demo(
    lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What benchmarks/ten_minutes.py times: a rig by init, check, doctor, run with its report, watch, open_run."""
    assert operando(["check", lab]) == 0
    assert operando(["doctor", "--rig", "configs/rigs/bench.yaml"]) in {0, 2}
    assert operando(["run", lab, *REST, "--no-report"]) == 0
    assert reports(tmp_path) == []
    monkeypatch.setenv("OPERANDO_REPORT", "1")
    capsys.readouterr()
    assert operando(["run", lab, *REST]) == 0
    (report,) = reports(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"  {report}    Complete (finished, as planned: every step was done)."
    assert "Complete (" in report.read_text("utf-8")
    assert operando(["watch", "--lines"]) == 0
    with open_run("runs/latest") as run:
        assert run.spectra["first"].intensity.shape[0] == 1
        assert run.spectra.plot("first").axes.xaxis_inverted()  # of a single spectrum: a curve


@pytest.mark.parametrize("error", [ValueError("a broken font"), KeyboardInterrupt()])
def test_a_report_that_cannot_be_written_is_told_and_no_more(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(folder: Path) -> None:
        raise error

    folder = run_folder(tmp_path / "run", clean(Night(samples=60, fids=1, points=64)))
    monkeypatch.setattr(write, "write_report", broken)
    report_after(folder, as_json=False)
    told = capsys.readouterr()
    assert "no report (" in told.err
    assert f"report {folder}" in told.err
    assert told.out == ""


def test_a_run_without_a_file_gets_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report_after(tmp_path, as_json=False)
    assert capsys.readouterr() == ("", "")
