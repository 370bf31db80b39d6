"""Errors become sentences and exit codes, in an environment that holds our own requirements and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.cli.app import run
from orchestrator.cli.exits import CONFIGURATION


@pytest.fixture(autouse=True)
def without_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "click", None)


def test_a_wrong_option_is_two_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--sped", "60"]) == CONFIGURATION
    assert "--sped" in capsys.readouterr().err


def test_an_unknown_command_is_two() -> None:
    assert run(["dmeo"]) == CONFIGURATION


def test_a_run_that_is_not_there_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "latest", "--out", str(tmp_path)]) == CONFIGURATION
    assert capsys.readouterr().err == f"no runs in {tmp_path}\n"


def test_a_run_without_a_rig_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", str(repository / "configs" / "experiments" / "li_li_plate_strip.yaml")]) == CONFIGURATION
    assert capsys.readouterr().err.startswith("no rig: name one with --rig")
