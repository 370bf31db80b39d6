"""Run folders are read by several processes, each with a working folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.rig.folders import answering, home, new_run_folder, state_folder


def test_a_relative_out_makes_an_absolute_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = new_run_folder(Path("runs"), "demo", 0)
    assert folder == tmp_path / "runs" / "19700101T000000Z_demo"
    assert (folder / "raw").is_dir()


def test_a_simulated_rig_leaves_nothing_outside_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPERANDO_HOME", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    assert state_folder("sim", simulated=True) == tmp_path / "operando" / "state" / "sim"
    assert tmp_path not in state_folder("magnet").parents, "a real rig is held for all environments of a user"
    state_folder("sim", simulated=True).mkdir(parents=True)
    (state_folder("sim", simulated=True) / "control.json").touch()
    assert state_folder("sim", simulated=True) in answering(), "status and stop find it"
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    assert home() == home(simulated=True) == tmp_path / "home"
    assert answering() == []
