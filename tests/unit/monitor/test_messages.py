"""When people are told what: woken once, not again and again, and all of it in the morning."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestrator.monitor.messages import CAN_WAIT, CAN_WAIT_FAMILIES, AGAIN_s, Message, Messages, Of, TOGETHER_s

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT_s = datetime(2026, 11, 21, 23, 0, tzinfo=BERLIN).timestamp()


def messages(*hours: str, expected_s: float = 0.0) -> Messages:
    return Messages(Of("sim", "r1", "Europe/Berlin", expected_s), hours, NIGHT_s)


def alarm(name: str, level: str = "alarm") -> tuple[str, dict[str, Any]]:
    return "alarm.raised", {"id": name, "level": level, "title": name, "text": f"{name} it is", "advice": "look"}


def test_the_first_alarm_is_told_at_once_and_the_next_ones_together() -> None:
    made = messages()
    (first,) = made.hear(*alarm("a"), NIGHT_s)
    assert first == Message("alarm", "sim: a", "a it is\nlook\nrun: r1")
    assert made.hear(*alarm("b"), NIGHT_s + 1) == []
    assert made.hear(*alarm("c"), NIGHT_s + 2) == []
    assert made.next_s == NIGHT_s + TOGETHER_s
    assert made.due(NIGHT_s + TOGETHER_s - 1) == []
    (rest,) = made.due(NIGHT_s + TOGETHER_s)
    assert rest == Message("alarm", "sim: b, and 1 more", "b: b it is\nlook\nc: c it is\nlook\nrun: r1")
    assert made.next_s is None


def test_a_critical_one_never_waits_and_takes_those_that_wait_with_it() -> None:
    made = messages()
    made.hear(*alarm("a"), NIGHT_s)
    made.hear(*alarm("b"), NIGHT_s + 1)
    (told,) = made.hear(*alarm("cell unknown", "critical"), NIGHT_s + 2)
    assert (told.level, told.title) == ("critical", "sim: cell unknown, and 1 more")
    assert made.next_s is None


@pytest.mark.parametrize(("after_s", "level", "again"), [(AGAIN_s - 1, "alarm", 0), (AGAIN_s, "alarm", 1), (10.0, "critical", 1)])
def test_the_same_alarm_is_told_again_only_later_or_when_it_is_worse(after_s: float, level: str, again: int) -> None:
    made = messages()
    made.hear(*alarm("a"), NIGHT_s)
    made.hear("alarm.cleared", {"id": "a"}, NIGHT_s + 1)
    assert len(made.hear(*alarm("a", level), NIGHT_s + after_s)) == again


def test_what_is_over_before_it_was_told_is_not_told() -> None:
    made = messages()
    made.hear(*alarm("a"), NIGHT_s)
    made.hear(*alarm("b"), NIGHT_s + 1)
    assert made.hear("alarm.cleared", {"id": "b"}, NIGHT_s + 2) == []
    assert made.due(NIGHT_s + TOGETHER_s) == []
    assert made.hear("alarm.cleared", {"id": "a"}, NIGHT_s + 90) == [Message("info", "sim: over: a", "run: r1")]
    assert made.hear("alarm.cleared", {"id": "never raised"}, NIGHT_s + 91) == []


def test_a_warning_wakes_nobody_who_asked_for_alarms_and_stands_in_the_summary() -> None:
    made = messages("07:00", expected_s=36_000.0)
    assert [one.level for one in made.hear(*alarm("drift", "warn"), NIGHT_s + 600)] == ["warn"]
    made.hear("alarm.cleared", {"id": "drift"}, NIGHT_s + 1200)
    made.hear("step.started", {"cycle": 7, "text": "Charge at C/5"}, NIGHT_s + 1300)
    for kind in ("stored", "stored", "missed"):
        made.hear(f"acquisition.{kind}", {}, NIGHT_s + 1400)
    seven_s = NIGHT_s + 8 * 3600
    assert made.next_s == seven_s
    (summary,) = made.due(seven_s)
    text = "cycle 7, Charge at C/5\nspectra: 2 stored, 1 missed\n23:10 drift\n23:20 over: drift\nrun: r1"
    assert summary == Message("info", "sim: all fine, 80 %", text, "07:00")
    assert made.next_s == seven_s + 86_400
    assert "drift" not in made.due(seven_s + 86_400)[0].text


AWAKE = ("cell-unknown", "silent", "potentiostat-link", "guard", "limit", "limit-temperature", "interlock-hard short", "nmr-silent",
         "booking", "rule-soft short", "question", "prompt-1", "nobody-has-thought-of-it")  # fmt: skip


@pytest.mark.parametrize("name", AWAKE)
def test_a_person_is_woken_for_what_cannot_wait(name: str) -> None:
    assert [one.level for one in messages().hear(*alarm(name), NIGHT_s)] == ["alarm"]


@pytest.mark.parametrize("name", [*sorted(CAN_WAIT), "gain-7Li_metal", "task-tuner"])
def test_and_for_nothing_else_unless_it_becomes_critical(name: str) -> None:
    made = messages("07:00")
    assert [one.level for one in made.hear(*alarm(name), NIGHT_s)] == ["warn"]
    assert made.next_s == NIGHT_s + 8 * 3600
    assert name in made.due(NIGHT_s + 8 * 3600)[0].text
    assert [one.level for one in messages().hear(*alarm(name, "critical"), NIGHT_s)] == ["critical"]


def test_every_alarm_that_can_wait_is_one_that_the_program_raises(repository: Path) -> None:
    """A name that was changed there would wake somebody again."""
    sources = [
        path.read_text("utf-8")
        for part in ("runner", "rig", "model", "observer")
        for path in (repository / "orchestrator" / part).rglob("*.py")
    ]
    text = "\n".join(sources)
    assert [name for name in CAN_WAIT if f'"{name.removeprefix("interlock-")}"' not in text] == []
    assert [name for name in CAN_WAIT_FAMILIES if f'"{name}' not in text] == []


def test_a_summary_says_what_stands() -> None:
    made = messages("23:30")
    made.hear(*alarm("a", "warn"), NIGHT_s)
    assert made.due(NIGHT_s + 1800)[0].title == "sim: a"
    made.hear(*alarm("b", "warn"), NIGHT_s + 1900)
    assert made.due(NIGHT_s + 1800 + 86_400)[0].title == "sim: 2 alarms stand"


def test_the_hour_is_that_of_the_rigs_clock_when_summer_ends() -> None:
    before_s = datetime(2026, 10, 24, 8, 0, tzinfo=BERLIN).timestamp()
    made = Messages(Of("sim", "r1", "Europe/Berlin"), ["07:00"], before_s)
    assert made.next_s == before_s + 24 * 3600  # 23 h by the clock, and one that comes twice


@pytest.mark.parametrize(("outcome", "level"), [("as planned", "info"), ("ended early", "alarm")])
def test_everybody_hears_of_the_end(outcome: str, level: str) -> None:
    (told,) = messages().hear("run.ended", {"outcome": outcome, "reason": "why"}, NIGHT_s)
    assert (told.level, told.everybody, told.text) == (level, True, "why\nspectra: 0 stored\nrun: r1")


def test_samples_tell_nothing() -> None:
    assert messages().hear("ec.block", {}, NIGHT_s) == []
