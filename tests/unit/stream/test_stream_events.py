"""A console's events: in order, bounded, and ended with the driver."""

from __future__ import annotations

import asyncio

import pytest

from drivers.base import Filed, LinkLost, Progress, Started
from drivers.stream.events import MOST_EVENTS, Events


async def rest(events: Events) -> list[object]:
    events.close()
    return [event async for event in events.stream()]


async def test_events_come_in_order_and_end() -> None:
    events = Events("console")
    await events.put(Started("a", 0, 1))
    events.say(LinkLost(2, "gone"))
    assert [type(event) for event in await rest(events)] == [Started, LinkLost]


async def test_put_waits_for_whoever_listens() -> None:
    events = Events("console")
    for n in range(MOST_EVENTS):
        await events.put(Started("a", n, n))
    waiting = asyncio.create_task(events.put(Filed("a", 0, 1, "")))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await anext(events.stream()) == Started("a", 0, 0)
    await waiting


async def test_say_drops_progress_first_then_the_oldest_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    events = Events("console")
    for n in range(MOST_EVENTS):
        events.say(Progress("a", 0, n, n))
    kept = MOST_EVENTS // 2 + 1
    for n in range(MOST_EVENTS - kept + 1):
        events.say(Started("a", n, n))
    assert "nobody takes its events; dropped Progress" in caplog.text
    found = await rest(events)
    assert sum(isinstance(event, Progress) for event in found) == kept - 2, "one for the last event, one for the end"
    assert sum(isinstance(event, Started) for event in found) == MOST_EVENTS - kept + 1
