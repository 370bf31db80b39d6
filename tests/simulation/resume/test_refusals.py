"""A run that may not be continued stays as it was found, says why and what to do, and can be continued afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.base import CellState, ChannelState
from drivers.clock import Clock, Stamp
from drivers.sim.potentiostat import SimPotentiostat
from orchestrator.rig.as_it_began import clock_again, same_clock
from orchestrator.rig.continuing import read_former
from orchestrator.rig.former_guard import FormerGuard
from orchestrator.rig.gather import CannotRun
from orchestrator.runner.resumption import NotResumable, Story

Survive = Callable[..., Any]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[ChannelState], None]:
    """What the instrument says of itself in the second life."""

    def says(state: ChannelState) -> None:
        real, asked = SimPotentiostat.read_state, []

        async def read_state(self: SimPotentiostat) -> ChannelState:
            asked.append(self)
            return await real(self) if self is asked[0] else state

        monkeypatch.setattr(SimPotentiostat, "read_state", read_state)

    return says


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (ChannelState(CellState.UNKNOWN, running=None, detail="?"), "nobody can read what the cell does"),
        (ChannelState(CellState.ON, running=True, step_key="x0001-theirs"), "it runs x0001-theirs, which is none of this run's next steps"),
        (ChannelState(CellState.ON, running=False), "the cell is on although none of our steps runs"),
    ],
)
def test_what_is_not_known_is_left_alone(survive: Survive, kill: Any, found: Any, state: ChannelState, says: str) -> None:
    found(state)
    night = survive(kill(200.0))
    outcome = night.ended.outcome
    assert (outcome.state, outcome.exit_code, outcome.cell) == ("not continued", 4, "untouched")
    assert says in outcome.reason
    for label in ("\n  sent: ", "\n  came back: ", "\n  done: nothing was started or stopped", "\n  you can: "):
        assert label in outcome.reason
    assert not night.of("run.ended")
    assert night.of("run.state")[-1].data["why"].startswith("not continued: ")
    drives = [one for one in night.truth if one.what == "drive" and one.data["drive"] == "current"]
    assert len(drives) == 1, "no current was started"
    assert read_former(night.folder).left.state == "running", "it can be continued later"


def test_a_run_that_has_ended_is_over(survive: Survive) -> None:
    night = survive()
    with pytest.raises(CannotRun, match="this run has ended \\(finished, as planned: every step was done\\)"):
        read_former(night.folder)


def test_a_folder_without_a_run_has_nothing_to_continue(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="there is nothing to continue"):
        read_former(tmp_path)
    with pytest.raises(NotResumable):
        Story().resumption()


def test_virtual_time_ended_with_its_process(survive: Survive, kill: Any, found: Any) -> None:
    found(ChannelState(CellState.UNKNOWN, running=None))
    night = survive(kill(200.0))
    with pytest.raises(CannotRun, match="virtual time"):
        clock_again(read_former(night.folder))


def test_the_clock_of_another_boot_is_another(survive: Survive) -> None:
    left = survive().left[0]
    from dataclasses import replace

    assert not same_clock(replace(left, clock={"boot_id": "another"}))
    stamp = Clock().stamp()
    here = replace(left, clock={}, last_told_ns=stamp.mono_ns - 5, last_utc_ns=stamp.utc_ns - 5)
    assert same_clock(here), "nobody says which boot it was, but UTC agrees"
    assert not same_clock(replace(here, last_utc_ns=stamp.utc_ns - 600 * 10**9))
    assert not same_clock(replace(here, last_told_ns=stamp.mono_ns + 10**12, last_utc_ns=stamp.utc_ns + 10**12))


def test_what_the_guard_has_written_becomes_events_once(tmp_path: Path) -> None:
    lines = [
        {"utc_ns": 5, "mono_ns": 10_000, "kind": "guard.started", "pid": 1, "start": 0.5},
        {"utc_ns": 6, "mono_ns": 20_000, "kind": "guard.safe", "confirmed": True, "detail": "", "heard": {"step_key": "s1", "age_s": 1e-5}},
        {"utc_ns": 7, "mono_ns": 30_000, "kind": "guard.new_word", "what": "of a later version"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"utc_ns": 8, "mono'
    (tmp_path / "guard.jsonl").write_text(text, "utf-8")
    told = list(FormerGuard(tmp_path).lines(1, Clock(), same_clock=True))
    assert [(kind, data["line"]) for kind, data, _ in told] == [("guard.safe", 1), ("guard.note", 2)]
    assert isinstance(told[0][2], Stamp)
    assert told[0][2].mono_ns == 20_000
    assert told[0][1]["heard"]["mono_ns"] == 10_000
    assert "of a later version" in told[1][1]["detail"]
