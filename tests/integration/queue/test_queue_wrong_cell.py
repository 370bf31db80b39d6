"""A cell that is not the one that was meant, and a night that is longer than its window."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.schedule.entry import State

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(180)]


def test_a_wrong_cell_is_not_cycled_and_waits_for_a_person(place: Any) -> None:
    number = place.submit(("-20..20 mV", "1..2 V")).entry.id
    daemon = place.daemon()
    entry = place.until(daemon, number, lambda entry: entry.state is State.HELD)
    assert (entry.exit_code, len(place.runs())) == (4, 1)
    assert "is not within 1 and 2 V" in entry.why
    daemon.look()
    assert place.queue.entry(number).attempts == 1
