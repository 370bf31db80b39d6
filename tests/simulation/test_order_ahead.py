"""At a step's end the console is told to start before the end is written down; whatever comes of that order is told by its record."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from short_night import EDGES

from drivers.base import Reason, SampleBlock, StepEnded
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.station import UNSAFE

Live = Callable[..., Any]

WRITTEN = ["step.ended", "acquisition.requested", "acquisition.armed", "acquisition.started"]


class Watched:
    """``orders``: what the console was told, and how many steps the journal said were over by then."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, int]] = []

    def __call__(self, night: Any) -> None:
        start = night.console.start

        async def watched(key: str, block: int) -> None:
            self.orders.append((key, len(night.of("step.ended"))))
            await start(key, block)

        night.console.start = watched


def test_the_order_is_out_before_the_end_is_written_and_the_records_keep_their_order(live: Live) -> None:
    watched = Watched()
    night = live(EDGES, before=watched)
    assert night.outcome.complete
    assert [before for _, before in watched.orders] == [0, 1]
    assert [key for key, _ in watched.orders] == [event.data["key"] for event in night.of("acquisition.requested")]
    kinds = [event.kind for event in night.journal.events if event.kind.startswith(("step.", "acquisition."))]
    first = kinds.index("step.ended")
    assert kinds[first : first + 4] == WRITTEN


def test_the_order_is_for_what_a_rule_has_put_in_the_place_of_what_was_asked_for(live: Live) -> None:
    watched = Watched()
    changed = EDGES.replace("dummies: 1}\n", "dummies: 1}\n  wide: {template: 7Li_wide, recycle_s: 2, scans: 4, dummies: 1}\n")
    changed += "rules:\n  - {name: onset, when: abs(E) > 1 mV, for: 20 samples, do: [change acquisition wide]}\n"
    night = live(changed, before=watched)
    assert [before for _, before in watched.orders] == [0, 1]
    assert [event.data["name"] for event in night.of("acquisition.requested")] == ["wide", "wide"]


@pytest.mark.parametrize(("fault", "end"), [("start_error", "missed"), ("foreign", "rejected")])
def test_an_order_that_failed_is_told_by_its_record_and_given_once(live: Live, fault: str, end: str) -> None:
    watched = Watched()
    night = live(EDGES, before=watched, options={"console": {"faults": [fault]}})
    assert night.outcome.outcome == "as planned"
    assert len(watched.orders) == len(night.of(f"acquisition.{end}")) == 2
    assert not night.of("acquisition.started")


def test_behind_a_limit_that_the_last_sample_passes_no_order_goes_ahead(live: Live) -> None:
    watched = Watched()

    def before(night: Any) -> None:
        watched(night)
        finish = night.potentiostat._finish

        def finished(step: Any, reason: Reason, detail: str = "") -> None:
            one = (np.array([step.at_ns]), np.array([5.0]), np.array([4e-4]))
            night.potentiostat._put(SampleBlock(step.order.key, *one))
            finish(step, reason, detail)

        night.potentiostat._finish = finished

    night = live(EDGES, before=before)
    assert night.outcome.exit_code == UNSAFE
    assert 0 not in [before for _, before in watched.orders]


def test_what_was_started_and_then_found_no_record_is_aborted(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, aborted, request = Watched(), [], Acquisitions.request
    monkeypatch.setattr(Acquisitions, "request", lambda self, *given, **more: request(self, *given, **more) if aborted else [])

    def before(night: Any) -> None:
        watched(night)
        abort = night.console.abort

        async def noted(key: str) -> None:
            aborted.append(key)
            await abort(key)

        night.console.abort = noted

    night = live(EDGES, before=before)
    assert aborted == [watched.orders[0][0]]
    assert any("not wanted any more" in event.data["text"] for event in night.of("note"))
    assert len(night.of("acquisition.verified")) == 1


MOST_CALLS = 165
"""Of functions written in Python, the event loop's included: what no computer's load moves. Python 3.11; later ones count fewer."""


def test_few_calls_lie_between_the_word_that_a_step_has_ended_and_the_order(live: Live) -> None:
    counted: list[int] = []

    def count(_: Any, event: str, __: Any) -> None:
        counted[-1] += event == "call"

    def before(night: Any) -> None:
        put, start = night.potentiostat._put, night.console.start

        def said(event: Any) -> None:
            if isinstance(event, StepEnded):
                counted.append(0)
                sys.setprofile(count)
            put(event)

        async def ordered(key: str, block: int) -> None:
            sys.setprofile(None)
            await start(key, block)

        night.potentiostat._put, night.console.start = said, ordered

    try:
        live(EDGES, before=before)
    finally:
        sys.setprofile(None)
    assert counted[0] <= MOST_CALLS, counted
