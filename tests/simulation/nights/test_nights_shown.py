"""Nights that are shown on a broker which goes or hangs, and nights whose tuner does: nothing of the run is another for the former."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nights.live import Lived, live
from nights.schedule import Night, night_of
from nights.seeds import check
from orchestrator.model.events import Event

SHOWN = "host.broker_gone:after_s=100000"
GONE, HUNG = "host.broker_gone:after_s=60,for_s=400", "host.broker_gone:after_s=60,for_s=400,hangs=true"


def story(lived: Lived) -> list[tuple[Any, ...]]:
    """What happened, and when; without what the publisher has told, and without the numbers that this shifts."""
    return [
        (event.mono_ns, event.kind, event.data) for event in lived.events if not of_the_publisher(event) and event.kind != "run.started"
    ]


def of_the_publisher(event: Event) -> bool:
    return event.data.get("who") == "mqtt" or (event.kind.startswith("alarm.") and event.data.get("id") == "mqtt")


@pytest.fixture(scope="module")
def night() -> Night:
    """Twenty-five minutes of the night of a seed."""
    text = night_of(7).experiment
    steps = text.partition("  - repeat: ")
    return Night(7, f"{steps[0]}{steps[1]}1\n{steps[2].partition(chr(10))[2]}", ())


def test_a_broker_that_goes_or_hangs_changes_nothing_of_the_run(night: Night, tmp_path: Path) -> None:
    alone, *shown = (
        live(Night(7, night.experiment, faults), tmp_path / name)
        for name, faults in {"alone": (), "shown": (SHOWN,), "gone": (GONE,), "hung": (HUNG,)}.items()
    )
    for lived in shown:
        assert story(lived) == story(alone)
    there, gone, hung = ([event for event in lived.events if of_the_publisher(event)] for lived in shown)
    assert there == []
    for told in (gone, hung):
        assert [event.kind for event in told] == ["alarm.raised", "note", "alarm.cleared"]
        assert told[1].data["text"].startswith("nobody could watch for 4")


@pytest.mark.parametrize("seed", [46, 251])
def test_everything_holds_after_the_night(seed: int, tmp_path: Path) -> None:
    """46: the broker hangs. 251: the tuner hangs three times."""
    assert any("broker_gone" in fault or "tuner_hang" in fault for fault in night_of(seed).faults)
    check(seed, tmp_path)
