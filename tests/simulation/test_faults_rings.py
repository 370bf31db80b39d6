"""What the run does about itself: cancelled, and bugs in the inner and the outer ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from short_night import SHORT_NIGHT, cells, ends, every_record_has_an_end

Live = Callable[..., Any]


def test_a_run_that_is_cancelled_is_made_safe_and_says_so(live: Live) -> None:
    async def cancel(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.running.cancel()

    night = live(SHORT_NIGHT, cancel)
    assert night.running.cancelled()
    ended = night.of("run.ended")
    assert [event.data["state"] for event in ended] == ["failed"]
    assert ended[0] is night.journal.events[-1]
    assert cells(night)[-1] == ("off", True)
    every_record_has_an_end(night)


def test_a_bug_in_the_inner_ring_opens_the_circuit_and_is_called_a_bug(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.beat = None

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("failed", "ended early", 1)
    assert "heartbeat failed" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_stream_that_ends_is_a_failed_instrument(live: Live) -> None:
    async def events_that_end(night: Any) -> Any:
        async for event in night.stream:
            yield event
            if night.of("step.started", mode="galvanostatic"):
                return

    def shorten(night: Any) -> None:
        night.stream = night.potentiostat.events()
        night.potentiostat.events = lambda: events_that_end(night)

    night = live(SHORT_NIGHT, before=shorten)
    assert ends(night) == ("failed", "ended early", 3)
    assert "stream has ended" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_bug_in_the_outer_ring_is_survived_and_alarmed(live: Live) -> None:
    async def bug(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    night = live(SHORT_NIGHT, before=lambda night: setattr(night.console, "prepare", bug))
    assert ends(night) == ("finished", "as planned", 3)
    assert any("ZeroDivisionError" in event.data["text"] for event in night.of("note"))
    assert night.of("alarm.raised", id="task-console")
    assert cells(night)[-1] == ("off", True)
    every_record_has_an_end(night)
