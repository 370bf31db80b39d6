"""How an emulated instrument that lives by its own clock waits."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.clock import Clock


async def until(clock: Clock, instant_ns: int | None, changed: asyncio.Event) -> None:
    """Until an instant (None: none), or until something changes, which is then taken note of."""
    told = asyncio.ensure_future(changed.wait())
    waiting: set[asyncio.Future[Any]] = {told}
    if instant_ns is not None:
        waiting.add(asyncio.ensure_future(clock.sleep_until(instant_ns)))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()
    changed.clear()
