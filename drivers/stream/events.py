"""A console's one ordered stream of events, bounded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from drivers.base import ConsoleEvent, Progress

MOST_EVENTS = 1000

_log = logging.getLogger(__name__)


class Events:
    """``put`` waits for whoever listens, ``say`` never does."""

    def __init__(self, instrument: str) -> None:
        self._instrument = instrument
        self._waiting: asyncio.Queue[ConsoleEvent | None] = asyncio.Queue(MOST_EVENTS)

    async def put(self, event: ConsoleEvent) -> None:
        """An event, after everything before it, once there is room."""
        await self._waiting.put(event)

    def say(self, event: ConsoleEvent) -> None:
        """An event, now. Progress may be dropped where nobody listens; beyond that, the oldest."""
        if not isinstance(event, Progress) or self._waiting.qsize() <= MOST_EVENTS // 2:
            self._push(event)

    def close(self) -> None:
        """The stream ends after what waits."""
        self._push(None)

    def _push(self, event: ConsoleEvent | None) -> None:
        if self._waiting.full():
            _log.warning("%s: nobody takes its events; dropped %s", self._instrument, self._waiting.get_nowait())
        self._waiting.put_nowait(event)

    async def stream(self) -> AsyncIterator[ConsoleEvent]:
        """Everything, in order, until closed."""
        while (event := await self._waiting.get()) is not None:
            yield event
