"""Hosts killed in mid-night: what outlives them brings the cell to its declared state, and every such night can be had again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nights.killed import Killed, die_and_live_on, the_cell_comes_to_its_declared_state
from nights.schedule import Night, killed_night
from nights.seeds import check
from orchestrator.recorder.digest import digest
from orchestrator.rig.survivors import SURVIVORS
from orchestrator.rig.truth import read_truth


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_cell_of_a_killed_host(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path, killed=True)


def early(**changes: object) -> Night:
    """A night killed 400 s in, under current, with an instrument that answers."""
    night = next(night for seed in range(100) if "within 60 s" in (night := killed_night(seed)).experiment)
    return replace(night, faults=(), killed_s=400.0, away_s=120.0, **changes)


def lived_on(folder: Path, night: Night) -> Killed:
    killed = die_and_live_on(night, folder)
    assert killed is not None
    return killed


def test_a_killed_night_is_the_same_again(tmp_path: Path) -> None:
    """Two processes each time, and still one truth: snapshot and restore lose nothing."""
    first, second = (lived_on(tmp_path / name, early()) for name in ("first", "second"))
    truths = [
        [(one.t_s, one.what, one.data) for one in read_truth(one.lived.folder / "emulated" / "truth.jsonl")] for one in (first, second)
    ]
    assert truths[0] == truths[1]
    assert digest(first.lived.folder / "run.h5") == digest(second.lived.folder / "run.h5")
    state = json.loads((first.lived.folder / "emulated" / SURVIVORS).read_text("utf-8"))
    assert state["mono_ns"] == pytest.approx(400e9, abs=1e6)
    assert not first.lived.cell.off_at(first.died_s), "killed under current"
    assert first.lived.cell.off_at(first.died_s + 60.0)
    assert first.safe
    assert [line["kind"] for line in first.lived.guard] == ["guard.acting", "guard.fenced", "guard.acted"]


def test_a_cell_that_nobody_brings_to_open_circuit_is_found(tmp_path: Path) -> None:
    killed = lived_on(tmp_path, early())
    killed.lived.cell.drives = killed.lived.cell.drives[:-1]
    killed.lived.cell.drives[-1] = replace(killed.lived.cell.drives[-1], end_s=float("inf"))
    assert len(list(the_cell_comes_to_its_declared_state(killed))) == 2


def test_only_a_wire_that_is_out_just_then_excuses_a_cell_that_is_left_on(tmp_path: Path) -> None:
    killed = lived_on(tmp_path, replace(early(), faults=("methodscript.port_vanishes:after_s=100,seconds=5,power_lost=false",)))
    killed.lived.cell.drives = killed.lived.cell.drives[:-1]
    killed.lived.cell.drives[-1] = replace(killed.lived.cell.drives[-1], end_s=float("inf"))
    assert list(the_cell_comes_to_its_declared_state(killed))
    killed.lived.night = replace(killed.lived.night, faults=("methodscript.port_vanishes:after_s=100,seconds=500,power_lost=false",))
    killed.safe = False
    assert list(the_cell_comes_to_its_declared_state(killed)) == []
