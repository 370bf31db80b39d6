"""How many passes of the event loop lie between the word that a step has ended and the order to the console: a number that no load moves.

What else runs gets its turn in each of them, so on a busy rig a pass more is a wait more. ``test_order_ahead`` counts the calls within.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from short_night import EDGES

from drivers.base import StepEnded

MOST_PASSES, STEPS = 1, 2
STUCK = 1000
"""So many, and the way to the order waits for a timer: virtual time does not go on while the loop has something to do."""


def test_one_pass_of_the_loop_lies_between_the_word_that_a_step_has_ended_and_the_order(live: Callable[..., Any]) -> None:
    passes, ordered = [], []

    def passed(n: int) -> None:
        """Counts itself once in every pass, until the order of its step is out."""
        if len(ordered) <= n and passes[n] < STUCK:
            passes[n] += 1
            asyncio.get_running_loop().call_soon(passed, n)

    def before(night: Any) -> None:
        put, start = night.potentiostat._put, night.console.start

        def said(event: Any) -> None:
            if isinstance(event, StepEnded) and len(passes) < STEPS:
                passes.append(0)
                asyncio.get_running_loop().call_soon(passed, len(passes) - 1)
            put(event)

        async def started(key: str, block: int) -> None:
            ordered.append(key)
            await start(key, block)

        night.potentiostat._put, night.console.start = said, started

    assert live(EDGES, before=before).outcome.complete
    assert len(ordered) == STEPS
    assert max(passes) <= MOST_PASSES, passes
