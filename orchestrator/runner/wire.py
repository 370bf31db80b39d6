"""Calls to instruments, each with a time-out of its own; and the ring of tasks that may fail without ending the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.runner.station import Alarms, Surroundings

T = TypeVar("T")

LONGEST_PAUSE_S = 60.0
FAILURES_TO_ALARM = 3


async def within(limit_s: float, call: Awaitable[T]) -> T:
    """The call's result, or TimeoutError (in real seconds) that says so."""
    try:
        async with asyncio.timeout(limit_s):
            return await call
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no answer within {limit_s:g} s") from None


async def supervise(surroundings: Surroundings, alarms: Alarms, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """The outer ring: do the work; when it fails, journal why, wait, do it again; from the third time on, alarm."""
    failures = 0
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 the outer ring exists to survive whatever it is
            failures += 1
            text = f"{name} failed ({failures}): {type(error).__name__}: {error}"
            surroundings.put("note", text=text, who="rig")
            if failures >= FAILURES_TO_ALARM:
                alarms.sound(
                    f"task-{name}", "alarm", f"{name} fails again and again", text, advice="see log.jsonl; current and samples go on"
                )
            await surroundings.clock.sleep(min(LONGEST_PAUSE_S, 2.0**failures))
        else:
            return
