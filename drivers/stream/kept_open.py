"""A console's connection that is kept open: one task reads it for ever, and opens anew what was lost."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.base import ByteStream
from drivers.errors import InstrumentError

REPLY_S, CHECK_S = 10.0, 5.0
"""Real seconds for any reply, and for that to who is there; inferred: nobody says how long an answer may take."""
ASK_AGAIN_S = (0.5, 1.0, 2.0, 5.0)
"""Real seconds between attempts, each of which waits CHECK_S for an answer; the last one for ever."""


class KeptOpen(ABC):
    """``changed`` learns that the link is lost (why) or back (None). A protocol says who answers, what it reads, and who waits."""

    def __init__(self, opener: Callable[[], Awaitable[ByteStream]], changed: Callable[[str | None], Awaitable[None]]) -> None:
        self._opener = opener
        self._changed = changed
        self._stream: ByteStream | None = None
        self._why_dropped: str | None = None
        self._back = asyncio.Event()
        self.lost = False

    @abstractmethod
    def _begin(self) -> None:
        """A fresh connection: nothing has been read of it."""

    @abstractmethod
    async def _who(self, within_s: float) -> Any:
        """Ask who is there, on a fresh connection. Raises NotReachable, WrongInstrument."""

    @abstractmethod
    async def _read(self, stream: ByteStream) -> bool:
        """Hear one piece; False at the end."""

    @abstractmethod
    def _disappoint(self, why: str) -> None:
        """Whoever waits for a reply gets none."""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            why = await self._read_to_the_end()
            await self.close()
            self._lose()
            self._disappoint(why)
            await self._changed(why)
            await self._reopen()
            self.lost = False
            await self._changed(None)
            self._back.set()

    async def close(self) -> None:
        """Let go of the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                await stream.close()

    async def back(self) -> None:
        """Wait until the link is there; at once where it was never lost."""
        if self.lost or self._stream is None:
            await self._back.wait()

    async def _opened(self) -> Any:
        """Connect and ask who is there. Raises NotReachable, WrongInstrument."""
        await self._connect()
        try:
            return await self._who(REPLY_S)
        except InstrumentError:
            await self.close()
            raise

    async def _drop(self, why: str) -> None:
        """Give the connection up; ``run`` opens another."""
        self._lose()
        self._why_dropped = why
        await self.close()

    def _lose(self) -> None:
        self.lost = True
        self._back.clear()

    async def _connect(self) -> None:
        self._stream = await self._opener()
        self._begin()

    async def _read_to_the_end(self) -> str:
        stream = self._stream
        try:
            while stream is not None and await self._read(stream):
                continue
        except (OSError, InstrumentError) as fault:
            return f"the connection broke: {fault}"
        why, self._why_dropped = self._why_dropped, None
        return why or "the console has closed the connection"

    async def _reopen(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(ASK_AGAIN_S[min(attempt, len(ASK_AGAIN_S) - 1)])
            attempt += 1
            with contextlib.suppress(OSError, InstrumentError):
                await self._connect()
                await self._who(CHECK_S)
                return
            await self.close()
