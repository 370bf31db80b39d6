"""`operando pack` and `operando prune`: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.cli.app import run
from orchestrator.recorder.recover import recover

JOURNAL = Path(__file__).parents[2] / "golden" / "journals" / "v1.sqlite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run without raw files."""
    made = tmp_path / "20261122T000000Z_night"
    made.mkdir()
    shutil.copy(JOURNAL, made / "journal.sqlite")
    return made


def test_pack_then_prune_then_verify(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recover(folder)
    assert run(["pack", "latest", "--out", str(tmp_path)]) == 0
    assert "% saved" in capsys.readouterr().out
    assert run(["pack", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(["verify", str(folder), "--digest"]) == 0
    assert capsys.readouterr().out.strip() == (JOURNAL.with_suffix(".digest")).read_text().strip()


def test_a_run_that_is_not_closed_out_is_refused_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pack", "prune"):
        assert run([command, str(folder)]) == 2
        said = capsys.readouterr().err
        assert "no close-out" in said
        assert "Traceback" not in said
    assert (folder / "journal.sqlite").exists()


def test_recover_of_a_pruned_run_is_an_error_that_says_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "journal.sqlite").unlink()
    (folder / "pruned.json").write_text(json.dumps({"pruned_utc": "2026-11-22T00:00:00Z"}))
    assert run(["recover", str(folder)]) == 1
    assert "was pruned at 2026-11-22" in capsys.readouterr().out
