"""What the page knows of a rig, from the very messages that a rig sends, in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from artificial_night import Night

from orchestrator.monitor.dashboard.rigs import Rig, Rigs
from orchestrator.monitor.picture import Out, Picture
from orchestrator.monitor.topics import Topics

TOPICS = Topics("magnet-2")
NOW_s = 1_790_000_700.0


def told(night: Night, run: str = "20261121T220000Z_night") -> list[Out]:
    picture = Picture(TOPICS, run)
    picture.feed(night.events())
    state = picture.state("Magnet 2", rig_alive=True, heard_s=NOW_s, now_s=NOW_s)
    return [*picture.take().values(), Out(TOPICS.state, state.encoded()), Out(TOPICS.status, b"online")]


def heard(outs: Iterator[Out] | list[Out]) -> tuple[Rigs, Rig]:
    rigs = Rigs(NOW_s)
    for out in outs:
        rigs.hear(out.topic, out.payload, NOW_s, retained=True)
    return rigs, rigs.by_level["magnet-2"]


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_night_is_there_in_whatever_order_it_came(seed: int) -> None:
    outs = told(Night(samples=300, fids=4))
    Random(seed).shuffle(outs)
    rigs, rig = heard(outs)
    assert (rigs.not_understood, rig.status, rig.name) == (0, "online", "Magnet 2")
    assert [row.index for row in rig.rows("li")] == [0, 1, 2, 3]
    assert rig.acquisitions == ["li"]
    assert np.all(np.diff(rig.samples()["t_s"]) > 0)
    assert rig.samples()["t_s"][-1] == pytest.approx(300, abs=0.1)
    assert rig.spectrum("li").index == 3


def test_of_another_run_nothing_is_shown() -> None:
    outs = told(Night(samples=300, fids=4))
    state = json.loads(next(out.payload for out in outs if out.topic == TOPICS.state)) | {"run_id": "ee" * 16}
    _, rig = heard([*outs, Out(TOPICS.state, json.dumps(state).encode())])
    assert (rig.acquisitions, rig.rows("li"), rig.samples().size, rig.alarms, rig.sample) == ([], [], 0, [], None)


def test_what_is_cleared_is_gone() -> None:
    outs = told(Night(samples=100, fids=1))
    _, rig = heard([*outs, *(Out(out.topic, b"") for out in outs if "/view/" in out.topic)])
    assert (rig.acquisitions, rig.samples().size) == ([], 1)  # but for the newest sample


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[]", b"\x01" * 20, b"9" * 5000])
def test_rubbish_is_counted_and_changes_nothing(payload: bytes) -> None:
    rigs, rig = heard(told(Night(samples=100, fids=1)))
    for topic in ("ec", "event", "view/row/li/001", "view/axis/li", "view/ec/000", "view/ec/x", "observable/a", "alarm/a", "nobody/knows"):
        if payload or topic in {"ec", "event"}:
            rigs.hear(f"{TOPICS.top}/{topic}", payload, NOW_s, retained=False)
    assert [row.index for row in rig.rows("li")] == [0]
    assert rig.state is not None


def test_topics_of_others_are_none_of_ours() -> None:
    rigs = Rigs(NOW_s)
    for topic in ("homeassistant/x", "operando/v2/a/state", "operando/v1/a", "operando/v1/Not A Level/status", "operando/v1//state"):
        rigs.hear(topic, b"online", NOW_s, retained=False)
    assert rigs.by_level == {}


def test_the_same_event_twice_is_shown_once() -> None:
    _, rig = heard(told(Night(samples=10, fids=0)))
    table = {"run_id": rig.state.run_id, "run": rig.state.run, "time_s": 1.0, "time_utc": "", "t_s": 1.0}
    event = json.dumps(table | {"seq": 9, "previous_seq": 8, "kind": "note", "source": "", "text": "hallo"}).encode()
    for _ in range(2):
        rig.hear(["event"], event, NOW_s, retained=False)
    assert [one.text for one in rig.events] == ["hallo"]
