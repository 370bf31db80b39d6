"""The daemon is killed at every point of a run's start and end: no run is started twice, none is lost."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.schedule import claim
from orchestrator.schedule.entry import State

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(180)]

DAEMON = "orchestrator.schedule.daemon:"
POINTS = [
    (f"{DAEMON}Daemon.intend", "before", 1),
    (f"{DAEMON}Daemon.intend", "after", 2),
    (f"{DAEMON}spawn", "after", None),
    (f"{DAEMON}Daemon._goes_on", "before", 1),
    (f"{DAEMON}Daemon._goes_on", "after", 1),
    (f"{DAEMON}Daemon._ended", "before", 1),
    (f"{DAEMON}Daemon._ended", "after", 1),
]
"""Where it is killed; how many starts it then takes (None: either the start that it made is found, or it is given up)."""


@pytest.mark.parametrize(("point", "when", "starts"), POINTS)
def test_no_run_is_started_twice_and_none_is_lost(place: Any, point: str, when: str, starts: int | None) -> None:
    number = place.submit().entry.id
    place.dies(point, when)
    entry = place.ends(place.daemon(), number)
    assert entry.exit_code == 0
    assert len(place.runs()) == 1, "one run, not none and not two"
    assert entry.run == str(place.runs()[0])
    assert entry.attempts == starts or (starts is None and entry.attempts in {1, 2})


def test_a_daemon_that_dies_while_it_gives_a_start_up(place: Any) -> None:
    number = place.submit().entry.id
    place.dies(f"{DAEMON}Daemon.intend", "after")
    place.dies("orchestrator.schedule.claim:give_up", "after")
    assert place.queue.entry(number).state is State.STARTING
    assert claim.read(place.queue.entry(number).attempt_folder(place.home)).given_up
    entry = place.ends(place.daemon(), number)
    assert (len(place.runs()), entry.attempts, entry.exit_code) == (1, 2, 0)
