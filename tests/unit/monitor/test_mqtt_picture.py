"""What the broker shows of a run: rows that cover the night, tiles that hold its voltage, a state that says what is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artificial_night import Night

from orchestrator.model.events import Event
from orchestrator.monitor import said, tiles
from orchestrator.monitor.history import History, SeenHistory
from orchestrator.monitor.outbox import Outbox, UNSURE_s
from orchestrator.monitor.picture import Out, Picture
from orchestrator.monitor.topics import EC_TILES, SEEN_TILES, Topics
from orchestrator.monitor.waterfall import Slots

TOPICS = Topics("sim")


def picture_of(night: Night, *more: tuple[str, dict[str, Any]]) -> Picture:
    picture = Picture(TOPICS, "a run")
    events = night.events()
    picture.feed(events)
    last = events[-1]
    picture.feed(Event(last.seq + n, last.mono_ns + n, last.utc_ns + n, kind, data) for n, (kind, data) in enumerate(more, 1))
    return picture


def state(picture: Picture) -> dict[str, Any]:
    return json.loads(picture.state("sim", rig_alive=True, heard_s=1.0, now_s=2.0).encoded())


# ------------------------------------------------------------------------------------------------------------- the ring


@pytest.mark.parametrize("spectra", [1, 7, 8, 9, 50, 1000])
def test_the_rows_cover_the_whole_night_whatever_its_length(spectra: int) -> None:
    slots = Slots(8)
    on_broker = {place: index for index in range(spectra) if (place := slots.place(index)) is not None}
    assert len(on_broker) == min(spectra, 8)
    kept = sorted(on_broker.values())
    assert kept[0] == 0
    assert spectra - 1 - kept[-1] < slots.stride
    assert max((b - a for a, b in itertools.pairwise(kept)), default=0) <= slots.stride
    assert all(index % (slots.stride // 2 or 1) == 0 for index in kept)


def test_the_voltage_of_any_run_fits_into_the_tiles_from_its_first_to_nearly_its_last_sample() -> None:
    history, on_broker = History(7, expected_s=600.0), dict[int, bytes]()
    for second in range(40_000):
        history.add((float(second), second * 1e-4, 1e-3, 0.0, second // 10_000, 1))
        if second % 100 == 0:
            on_broker |= history.tiles()
    on_broker |= history.tiles()
    assert max(on_broker) < EC_TILES
    told = [tiles.samples(payload) for _, payload in sorted(on_broker.items()) if payload]
    assert {(run, tile) for run, tile, _ in told} == {(7, number) for number in range(len(told))}
    times = np.concatenate([samples["t_s"] for _, _, samples in told])
    assert times[0] == 0.0
    assert np.all(np.diff(times) > 0)
    assert np.diff(times).max() <= history.spacing_s
    assert 40_000 - times[-1] <= history.spacing_s


def test_only_tiles_that_changed_are_sent_again() -> None:
    history = History(7, expected_s=0.0)
    for second in range(200):
        history.add((float(second), 0.0, 0.0, 0.0, 0, 1))
    assert [number for number, _ in history.tiles()] == [0, 1]
    assert not list(history.tiles())
    history.add((200.0, 0.0, 0.0, 0.0, 0, 1))
    assert [number for number, _ in history.tiles()] == [1]


def test_an_observable_of_any_run_fits_into_its_tiles_and_the_newest_is_nearly_there() -> None:
    history, on_broker = SeenHistory(7), dict[int, bytes]()
    for number in range(10_000):
        history.add((float(number), 2.0 * number, 0.5))
        if number % 7 == 0:
            on_broker |= history.tiles()
    on_broker |= history.tiles()
    assert max(on_broker) < SEEN_TILES
    values = np.concatenate([tiles.seen(payload)[2] for _, payload in sorted(on_broker.items()) if payload])
    assert np.all(np.diff(values["t_s"]) == np.diff(values["t_s"])[0])
    assert values["value"].tolist() == (2 * values["t_s"]).tolist()
    assert 10_000 - values["t_s"][-1] <= np.diff(values["t_s"])[0]
    assert all(len(payload) < 1024 for payload in on_broker.values())


@pytest.mark.parametrize("payload", [b"", b"\x01" * 16, tiles.samples_encoded(1, 2, np.zeros(3, tiles.SAMPLE))])
def test_a_tile_of_another_kind_is_none(payload: bytes) -> None:
    with pytest.raises(tiles.NotATile):
        tiles.seen(payload)


def test_the_edges_of_every_step_are_kept_however_short_it_is() -> None:
    history = History(7, expected_s=1e6)
    for second in range(100):
        history.add((float(second), 0.0, 0.0, 0.0, second // 10, 1))
    _, _, samples = tiles.samples(dict(history.tiles())[0])
    assert samples["t_s"].tolist() == sorted([*range(0, 100, 10), *range(9, 99, 10)])


# ----------------------------------------------------------------------------------------------------------------- state


def test_the_state_says_what_is() -> None:
    picture = picture_of(
        Night(samples=40, fids=2, ended=False),
        ("run.state", {"from": "running", "to": "paused", "why": "paused by A"}),
        ("cell.state", {"cell": "off", "confirmed": True, "detail": ""}),
        ("alarm.raised", {"id": "a", "level": "warn", "title": "drift", "text": "x"}),
        ("alarm.raised", {"id": "b", "level": "alarm", "title": "hot", "text": "y"}),
        ("alarm.raised", {"id": "c", "level": "critical", "title": "short", "text": "y"}),
        ("alarm.cleared", {"id": "c"}),
        ("alarm.acknowledged", {"id": "b", "who": "B"}),
    )
    found = state(picture)
    wanted = {"state": "paused", "why": "paused by A", "cell_paused": True, "cell_state": "off", "alarms": 2, "worst_title": "hot"}
    assert wanted.items() <= found.items()
    assert (found["spectra_stored"], found["spectra_missed"], found["steps"], found["zone"]) == (2, 1, 2, "Europe/Berlin")
    assert found["x"] == pytest.approx(40e-3 / 36.0)
    out = picture.take()
    assert json.loads(out[TOPICS.alarm("b")].payload)["acknowledged_by"] == "B"
    assert out[TOPICS.alarm("c")] == Out(TOPICS.alarm("c"), b"")
    assert picture.take() == {}


def test_pauses_by_people_are_known_from_what_they_were_answered() -> None:
    def told(seq: int, verb: str, *, ok: bool) -> list[Event]:
        received = Event(seq, seq, seq, "command.received", {"id": str(seq), "verb": verb, "arguments": {}, "who": "A"})
        return [received, Event(seq + 1, seq, seq, "command.answered", {"id": str(seq), "ok": ok, "text": "t"}, cause=seq)]

    picture = picture_of(Night(samples=3, fids=0, ended=False))
    picture.feed(told(100, "pause nmr", ok=True))
    assert state(picture)["nmr_paused"]
    picture.feed(told(102, "resume", ok=False))
    assert state(picture)["nmr_paused"]
    picture.feed(told(104, "resume", ok=True))
    assert not state(picture)["nmr_paused"]
    assert picture.answered("102") == (False, "t")
    assert picture.answered("103") is None


def test_a_run_that_was_continued_on_another_boot_counts_on() -> None:
    picture = picture_of(Night(samples=50, fids=0, ended=False))
    before = picture.seq
    origin_ns = 5_000 - 300 * 10**9
    again = {"from": "x", "to": "running", "why": "", "origin_mono_ns": origin_ns}
    picture.feed([Event(before + 1, 5_000, 1_790_000_300 * 10**9, "run.state", again)])
    assert state(picture)["elapsed_s"] == pytest.approx(300.0)
    assert picture.origin_ns(before) == Night().origin_ns
    assert picture.origin_ns(before + 1) == origin_ns


def test_a_rig_that_died_is_the_worst_alarm() -> None:
    picture = picture_of(Night(samples=3, fids=0, ended=False), ("alarm.raised", {"id": "a", "level": "alarm", "title": "t", "text": "x"}))
    picture.rig_died(9.0)
    assert (state(picture)["worst_title"], state(picture)["worst_level"]) == ("The rig has died", "critical")


def test_two_acquisitions_that_look_alike_have_rows_of_their_own() -> None:
    picture = Picture(TOPICS, "a run")
    for event in Night(samples=40, fids=2).events():
        if event.kind == "fid.block" and event.data["key"] == "a0001":
            event.data["name"] = "LI"
        picture.feed([event])
    out = picture.take()
    assert {TOPICS.newest_row("li"), TOPICS.newest_row("li-2")} <= out.keys()
    assert json.loads(out[TOPICS.spectrum("li-2")].payload)["acquisition"] == "LI"


# ---------------------------------------------------------------------------------------------------------------- events


async def test_the_outbox_gives_every_event_once_and_again_what_a_broker_may_have_lost(tmp_path: Path) -> None:
    night = Night(samples=40, fids=2)
    await night.write(tmp_path / "journal.sqlite")
    outbox = Outbox(tmp_path, lambda _: night.origin_ns)
    wanted = [event.seq for event in night.events() if said.is_sent(event)]
    first, second = outbox.pending(5), outbox.pending(5)
    assert [one.seq for one in first + second] == wanted[:10]
    outbox.acknowledged(first[:3], 0)
    outbox.acknowledged(first[3:], int(1e9 * (UNSURE_s - 1)))
    outbox.acknowledged(second[:1], int(1e9 * UNSURE_s))  # the first three have been there long enough
    outbox.back()
    assert (outbox.seq, outbox.safe_seq) == (wanted[5], wanted[2])
    assert [one.seq for one in outbox.pending(100)] == wanted[3:]
    assert outbox.pending(100) == []
    outbox.close()
    again = Outbox(tmp_path, lambda _: night.origin_ns)
    message = json.loads(again.pending(1)[0].payload)
    assert (message["seq"], message["previous_seq"]) == (wanted[3], wanted[2])
    again.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"seq": 4}',
        '{"seq": 4, "safe_seq": 5}',
        '{"seq": "4", "safe_seq": "4"}',
        '{"seq": 1, "safe_seq": -1}',
        '{"other": 1}',
    ],
)
async def test_a_cursor_that_is_damaged_means_from_the_beginning(tmp_path: Path, text: str) -> None:
    await Night(samples=3, fids=0).write(tmp_path / "journal.sqlite")
    (tmp_path / "outbox.json").write_text(text)
    outbox = Outbox(tmp_path, lambda _: 0)
    assert outbox.pending(1)[0].seq == 1
    outbox.close()


def test_every_event_has_a_line_for_people_and_nothing_long() -> None:
    for event in Night(samples=40, fids=2).events():
        message = said.sent(event, 0, {"run": "r", "run_id": "i"}, 0)
        assert message.text
        assert "\n" not in message.text
        assert len(message.text) <= said.LONGEST_TEXT
        assert len(message.encoded()) < 4000
    assert said.sentence("cell.state", {"cell": "unknown", "confirmed": False, "detail": "x"}).startswith("THE CELL'S STATE IS NOT KNOWN")


def test_an_event_of_a_kind_that_is_new_is_said_all_the_same() -> None:
    assert said.sentence("from.the.future", {"why": "because"}) == "from.the.future because"
