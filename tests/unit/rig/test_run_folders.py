"""Run folders are read by several processes, each with a working folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.rig.folders import new_run_folder


def test_a_relative_out_makes_an_absolute_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = new_run_folder(Path("runs"), "demo", 0)
    assert folder == tmp_path / "runs" / "19700101T000000Z_demo"
    assert (folder / "raw").is_dir()
