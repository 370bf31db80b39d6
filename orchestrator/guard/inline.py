"""The guard at ``--speed max``: a task on the instruments' side, with the same verdicts on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from drivers.base import Confirmation, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.act import GuardLog, sentence
from orchestrator.guard.watch import Due, Watch

LOOK_s = 1.0
LOOKS = 4
"""So often at least within its patience; a night at ``--speed max`` has as many looks as samples otherwise."""
ATTEMPTS = 60


class InlineGuard:
    """A ``GuardLink`` that is its own guard.

    ``fence`` (told why) cancels every task of the host; ``reach`` opens the instrument anew and makes it safe.
    """

    def __init__(
        self,
        clock: Clock,
        limit_s: float,
        fence: Callable[[str], object],
        reach: Callable[[], Awaitable[SafeState]],
        folder: Path,
        acting_s: float = 0.0,
    ) -> None:
        self._clock = clock
        self._fence = fence
        self._reach = reach
        self._log = GuardLog(folder)
        self._watch = Watch(limit_s, self._now_s(), acting_s)
        self._look_s = max(LOOK_s, limit_s / LOOKS)
        self._gone = asyncio.Event()
        self.acted: SafeState | None = None
        self.why = ""
        self.heard: dict[str, Any] = {}
        """What the instrument said last of the step that ran, as whoever reached it has heard."""

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

    async def hand_over(self) -> None:
        """The run is over, but nobody knows the cell to be safe."""
        self._watch.hand_over()

    async def run(self) -> None:
        """Watch until stood down, or act once."""
        try:
            while not self._watch.stood_down:
                if due := self._watch.due(self._now_s()):
                    await self._act(due)
                    return
                await self._clock.sleep(self._look_s)
        finally:
            self._gone.set()
            self._log.close()

    async def _act(self, due: Due) -> None:
        self._write("guard.acting", why=due.why)
        self.why = due.why
        if due.fence:
            self._fence(due.why)
            self._write("guard.fenced", detail="ended every task of the host")
        await self._clock.sleep(due.at_s - self._now_s())
        self.acted = await self._until_safe()
        also = {"heard": dict(self.heard)} if self.heard else {}
        self._write("guard.acted", why=due.why, confirmed=self.acted.confirmed, detail=self.acted.detail, **also)

    def _write(self, kind: str, **data: Any) -> None:
        self._log.write(kind, run_mono_ns=self._clock.mono_ns(), **data)

    async def _until_safe(self) -> SafeState:
        """Try until the safe state is confirmed."""
        reached = SafeState(Confirmation.UNCONFIRMED, "not tried")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reached = await self._reach()
            except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts
                reached = SafeState(Confirmation.UNCONFIRMED, sentence(error))
            if reached.confirmed:
                break
            self._write("guard.failed", attempt=attempt, error=reached.detail, cell="unknown")
            await self._clock.sleep(1.0)
        return reached

    def _now_s(self) -> float:
        return self._clock.mono_ns() / 1e9
