"""What the daemon makes of the ways in which a start can end, and whom it tells when; no process is started here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import Clock
from orchestrator.plan.instants import utc_ns
from orchestrator.rig.hold import is_held, name_running, rig_held
from orchestrator.schedule import claim, version
from orchestrator.schedule.daemon import Daemon
from orchestrator.schedule.entry import Entry, Pinned, State, Submission
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.starting import command
from orchestrator.schedule.summary import People
from orchestrator.schedule.windows import Times


class At(Clock):
    """A wall clock that is set by hand."""

    now_ns = utc_ns("2026-03-02 06:59", "Europe/Berlin")

    def utc_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def queue(tmp_path: Path, clock: At) -> Iterator[Queue]:
    made = Queue(tmp_path / "home", clock)
    yield made
    made.close()


@pytest.fixture
def rig(tmp_path: Path, repository: Path) -> Path:
    text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    tell = f"""
notify:
  - {{run: [/bin/sh, -c, 'echo "$OPERANDO_LEVEL $OPERANDO_TITLE: $OPERANDO_TEXT" >> {tmp_path}/told.txt'], level: alarm, summary: "07:00"}}
"""
    path = tmp_path / "rig.yaml"
    text = text.replace("zone: UTC", "zone: Europe/Berlin").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
    path.write_text(text + tell, "utf-8")
    return path


def started(queue: Queue, rig: Path, tmp_path: Path, **more: Any) -> Entry:
    """An entry whose start is written down."""
    said = {"name": "night", "rig": "memory", "station": "sim", "zone": "Europe/Berlin", "cell": "C1", "program": "1", "times": Times()}
    files = {name: Pinned(path=str(path), was=str(path), sha256="") for name, path in (("experiment", tmp_path / "e.yaml"), ("rig", rig))}
    places = {"out": str(tmp_path / "runs"), "state_folder": str(tmp_path / "state")}
    asked = Submission(**{**said, **places, "files": files, "needs_s": 3600.0, "worst_s": 7200.0, **more})
    entry = queue.add(queue.reserve(), asked, loaded=True)
    entry = queue.change(entry.id, "starts", "", state=State.STARTING, attempts=1)
    entry.attempt_folder(queue.home).mkdir(parents=True)
    return entry


def over(queue: Queue, entry: Entry, code: int, reason: str) -> None:
    """Its process, which is this one, has claimed the start and said its last word."""
    folder = entry.attempt_folder(queue.home)
    claim.take(folder)
    (folder / claim.SAID).write_text(json.dumps({"folder": "runs/one", "reason": reason}), "utf-8")
    (folder / claim.ENDED).write_text(json.dumps({"exit_code": code}), "utf-8")


@pytest.mark.parametrize(
    ("code", "reason", "state", "left"),
    [
        (0, "every step was done", State.QUEUED, 1),
        (5, "the booking has ended", State.QUEUED, 1),
        (5, "stopped by a person", State.ENDED, 0),
        (4, "open-circuit voltage 0 V is not within 1 and 2 V", State.HELD, 2),
        (3, "the console does not answer", State.HELD, 2),
        (2, "rig `memory` is taken", State.HELD, 2),
        (1, "a fault of this program", State.HELD, 2),
        (130, "interrupted", State.HELD, 2),
    ],
)
def test_how_a_run_ended_decides_what_comes_next(
    queue: Queue, rig: Path, tmp_path: Path, code: int, reason: str, state: State, left: int
) -> None:
    entry = started(queue, rig, tmp_path, repeat=2)
    over(queue, entry, code, reason)
    Daemon(queue, lambda _: None).follow(entry)
    found = queue.entry(entry.id)
    assert (found.state, found.left, found.exit_code, found.run) == (state, left, code, "runs/one")
    assert reason in found.why
    assert found.loaded_utc_ns is not None


def test_the_last_of_several_runs_ends_the_entry(queue: Queue, rig: Path, tmp_path: Path) -> None:
    entry = started(queue, rig, tmp_path, repeat=1)
    over(queue, entry, 0, "every step was done")
    Daemon(queue, lambda _: None).follow(entry)
    assert (queue.entry(entry.id).state, queue.entry(entry.id).left) == (State.ENDED, 0)


def test_a_start_that_nobody_claimed_is_given_up_and_one_that_lives_is_taken_over(queue: Queue, rig: Path, tmp_path: Path) -> None:
    lost, lives = started(queue, rig, tmp_path), started(queue, rig, tmp_path)
    claim.take(lives.attempt_folder(queue.home))
    daemon = Daemon(queue, lambda _: None)
    daemon.follow(lost)
    daemon.follow(lives)
    assert [queue.entry(one.id).state for one in (lost, lives)] == [State.QUEUED, State.RUNNING]
    with pytest.raises(claim.GivenUp):
        claim.take(lost.attempt_folder(queue.home))


@pytest.mark.parametrize("resumes", [False, True])
def test_a_run_that_dies_twice_waits_for_a_person_whatever_the_experiment_says(
    queue: Queue, rig: Path, tmp_path: Path, *, resumes: bool
) -> None:
    entry = started(queue, rig, tmp_path, resumes=resumes)
    folder = entry.attempt_folder(queue.home)
    (folder / claim.CLAIM).write_text(json.dumps({"process": "1:0.0", "boot": "before the power cut"}), "utf-8")
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "sources.json").write_text(json.dumps({"experiment": str(tmp_path / "e.yaml")}), "utf-8")
    daemon = Daemon(queue, lambda _: None)
    daemon.follow(entry)
    found = queue.entry(entry.id)
    assert (found.state, found.died, found.run) == (State.QUEUED if resumes else State.HELD, True, str(run))
    assert command(found, folder, None, 0)[:3] == ["continue", str(run), "--as-begun"]
    if resumes:
        again = queue.change(entry.id, "", "", state=State.STARTING, attempts=2)
        again.attempt_folder(queue.home).mkdir()
        (again.attempt_folder(queue.home) / claim.CLAIM).write_text(json.dumps({"process": "1:0.0", "boot": "b"}), "utf-8")
        daemon.follow(again)
        assert queue.entry(entry.id).state is State.HELD
    confirmed = queue.confirm(entry.id, "1", "me")
    assert (confirmed.state, confirmed.died) == (State.QUEUED, True), "it is continued"
    queue.change(entry.id, "", "", state=State.HELD)
    assert not queue.confirm(entry.id, "1", "me", again=True).died


def test_the_end_of_its_window_is_told_to_the_run_as_its_clock_counts(queue: Queue, rig: Path, tmp_path: Path) -> None:
    at_ns, end_ns = utc_ns("2026-03-02 20:00", "UTC"), utc_ns("2026-03-02 21:00", "UTC")
    for speed, text in (("1", "2026-03-02T21:00:00Z"), ("60", "2026-03-05T08:00:00Z"), ("max", "")):
        words = command(started(queue, rig, tmp_path, speed=speed), tmp_path, end_ns, at_ns)
        assert (words[words.index("--booking-end") + 1] if text else "") == text
        assert text or "--booking-end" not in words


def test_a_rig_that_somebody_else_holds_is_seen_without_being_in_the_way(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with rig_held(tmp_path, "memory"):
        assert not is_held(tmp_path), "not yet named: it is not asked"
        name_running(tmp_path, tmp_path / "run")
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    name_running(tmp_path, tmp_path / "died")
    assert not is_held(tmp_path), "a name that a dead run left"


@pytest.mark.posix_only
def test_a_summary_goes_out_once_at_its_hour_and_what_is_held_at_once(queue: Queue, rig: Path, tmp_path: Path, clock: At) -> None:
    entry = started(queue, rig, tmp_path)
    people = People(queue, print)
    people.due()
    over(queue, entry, 4, "the cell's limits")
    Daemon(queue, lambda _: None, people).follow(entry)
    clock.now_ns += 120 * 10**9
    people.due()
    people.close()
    again = People(queue, print)  # the next daemon
    again.due()
    again.close()
    told = (tmp_path / "told.txt").read_text("utf-8")
    assert told.count("alarm memory: night waits for a person: its run ended with exit code 4: the cell's limits") == 1
    assert told.count("info memory: queue: 1 wait for a person") == 1


def test_a_program_that_is_changed_under_the_daemon_starts_nothing_until_a_person_confirms(
    queue: Queue, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = ["1"]
    monkeypatch.setattr(version, "program_now", lambda: lies[0])
    daemon, begun = Daemon(queue, print), []
    monkeypatch.setattr(daemon, "start", lambda entry, *_: begun.append(entry.id))
    entry = started(queue, rig, tmp_path)
    queue.change(entry.id, "given up", "", state=State.QUEUED)
    monkeypatch.setattr("orchestrator.schedule.daemon.changed", lambda _: [])
    daemon.look()
    assert begun == [entry.id]
    lies[0] = "2"
    daemon.look()
    assert begun == [entry.id]
    assert json.loads(queue.known(version.KNOWN))["program"] == "2"
    queue.confirm(entry.id, "2", "me")
    daemon.look()
    assert begun == [entry.id, entry.id]
    daemon.close()
