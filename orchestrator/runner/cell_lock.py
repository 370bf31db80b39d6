"""One lock for what sends radio frequency or a small signal into the cell's leads: acquisitions, tuning, impedance."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from drivers.clock import Clock


class StillHeld(Exception):
    """Somebody else has had the cell for longer than one waits."""


class CellLock:
    """First come, first served; whoever waits too long is told who holds it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self.holder = ""

    @property
    def free(self) -> bool:
        """Nobody holds it."""
        return not self._lock.locked()

    async def take(self, who: str) -> None:
        """Wait until it is free, and have it."""
        await self._lock.acquire()
        self.holder = who

    def give(self, who: str) -> None:
        """Let go of it; nothing where somebody else has it."""
        if self._lock.locked() and self.holder == who:
            self.holder = ""
            self._lock.release()

    @contextlib.asynccontextmanager
    async def held(self, who: str, longest_s: float) -> AsyncIterator[None]:
        """Have it for a while. Raises StillHeld after ``longest_s`` (of the experiment) in vain."""
        try:
            async with asyncio.timeout(longest_s / self._clock.speed):
                await self.take(who)
        except TimeoutError:
            raise StillHeld(f"the cell has been in use by {self.holder or 'somebody'} for {longest_s / 60:g} min") from None
        try:
            yield
        finally:
            self.give(who)
