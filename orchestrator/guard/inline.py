"""The guard at ``--speed max``: a task on the instruments' side, with the same verdicts on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from drivers.base import SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.act import GuardLog
from orchestrator.guard.watch import Watch

LOOK_s = 1.0


class InlineGuard:
    """A ``GuardLink`` that is its own guard.

    ``fence`` cancels every task of the host; ``reach`` opens the instrument anew and makes it safe.
    """

    def __init__(
        self, clock: Clock, limit_s: float, fence: Callable[[], object], reach: Callable[[], Awaitable[SafeState]], folder: Path
    ) -> None:
        self._clock = clock
        self._fence = fence
        self._reach = reach
        self._log = GuardLog(folder)
        self._watch = Watch(limit_s, self._now_s())
        self._gone = asyncio.Event()
        self.acted: SafeState | None = None

    @property
    def alive(self) -> bool:
        """True until it has acted or been stood down."""
        return not self._gone.is_set()

    def beat(self, heartbeat: Heartbeat) -> None:
        """One heartbeat."""
        self._watch.beat(heartbeat, self._now_s())

    async def lost(self) -> str:
        """Return when this guard no longer watches."""
        await self._gone.wait()
        return "the guard no longer watches"

    async def stand_down(self) -> None:
        """The run is over and the cell safe."""
        self._watch.stand_down()

    async def run(self) -> None:
        """Watch until stood down, or act once."""
        try:
            while not self._watch.stood_down:
                if due := self._watch.due(self._now_s()):
                    await self._act(due.why, due.at_s)
                    return
                await self._clock.sleep(LOOK_s)
        finally:
            self._gone.set()

    async def _act(self, why: str, at_s: float) -> None:
        self._log.write("guard.acting", why=why)
        self._fence()
        await self._clock.sleep(at_s - self._now_s())
        self.acted = await self._reach()
        self._log.write("guard.acted", why=why, confirmed=self.acted.confirmed, detail=self.acted.detail)

    def _now_s(self) -> float:
        return self._clock.mono_ns() / 1e9
