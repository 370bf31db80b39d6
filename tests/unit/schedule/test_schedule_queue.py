"""The queue on the disk, whose turn it is, and the one claim of a start."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import Clock
from orchestrator.schedule import claim
from orchestrator.schedule.daemon import served
from orchestrator.schedule.entry import ALLOWED, Entry, NoSuchEntry, Pinned, QueueServed, Refused, State, Submission
from orchestrator.schedule.pinned import changed, pin
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.submit import refuse_booked
from orchestrator.schedule.summary import summary
from orchestrator.schedule.turn import Goes, Waits, turn
from orchestrator.schedule.windows import Times

H = 3600 * 10**9
NOW = 1_800_000_000 * 10**9


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path, Clock())
    yield made
    made.close()


def add(queue: Queue, *, loaded: bool = True, priority: int = 0, **more: Any) -> Entry:
    said = {
        "name": "night",
        "rig": "a",
        "station": "s",
        "zone": "UTC",
        "cell": "C1",
        "program": "1",
        "out": "runs",
        "state_folder": "state",
    }
    files = {"experiment": Pinned(path="e", was="e", sha256="")}
    fields = {**said, "files": files, "times": Times(), "needs_s": 3600.0, "worst_s": 7200.0, **more}
    return queue.add(queue.reserve(), Submission(**fields), priority=priority, loaded=loaded)


def goes(queue: Queue, entry: Entry, now_ns: int = NOW, **more: Any) -> Goes | Waits:
    return turn(queue.entry(entry.id), queue.entries(), now_ns, more.pop("program", "1"), rig_taken=more.pop("rig_taken", False))


def test_it_is_as_durable_as_the_journal_and_survives_its_process(queue: Queue, tmp_path: Path) -> None:
    settings = [queue._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]
    entry = add(queue)
    other = Queue(tmp_path)
    assert other.entry(entry.id) == queue.entry(entry.id)
    other.close()


def test_order_is_priority_then_place_and_can_be_changed(queue: Queue) -> None:
    a, b, c, d = add(queue), add(queue), add(queue, priority=1), add(queue)
    assert [one.id for one in queue.entries()] == [c.id, a.id, b.id, d.id]
    queue.move(d.id, before=a.id)
    assert [one.id for one in queue.entries()] == [c.id, d.id, a.id, b.id]
    queue.move(a.id)
    queue.move(c.id, priority=0)
    assert [one.id for one in queue.entries()] == [d.id, b.id, a.id, c.id]
    queue.move(c.id, before=d.id)
    assert next(one.id for one in queue.entries()) == c.id


def test_every_pair_of_states_is_as_the_table_says(queue: Queue) -> None:
    for before, after in itertools.permutations(State, 2):
        entry = add(queue)
        queue._connection.execute("UPDATE entry SET state = ? WHERE id = ?", (before, entry.id))
        if after in ALLOWED[before]:
            assert queue.change(entry.id, "", "", state=after).state is after
        else:
            with pytest.raises(NoSuchEntry):
                queue.change(entry.id, "", "", state=after)


def test_an_id_is_never_given_twice(queue: Queue) -> None:
    first = queue.reserve()
    assert [queue.reserve(), add(queue).id] == [first + 1, first + 2]
    with pytest.raises(NoSuchEntry):
        queue.entry(first)


def test_only_a_confirmed_cell_starts_and_another_cell_at_its_place_is_confirmed_no_more(queue: Queue) -> None:
    first, second, elsewhere = add(queue), add(queue, cell="C2", loaded=False), add(queue, cell="C2", station="t")
    assert isinstance(goes(queue, first), Goes)
    waits = goes(queue, second)
    assert isinstance(waits, Waits)
    assert f"operando queue confirm {second.id}" in waits.why
    queue.confirm(second.id, "1", "me")
    assert isinstance(goes(queue, second), Goes)
    assert queue.entry(first.id).loaded_utc_ns is None
    assert queue.entry(elsewhere.id).loaded_utc_ns is not None


def test_another_program_is_confirmed_by_a_person(queue: Queue) -> None:
    entry = add(queue)
    found = goes(queue, entry, program="2")
    assert isinstance(found, Waits)
    assert "another (2) than at submission (1)" in found.why
    queue.confirm(entry.id, "2", "me")
    assert isinstance(goes(queue, entry, program="2"), Goes)


@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING, State.HELD])
def test_one_run_at_a_time_on_a_rig_and_none_after_one_that_a_person_must_look_at(queue: Queue, state: State) -> None:
    first, second, other_rig = add(queue), add(queue), add(queue, rig="b")
    queue.change(first.id, "", "", state=State.STARTING, attempts=1)
    if state is not State.STARTING:
        queue.change(first.id, "", "", state=state)
    assert isinstance(goes(queue, second), Waits)
    assert isinstance(goes(queue, other_rig), Goes)
    assert isinstance(goes(queue, other_rig, rig_taken=True), Waits)


def test_nothing_starts_that_would_reach_into_booked_magnet_time(queue: Queue) -> None:
    booked = add(queue, times=Times(booking=(NOW + 2 * H, NOW + 4 * H)), loaded=False)
    short, long = add(queue), add(queue, needs_s=3 * 3600.0)
    assert goes(queue, short) == Goes(NOW + 2 * H), "it must be over when the booking begins"
    found = goes(queue, long)
    assert isinstance(found, Waits)
    assert "booked for another entry" in found.why
    found = goes(queue, short, NOW + 3 * H)
    assert isinstance(found, Waits)
    assert f"booked for entry {booked.id}" in found.why
    assert goes(queue, short, NOW + 5 * H) == Goes(None)


def test_magnet_time_is_booked_once(queue: Queue) -> None:
    booked = add(queue, times=Times(booking=(NOW, NOW + H)))
    with pytest.raises(Refused, match=f"for entry {booked.id}"):
        refuse_booked(queue, "a", Times(booking=(NOW + H // 2, NOW + 2 * H)))
    refuse_booked(queue, "b", Times(booking=(NOW, NOW + H)))
    refuse_booked(queue, "a", Times(booking=(NOW + H, NOW + 2 * H)))


def test_a_window_that_has_passed_is_for_a_person(queue: Queue) -> None:
    entry = add(queue, times=Times(must_end_by_ns=NOW + H // 2), loaded=False)
    found = goes(queue, entry)
    assert isinstance(found, Waits)
    assert found.never
    assert "too short: it needs 1 h" in found.why


def test_what_runs_is_not_removed(queue: Queue) -> None:
    entry = add(queue)
    queue.change(entry.id, "", "", state=State.STARTING)
    with pytest.raises(NoSuchEntry, match="operando stop --rig a"):
        queue.remove(entry.id, "me")
    with pytest.raises(NoSuchEntry):
        queue.confirm(entry.id, "1", "me")
    waiting = add(queue)
    assert queue.remove(waiting.id, "me").state is State.REMOVED
    assert waiting.id not in [one.id for one in queue.entries()]


def test_one_daemon_a_queue(tmp_path: Path) -> None:
    with served(tmp_path), pytest.raises(QueueServed), served(tmp_path):
        pass


# -------------------------------------------------------------------------------------------------------------- claims


def _race(folder: Path, begin: Any, won: Any, how: str) -> None:
    begin.wait()
    try:
        claim.take(folder) if how == "take" else None
        won.put(how if how == "take" or claim.give_up(folder) else "")
    except claim.GivenUp:
        won.put("")


@pytest.mark.posix_only
def test_of_many_that_claim_or_give_up_at_once_one_side_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    begin, won = context.Event(), context.Queue()
    racers = [context.Process(target=_race, args=(tmp_path, begin, won, how)) for how in ("take", "give up", "take")]
    for racer in racers:
        racer.start()
    begin.set()
    outcomes = sorted(won.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
        racer.close()
    won.close()
    won.join_thread()
    assert outcomes in (["", "", "take"], ["", "", "give up"])
    found = claim.read(tmp_path)
    assert found is not None
    assert found.given_up == ("give up" in outcomes)
    assert [path.name for path in tmp_path.iterdir()] == [claim.CLAIM]


def test_a_claim_lives_as_long_as_its_process_and_its_boot(tmp_path: Path) -> None:
    claim.take(tmp_path)
    found = claim.read(tmp_path)
    assert found is not None
    assert found.lives
    assert not claim.Claim(found.process, "another boot").lives
    assert not claim.Claim("1:0.0", found.boot).lives
    assert not claim.give_up(tmp_path), "it has begun"


def test_what_a_run_said_last_is_read_with_its_end(tmp_path: Path) -> None:
    assert claim.ended(tmp_path) is None
    (tmp_path / claim.ENDED).write_text('{"exit_code": 5}')
    assert claim.ended(tmp_path) == {"exit_code": 5}
    (tmp_path / claim.SAID).write_text('something\n{"reason": "the booking has ended", "exit_code": 1}\n')
    assert claim.ended(tmp_path) == {"exit_code": 5, "reason": "the booking has ended"}


# -------------------------------------------------------------------------------------------------------------- copies


def test_copies_lie_as_the_files_lay_and_are_known_again(tmp_path: Path) -> None:
    files = {"experiment": tmp_path / "lab" / "e.yaml", "rig": tmp_path / "lab" / "rigs" / "r.yaml", "twin": tmp_path / "twins" / "t.yaml"}
    for name, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    pinned = pin(files, tmp_path / "copies")
    files["twin"].write_text("changed since")
    assert (Path(pinned["rig"].path).parent / "../../twins/t.yaml").read_text() == "twin"
    assert changed(pinned) == []
    Path(pinned["rig"].path).write_text("other")
    Path(pinned["twin"].path).unlink()
    assert changed(pinned) == [pinned["rig"].path, pinned["twin"].path]


def test_the_summary_says_what_ended_what_runs_and_what_waits_for_whom(queue: Queue) -> None:
    done, runs, held, waits = add(queue), add(queue), add(queue), add(queue, loaded=False, name="next")
    add(queue, rig="b", name="elsewhere")
    for one in (done, runs, held):
        queue.change(one.id, "", "", state=State.STARTING)
    queue.change(done.id, "", "every step was done", state=State.ENDED, exit_code=0)
    queue.change(held.id, "", "its rig died", state=State.HELD)
    told = summary("a", "UTC", queue.entries(over=True), 0, "07:00")
    assert (told.title, told.hour) == ("a: queue: 1 wait for a person", "07:00")
    assert f"{done.id} night (cell C1), exit code 0: every step was done" in told.text
    assert f"waits for a person: {held.id} night (cell C1): its rig died" in told.text
    assert f"queued: {waits.id} next (cell C1), its cell is not confirmed loaded" in told.text
    assert "runs since" in told.text
    assert "elsewhere" not in told.text
    assert summary("c", "UTC", queue.entries(over=True), 0).text == "nothing ran, nothing waits"
    queue.confirm(waits.id, "1", "me")
    assert summary("a", "UTC", queue.entries(), 0, program="1").text.endswith(f"queued: {waits.id} next (cell C1)")
    assert f"(operando queue confirm {waits.id})" in summary("a", "UTC", queue.entries(), 0, program="2").text
