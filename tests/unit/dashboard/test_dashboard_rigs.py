"""What the page knows of a rig, from the very messages that a rig sends, in any order."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from artificial_night import Night
from dashboard_heard import TOPICS, NOW_s, heard
from reported import with_reference

from orchestrator.model.events import Event
from orchestrator.monitor.dashboard import page
from orchestrator.monitor.dashboard.rigs import Rig, Rigs, metal
from orchestrator.monitor.picture import Out, Picture


def told(night: Night, run: str = "20261121T220000Z_night") -> list[Out]:
    picture = Picture(TOPICS, run)
    picture.feed(night.events())
    state = picture.state("Magnet 2", rig_alive=True, heard_s=NOW_s, now_s=NOW_s)
    return [*picture.take().values(), Out(TOPICS.state, state.encoded()), Out(TOPICS.status, b"online")]


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
    view = ("view/row/li/001", "view/axis/li", "view/ec/000", "view/ec/x", "view/observable/a/b/000", "view/observable/a/b/x")
    for topic in ("ec", "event", *view, "observable/a", "alarm/a", "nobody/knows"):
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


def observable(name: str, value: float | None, key: str, error: float | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "error": error, "unit": "", "key": key, "algorithm": "a"}


def analysed(*rows: dict[str, Any], fids: int = 4) -> Rig:
    picture = Picture(TOPICS, "20261121T220000Z_night")
    events = Night(samples=300, fids=fids).events()
    picture.feed(events)
    last = events[-1]
    picture.feed(Event(last.seq + n, last.mono_ns + n, last.utc_ns + n, "observable", row) for n, row in enumerate(rows, 1))
    state = picture.state("Magnet 2", rig_alive=True, heard_s=NOW_s, now_s=NOW_s)
    return heard([*picture.take().values(), Out(TOPICS.state, state.encoded())])[1]


def test_the_values_of_an_observable_are_there_from_the_runs_start_at_the_middle_of_their_spectra() -> None:
    rig = analysed()
    seen = rig.seen("li", "metal-area")
    assert seen["value"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert seen["t_s"].tolist() == [row.t_s for row in rig.rows("li")]
    assert np.isnan(seen["error"]).all()


def test_the_metals_area_is_what_says_most_of_it() -> None:
    last = analysed().spectrum("li").key
    rig = analysed(observable("area(moss)", 7.0, last), observable("area(electrolyte)", 3.0, last))
    assert rig.observables[metal(rig, "li")].name == "area(moss)"
    often = analysed(observable("area(moss)", 1.0, last), *(observable("area(metal)", 1.0, last) for _ in range(3)))
    assert often.observables[metal(often, "li")].name == "area(metal)"
    assert metal(analysed(), "li") is None


def health(*rows: dict[str, Any]) -> str:
    return page.health(analysed(*rows), None, None, NOW_s).split("<h2>NMR</h2>")[1]


def test_the_instruments_health_is_told_apart_from_the_cells() -> None:
    quiet = health()
    assert "<span>reflection</span><span>unknown</span>" in quiet
    assert "<span>noise</span><span>as usual</span>" in quiet
    told = health(
        *(observable("line_snr(electrolyte)", 480.0, f"a000{n}") for n in range(4)), observable("reflected_power", 10**-2.34, "a0003")
    )
    assert "<span>ref. line</span><span>S/N 480</span>" in told
    assert "<span>reflection</span><span>-23.4 dB</span>" in told
    assert "amber" not in told
    weak = [observable("line_snr(electrolyte)", value, f"a000{n}") for n, value in enumerate((480.0, 480.0, 480.0, 200.0))]
    troubled = health(*weak, observable("reflected_power", 10**-0.4, "a0003"), observable("reference_shift(7Li_LiCl_aq)", 0.0213, "a0003"))
    assert 'amber"><span>ref. line</span><span>S/N 200, 0.4 ×' in troubled
    assert 'amber"><span>reflection</span><span>-4.0 dB' in troubled
    assert "<span>ref. shift</span><span>+0.021 ppm</span>" in troubled


def test_a_cell_with_a_reference_shows_what_each_electrode_is_at() -> None:
    assert "counter electrode" not in page.health(analysed(), None, None, NOW_s)
    picture = Picture(TOPICS, "20261121T220000Z_night")
    picture.feed(map(with_reference, Night(samples=300, fids=1).events()))
    state = picture.state("Magnet 2", rig_alive=True, heard_s=NOW_s, now_s=NOW_s)
    rig = heard([*picture.take().values(), Out(TOPICS.state, state.encoded())])[1]
    cell = page.health(rig, None, None, NOW_s).split("<h2>NMR</h2>")[0]
    assert "<span>working electrode</span><span>3." in cell
    assert "<span>counter electrode</span><span>125.0 mV</span>" in cell


def test_acquisitions_do_not_mix_and_what_is_of_none_stands_apart() -> None:
    last = analysed().spectrum("li").key
    rig = analysed(observable("R_cell", 2.0, ""), observable("area(moss)", 5.0, last))
    assert rig.seen("unnamed", "r-cell")["value"].tolist() == [2.0]
    assert rig.seen("li", "r-cell").size == rig.seen("unnamed", "area-moss").size == 0
    assert rig.seen("li", "area-moss")["value"].tolist() == [5.0]
