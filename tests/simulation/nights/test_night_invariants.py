"""Each invariant holds after a quiet night, and says so when what it watches is spoilt."""

from __future__ import annotations

import copy
import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nights import invariants
from nights.invariants import INVARIANTS, broken
from nights.live import Lived, live
from nights.schedule import FAULTS, Night, killed_night, night_of
from nights.seeds import complaints, replay, soak
from nights.truth import Drive
from orchestrator.model.events import Event
from orchestrator.rig.faults import HOST, TWIN, share_out
from orchestrator.rig.host import HOST_FAULTS

QUIET = """version: 1
experiment: quiet
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_1k, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 3 minutes, nmr: {fast: [at start, every 1 minute]}}
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return live(Night(1, QUIET, ("host.broker_gone:after_s=90,for_s=60,hangs=true",)), tmp_path_factory.mktemp("night"))


@pytest.fixture
def lived(quiet: Lived) -> Lived:
    """A copy whose events, guard and cell may be spoilt."""
    events = [dataclasses.replace(event, data=copy.deepcopy(event.data)) for event in quiet.events]
    spoilt = dataclasses.replace(quiet, events=events, guard=[], cell=copy.copy(quiet.cell))
    spoilt.cell.drives = list(quiet.cell.drives)
    return spoilt


def test_a_quiet_night_is_whole(quiet: Lived) -> None:
    assert broken(quiet) == []
    assert quiet.ended.outcome.complete
    assert [drive.what for drive in quiet.cell.drives if drive.on] == ["current"]
    assert quiet.cell.charge_C(0.0, quiet.until_s) == pytest.approx(-0.4e-3 * 180.0, rel=1e-3)


def last(lived: Lived, kind: str) -> Event:
    return lived.of(kind)[-1]


def change(lived: Lived, kind: str, **data: Any) -> None:
    last(lived, kind).data.update(data)


def without(lived: Lived, kind: str) -> None:
    lived.events.remove(last(lived, kind))


def late(lived: Lived, kind: str) -> None:
    """All of a kind happened years later."""
    lived.events[:] = [dataclasses.replace(event, mono_ns=1 << 60) if event.kind == kind else event for event in lived.events]


def drive_on(lived: Lived, value_A: float = -0.4e-3) -> None:
    """The last open circuit never came."""
    lived.cell.drives[-1] = Drive(lived.cell.drives[-1].begin_s, float("inf"), "current", value_A)


def outcome(lived: Lived, **changes: Any) -> None:
    lived.ended = dataclasses.replace(lived.ended, outcome=dataclasses.replace(lived.ended.outcome, **changes))


def beyond(lived: Lived) -> None:
    """The cell stands at 2 V all the time."""
    lived.cell.leads = lambda _t_s: (2.0, 0.0)  # type: ignore[method-assign]


def passes(lived: Lived, charge_C: float) -> None:
    lived.cell.charge_C = lambda _begin_s, _end_s: charge_C  # type: ignore[method-assign]


SPOILT: list[tuple[str, Callable[[Lived], object]]] = [
    ("nothing_of_ours_broke", lambda n: outcome(n, exit_code=1)),
    ("nothing_of_ours_broke", lambda n: outcome(n, reason="a fault of this program: KeyError: 'x'")),
    ("it_ended_once", lambda n: without(n, "run.ended")),
    ("it_ended_once", lambda n: outcome(n, exit_code=3)),
    ("it_ended_once", lambda n: outcome(n, reason="the guard ended the run: no heartbeat")),
    ("every_acquisition_has_an_end", lambda n: without(n, "acquisition.verified")),
    ("every_acquisition_has_an_end", lambda n: n.events.append(last(n, "acquisition.verified"))),
    ("every_acquisition_has_an_end", lambda n: n.events.append(Event(9, 9, 9, "acquisition.lost", {"key": "zz", "why": ""}))),
    ("states_follow_their_tables", lambda n: without(n, "acquisition.acquired")),
    ("states_follow_their_tables", lambda n: change(n, "run.state", to="paused")),
    ("journal_and_file_agree", lambda n: without(n, "ec.block")),
    ("journal_and_file_agree", lambda n: setattr(n, "ended", dataclasses.replace(n.ended, closeout={"ok": False}))),
    ("time_runs_forward", lambda n: late(n, "acquisition.requested")),
    ("charge_is_the_cells", lambda n: [event.data.update(charge_C=-0.07) for event in n.of("step.ended")]),
    ("current_stays_within_its_limit", lambda n: drive_on(n, 0.6e-3)),
    ("charge_stays_within_the_worst_case", lambda n: passes(n, 1.0)),
    ("voltage_beyond_its_limit_is_ended", beyond),
    ("told_no_better_than_it_is", drive_on),
    ("told_no_better_than_it_is", lambda n: outcome(n, cell="unknown")),
    ("told_no_better_than_it_is", lambda n: (drive_on(n), n.guard.append({"kind": "guard.acted", "confirmed": True}))),
    ("steps_are_told_in_order", lambda n: without(n, "step.ended")),
    ("steps_are_told_in_order", lambda n: without(n, "step.started")),
    ("the_broker_has_every_event", lambda n: without(n, "step.ended")),
    ("the_broker_has_every_event", lambda n: n.events.append(Event(1 << 20, 9, 9, "note", {"text": "never sent", "who": "rig"}))),
    ("it_comes_to_an_end", lambda n: late(n, "run.ended")),
    ("as_planned_means_every_step", lambda n: without(n, "step.started")),
    ("as_planned_means_every_step", lambda n: [event.data.update(duration_s=90.0) for event in n.of("step.ended")]),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILT, ids=[f"{at}-{name}" for at, (name, _) in enumerate(SPOILT)])
def test_it_bites(lived: Lived, name: str, spoil: Callable[[Lived], object]) -> None:
    check = getattr(invariants, name)
    assert not list(check(lived))
    spoil(lived)
    assert list(check(lived))


def test_every_invariant_is_shown_to_bite() -> None:
    assert {check.__name__ for check in INVARIANTS} == {name for name, _ in SPOILT}


# ----------------------------------------------------------------------------------------------------------- schedules


def test_a_seed_is_a_night_for_ever() -> None:
    assert night_of(7) == night_of(7)
    assert len({night_of(seed).experiment for seed in range(50)}) == 50
    assert killed_night(3) == killed_night(3) != night_of(3)
    assert replay(7) == "python -m nights 7"


def test_every_fault_of_a_night_is_known_and_comes_up() -> None:
    from drivers.registry import fault_names

    known = {name: fault_names("emulators", name) for name in ("methodscript", "openvnmrj")}
    known |= {TWIN: fault_names("twins", "twin"), HOST: HOST_FAULTS}
    drawn = {fault for seed in range(600) for fault in night_of(seed).faults}
    assert {fault.partition(":")[0] for fault in drawn} == set(FAULTS)
    for fault in drawn:
        share_out([fault], known)


def test_done_seeds_are_not_lived_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A soak that was interrupted goes on where it was; a seed that failed is tried again."""
    tried: list[int] = []
    said: list[str] = []

    def lives(seed: int, _folder: Path, *, killed: bool) -> list[str]:
        tried.append(seed)
        return ["it does not hold"] if seed == 3 else []

    monkeypatch.setattr("nights.seeds.complaints", lives)
    done = tmp_path / "kept" / "done.txt"
    assert soak(range(1, 5), done, said.append) == 1
    assert soak(range(1, 7), done, said.append) == 1
    assert tried == [1, 2, 3, 4, 3, 5, 6]
    assert [line for line in said if line.startswith("FAILED")] == [f"FAILED python -m nights 3   # {', '.join(night_of(3).faults)}"] * 2


def test_a_night_that_cannot_be_lived_is_a_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nights.seeds.night_of", lambda seed: Night(seed, "nonsense", ()))
    (said,) = complaints(1, tmp_path)
    assert "ConfigError" in said


def test_a_damaged_record_is_seen(tmp_path: Path) -> None:
    lived = live(Night(1, QUIET, ()), tmp_path)
    with sqlite3.connect(lived.folder / "journal.sqlite") as journal:
        journal.execute("UPDATE record SET mono_ns = mono_ns + 1 WHERE seq = 20")
    journal.close()
    assert list(invariants.journal_and_file_agree(lived))


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    """Every fault of the night included: the disk's, whose failures come from a thread, too."""
    faults = ("host.journal_disk_full:after_s=60,for_s=5", "host.clock_step:after_s=90", "methodscript.port_vanishes:after_s=120,seconds=3")
    first, second = (live(Night(1, QUIET, faults), tmp_path / name) for name in ("first", "second"))
    assert first.ended.closeout["digest"] == second.ended.closeout["digest"]
    assert [event.kind for event in first.events] == [event.kind for event in second.events]
    assert broken(first) == []
    assert first.of("alarm.raised", id="journal")
    utc_ns = [event.utc_ns - event.mono_ns for event in first.events]
    assert max(utc_ns) - min(utc_ns) == 3600 * 10**9
