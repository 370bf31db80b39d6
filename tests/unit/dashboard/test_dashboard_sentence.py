"""The one sentence, and the words around it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from orchestrator.monitor.dashboard import buttons, page
from orchestrator.monitor.dashboard.halves import Curve, Halves
from orchestrator.monitor.dashboard.rigs import Rig, Rigs
from orchestrator.monitor.dashboard.sentence import clock, say, span
from orchestrator.monitor.payloads import Alarm, State

NIGHT_s = 1_795_307_000.0  # 2026-11-22 01:23:20 in Berlin
RUN = {"run_id": "0f" * 16, "run": "r"}
STATE = {
    **RUN,
    "time_s": NIGHT_s,
    "time_utc": "",
    "t_s": 1000.0,
    "rig": "Magnet 2",
    "name": "cycling",
    "cell": "CuLFP-112",
    "zone": "Europe/Berlin",
    "state": "running",
    "rig_alive": True,
    "cell_state": "on",
    "step_index": 3,
    "steps": 9,
    "step_text": "Charge at C/5 until 3.8 V",
    "cycle": 7,
    "progress": 0.61,
    "voltage_V": 3.42,
    "last_spectrum_s": NIGHT_s - 47,
    "ends_s": NIGHT_s + 20_800,
    "booking_end_utc": "2026-11-22T07:00:00Z",
    "journal_seq": 1,
    "heard_s": NIGHT_s,
    "heard_utc": "",
    "published_s": NIGHT_s,
    "published_utc": "",
}
AS_BEFORE = Halves(Curve(3, 7, [0.0], [3.42]), Curve(1, 6, [0.0], [3.42]), False, 0.001)


def rig(**changes: Any) -> Rig:
    made = Rig("magnet-2")
    made.status = "online"
    made.hear(["state"], State(**(STATE | changes)).encoded(), NIGHT_s, retained=False)
    return made


def alarm(made: Rig, level: str, **changes: Any) -> Rig:
    table = {
        **RUN,
        "time_s": NIGHT_s,
        "time_utc": "",
        "t_s": 1.0,
        "id": level,
        "seq": 2,
        "level": level,
        "title": "it <falls>",
        "text": "t",
    }
    made.hear(["alarm", level], Alarm(**(table | {"advice": "go and look"} | changes)).encoded(), NIGHT_s, retained=False)
    return made


def test_all_is_well() -> None:
    said = say(rig(), AS_BEFORE, None, NIGHT_s + 1)
    assert said.tone == "fine"
    assert said.text == ("CuLFP-112 fine: charging, cycle 7, 61 %, 3.420 V as expected; last spectrum 48 s ago; ends 07:10, booking 08:00")


@pytest.mark.parametrize(
    ("changes", "tone", "begins"),
    [
        ({"rig_alive": False}, "bad", "CuLFP-112: the rig's program has died"),
        ({"heard_s": NIGHT_s - 300}, "stale", "CuLFP-112: the rig says nothing since 01:18"),
        ({"cell_state": "unknown"}, "bad", "CuLFP-112: nobody knows whether the cell is under current"),
        ({"state": "aborting", "why": "alice"}, "bad", "CuLFP-112 is being aborted: alice"),
        (
            {"state": "paused", "cell_state": "off", "why": "alice"},
            "note",
            "CuLFP-112 cell paused: open circuit; the next step waits (alice)",
        ),
        ({"nmr_paused": True}, "note", "CuLFP-112 NMR paused: under current; no new spectrum"),
        ({"state": "preparing", "cell_state": "unknown"}, "note", "CuLFP-112 preparing"),
        (
            {"state": "finished", "cell_state": "off", "outcome": "as planned"},
            "over",
            "CuLFP-112 finished as planned: cell at open circuit",
        ),
        ({"state": "finished", "cell_state": "unknown"}, "bad", "CuLFP-112 finished: CELL STATE NOT KNOWN"),
        ({"state": "aborted", "cell_state": "off", "reason": "limit"}, "bad", "CuLFP-112 aborted: cell at open circuit; 0 spectra; limit"),
    ],
)
def test_the_one_thing_that_is_wrong(changes: dict[str, Any], tone: str, begins: str) -> None:
    said = say(rig(**changes), None, None, NIGHT_s + 1)
    assert (said.tone, said.text[: len(begins)]) == (tone, begins)


def test_the_worst_alarm_goes_before_a_mild_one() -> None:
    made = alarm(alarm(rig(), "warn", title="mild"), "critical", title="short", advice="")
    assert say(made, None, None, NIGHT_s).text == "CuLFP-112: short: t"
    assert say(alarm(rig(), "info"), None, None, NIGHT_s).tone == "fine"
    assert say(alarm(rig(nmr_paused=True), "warn"), None, None, NIGHT_s).tone == "warn"


def test_what_nobody_has_seen_goes_before_what_somebody_has_but_no_warning_before_an_alarm() -> None:
    seen = {"acknowledged": True, "acknowledged_by": "bob", "title": "old and seen"}
    assert say(alarm(alarm(rig(), "critical", **seen), "alarm", title="new"), None, None, NIGHT_s).head == "CuLFP-112: new"
    assert say(alarm(alarm(rig(), "critical", **seen), "warn", title="mild"), None, None, NIGHT_s).head == "CuLFP-112: old and seen"


WAITS = "CuLFP-112 waits for a person: turn the cell by 90 degrees"


@pytest.mark.parametrize(
    ("changes", "asked", "tone", "text"),
    [
        (
            {"state": "paused", "cell_state": "off"},
            {},
            "note",
            "CuLFP-112 waits for a person: turn the cell by 90 degrees: open circuit; say so",
        ),
        ({}, {}, "note", "CuLFP-112 waits for a person: turn the cell by 90 degrees: under current; say so"),
        ({}, {"acknowledged": True}, "fine", "CuLFP-112 fine: charging"),
        ({"cell_state": "unknown"}, {}, "bad", "CuLFP-112: nobody knows"),
    ],
)
def test_a_run_that_waits_for_somebody_is_not_just_fine(changes: dict[str, Any], asked: dict[str, Any], tone: str, text: str) -> None:
    made = alarm(rig(**changes), "info", id="prompt-turn", title="Your part", text="turn the cell by 90 degrees", advice="say so", **asked)
    said = say(made, None, None, NIGHT_s)
    assert (said.tone, said.text[: len(text)]) == (tone, text)


@pytest.mark.parametrize(
    ("status", "lost_s", "later_s", "why"),
    [
        ("online", None, 31.0, "nothing was heard"),
        ("offline", None, 1.0, "its publisher is gone"),
        ("online", NIGHT_s + 1, 1.0, "no connection to the broker"),
    ],
)
def test_stale_goes_before_everything(status: str, lost_s: float | None, later_s: float, why: str) -> None:
    made = alarm(rig(), "critical")
    made.status = status
    said = say(made, None, lost_s, NIGHT_s + later_s)
    assert said.head == "CuLFP-112 stale since 01:23"
    assert said.rest.startswith(why)
    assert "last known: running, Charge at C/5" in said.rest


def test_a_run_that_is_over_is_not_stale() -> None:
    made = rig(state="finished", cell_state="off")
    made.status = "offline"
    assert say(made, None, None, NIGHT_s + 1e5).tone == "over"


def test_a_late_retained_state_is_as_old_as_it_says() -> None:
    made = Rig("magnet-2")
    made.hear(["state"], State(**STATE).encoded(), NIGHT_s + 3600, retained=True)
    assert say(made, None, None, NIGHT_s + 3600).head == "CuLFP-112 stale since 01:23"


def test_above_or_below_the_last_cycle_is_said() -> None:
    off = Halves(AS_BEFORE.now, Curve(1, 6, [0.0], np.array([3.42])), False, -0.12)
    assert ", 120 mV below last cycle;" in say(rig(), off, None, NIGHT_s).text


def test_clocks_and_spans() -> None:
    assert (clock(NIGHT_s, "Europe/Berlin"), clock(NIGHT_s, "no/zone"), clock(NIGHT_s + 86400, "UTC", NIGHT_s)) == (
        "01:23",
        "00:23",
        "Mon 00:23",
    )
    assert [span(s) for s in (-1, 48, 600, 15_660)] == ["0 s", "48 s", "10 min", "4 h 21 min"]


def test_nothing_from_elsewhere_becomes_markup() -> None:
    made = alarm(
        rig(rig="<i>", name="<script>", cell="<b>", step_text="<u> x"), "alarm", advice="<a>", acknowledged=True, acknowledged_by="<x>"
    )
    made.hear(["event"], json.dumps({**RUN, "time_s": 1.0, "time_utc": "", "t_s": 1.0, "seq": 1, "previous_seq": 0, "kind": "note",
                                     "source": "", "text": "<img src=x>"}).encode(), NIGHT_s, retained=False)  # fmt: skip
    rigs = Rigs(NIGHT_s)
    rigs.by_level["magnet-2"], rigs.lost_s = made, None
    text = page.first_screen(made, None, None, NIGHT_s) + page.events(made) + page.health(made, None, None, NIGHT_s)
    text += page.overview(rigs, {}, NIGHT_s)
    assert not [tag for tag in ("<i>", "<script", "<u>", "<img", "<falls", "<x>", "<a>") if tag in text]
    assert "&lt;falls&gt;" in text


def test_buttons_follow_the_run() -> None:
    def verbs(**changes: Any) -> list[str]:
        return [one["verb"] for one in buttons.main(rig(**changes).state)]

    assert verbs() == ["pause-nmr", "pause-cell", "stop", "abort"]
    assert verbs(nmr_paused=True, cell_paused=True) == ["resume", "resume", "stop", "abort"]
    assert verbs(state="finished") == []
    made = alarm(rig(acquisition="fast"), "warn")
    assert [one["verb"] for one in buttons.further(made.state, made.alarms)] == ["acknowledge warn", "skip", "acquire"]


def test_only_what_a_button_has_can_be_pressed() -> None:
    state = rig(acquisition="fast").state
    assert buttons.command("acknowledge a/b", "", state) == ("acknowledge", {"alarm": "a/b"})
    assert buttons.command("acquire", "", state) == ("acquire", {"name": "fast"})
    assert buttons.command("stop", "", state) == ("stop", {"after_step": False})
    for verb in ("set-current", "", "status", "../abort", "abort/x"):
        with pytest.raises(ValueError, match="no button"):
            buttons.command(verb, "", state)


CANNOT = "cannot stop this cell"


def test_each_rung_says_what_it_cannot_and_only_a_driven_cell_that_nobody_knows_of_is_an_alarm() -> None:
    """Rung 1: somebody else has the cell, so that its state is unknown here is no news. Rung 2 drives it, and the same is bad."""
    followed = say(rig(cannot=CANNOT, driven=False, cell_state="unknown"), AS_BEFORE, None, NIGHT_s + 1)
    assert followed.tone == "fine"
    assert followed.text.endswith("not driven: this program cannot stop this cell")
    obeying = say(rig(cannot=CANNOT, driven=True), AS_BEFORE, None, NIGHT_s + 1)
    assert (obeying.tone, obeying.text.endswith("; this program cannot stop this cell")) == ("fine", True)
    lost = say(rig(cannot=CANNOT, driven=True, cell_state="unknown"), AS_BEFORE, None, NIGHT_s + 1)
    assert (lost.tone, "nobody knows whether the cell is under current" in lost.text) == ("bad", True)


def test_a_follower_that_has_died_leaves_no_guard_behind() -> None:
    died = say(rig(cannot=CANNOT, driven=False, rig_alive=False), AS_BEFORE, None, NIGHT_s + 1)
    assert died.tone == "bad"
    assert "guard" not in died.text
    assert "the cycler goes on" in died.text
