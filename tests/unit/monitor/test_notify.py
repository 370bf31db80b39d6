"""Telling a person: real programs, bounded, and never an error for whoever tells."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orchestrator.monitor.notify import BadNotify, Nobody, Way, Ways, notifier, way

NOTE = """
import os, sys
words = [sys.stdin.read(), *sys.argv[2:], os.environ["OPERANDO_TITLE"]]
open(sys.argv[1], "a").write("|".join(words) + "\\n")
"""


def noting(file: Path, least: str = "alarm") -> dict[str, object]:
    return {"run": [sys.executable, "-c", NOTE, str(file)], "level": least}


def test_a_program_gets_the_message_three_ways(tmp_path: Path) -> None:
    complaints: list[str] = []
    people = notifier([noting(tmp_path / "said")], complaints.append)
    people.tell("critical", "sim: go and look", "the cell is on\nrun: r")
    assert people.close()
    told, level, title, text, *environment = (tmp_path / "said").read_text().split("|")
    assert json.loads(told) == {"level": "critical", "title": "sim: go and look", "text": "the cell is on\nrun: r"}
    assert (level, title, text, environment) == ("critical", "sim: go and look", "the cell is on\nrun: r", ["sim: go and look\n"])
    assert not complaints


def test_levels_below_the_least_are_not_told(tmp_path: Path) -> None:
    people = notifier([noting(tmp_path / "all", "info"), noting(tmp_path / "grave", "critical")], print)
    for level in ("info", "alarm", "critical"):
        people.tell(level, level, "")
    assert people.close()
    assert len((tmp_path / "all").read_text().splitlines()) == 3
    assert len((tmp_path / "grave").read_text().splitlines()) == 1


def test_what_fails_or_hangs_is_said_and_the_next_is_told(tmp_path: Path) -> None:
    complaints: list[str] = []
    ways = [
        Way((sys.executable, "-c", "import sys; sys.exit('no network')")),
        Way((str(tmp_path / "nothing"),)),
        Way((sys.executable, "-c", "import time; time.sleep(60)")),
    ]
    people = Ways(ways, complaints.append, within_s=0.5)
    people.tell("alarm", "title", "text")
    assert people.close()
    assert len(complaints) == 3
    for complaint, why in zip(complaints, ("no network", "nothing", "timed out"), strict=True):
        assert why in complaint


def test_telling_never_waits_and_what_finds_no_room_is_said(tmp_path: Path) -> None:
    complaints: list[str] = []
    people = Ways([Way((sys.executable, "-c", "import time; time.sleep(60)"))], complaints.append, within_s=0.3)
    for _ in range(103):
        people.tell("alarm", "again", "")
    assert any("messages wait already" in complaint for complaint in complaints)
    assert not people.close(0.0)


@pytest.mark.parametrize("entry", [{}, {"run": "beep"}, {"run": ["a"], "url": "b"}, {"desktop": True, "level": "loud"}, {"mail": "me"}])
def test_an_entry_that_nobody_understands(entry: dict[str, object]) -> None:
    with pytest.raises(BadNotify):
        way(entry)


def test_an_url_goes_through_apprise_in_a_child_and_is_no_argument() -> None:
    made = way({"url": "ntfy://secret-topic"})
    assert made.url == "ntfy://secret-topic"
    assert not any("secret" in word for word in made.command), "whoever lists processes must not read it"


def test_without_apprise_the_child_says_what_to_install(tmp_path: Path) -> None:
    complaints: list[str] = []
    people = Ways([Way((sys.executable, "-m", "orchestrator.monitor.apprise_child"), "alarm", "nonsense")], complaints.append)
    people.tell("alarm", "title", "text")
    assert people.close()
    assert len(complaints) == 1
    assert "apprise" in complaints[0]


def test_nobody() -> None:
    people = notifier([], print)
    assert isinstance(people, Nobody)
    people.tell("critical", "a", "b")
    assert people.close()


def test_a_summary_goes_to_those_who_asked_for_one_at_its_hour_and_the_end_to_everybody(tmp_path: Path) -> None:
    early, late = ({**noting(tmp_path / name, "critical"), "summary": hour} for name, hour in (("early", "06:00"), ("late", "7:00")))
    people = notifier([early, {**late, "summary": "07:00"}, noting(tmp_path / "none", "critical")], print)
    assert people.hours == ["06:00", "07:00"]
    people.tell("info", "all fine", "", hour="07:00")
    people.tell("info", "the end", "", everybody=True)
    assert people.close()
    told = {name: (tmp_path / name).read_text().count("all fine|") for name in ("early", "late", "none")}
    assert told == {"early": 0, "late": 1, "none": 0}
    assert all("the end" in (tmp_path / name).read_text() for name in told)


def test_a_summary_needs_a_time_of_day() -> None:
    with pytest.raises(BadNotify, match="time of day"):
        way({"desktop": True, "summary": "in the morning"})
