"""The rig's side of its guard: one is found or started, started again when it dies, and told each second what the rig sees."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from orchestrator.control.heartbeat import Heartbeat, SocketGuardLink
from orchestrator.guard.fence import fence
from orchestrator.guard.start import GuardDidNotStart
from orchestrator.systemd import Systemd

START_AGAIN_S = 0.5
MOST_DEATHS, WITHIN_S = 5, 3600.0
"""A guard that dies so often in an hour would not be there when it is needed."""
LONGEST_STOP_S = 900.0

Put = Callable[[str, dict[str, Any]], object]
Start = Callable[..., Awaitable[SocketGuardLink]]
"""Start a guard; ``under_way=`` says whether the cell may be under current already."""


class KeptGuard:
    """A ``GuardLink`` behind which another guard stands up when one falls.

    ``within_s``: so long (real seconds) the cell may be without a guard; after that ``lost`` returns, and the policy of the step
    holds. ``fresh_s``: samples not older than this are what systemd's watchdog is told of.
    """

    def __init__(self, link: SocketGuardLink, start: Start, put: Put, *, within_s: float, fresh_s: float) -> None:
        self._link = link
        self._start = start
        self._put = put
        self._within_s = within_s
        self._fresh_s = fresh_s
        self._systemd = Systemd()
        self._deaths: list[float] = []
        self._settled = asyncio.Event()
        self._settled.set()
        self._parted = False
        self._newest: tuple[Heartbeat, float] | None = None

    @property
    def pid(self) -> int:
        """The guard's process."""
        return self._link.pid

    @property
    def alive(self) -> bool:
        """A guard watches."""
        return self._link.alive

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send one heartbeat; where the cell is seen, tell systemd too that the rig does what it is for."""
        self._newest = heartbeat, time.monotonic()
        self._link.beat(heartbeat)
        self._systemd.ready("running")
        if heartbeat.last_sample_age_s is None or heartbeat.last_sample_age_s <= self._fresh_s:
            self._systemd.alive()

    async def watching(self) -> bool:
        """True when a guard watches; waits for one that is just being started."""
        await self._settled.wait()
        return self.alive

    async def lost(self) -> str:
        """Return when a guard is gone and no other came in time."""
        while True:
            why = await self._link.lost()
            if self._parted:
                return why
            self._settled.clear()
            try:
                failed = await self._another(why)
            finally:
                self._settled.set()
            if failed:
                return f"{why}; {failed}"

    async def _another(self, why: str) -> str:
        """Start another guard; says why none came, or "" when one watches."""
        self._put("guard.lost", {"why": why})
        text = f"{why}; another is started, and the rig alone watches the cell meanwhile"
        alarm = {"id": "guard-restart", "level": "alarm", "title": "The guard has died", "text": text, "advice": ""}
        self._put("alarm.raised", alarm)
        now_s = time.monotonic()
        self._deaths = [*(at_s for at_s in self._deaths if now_s - at_s < WITHIN_S), now_s]
        if len(self._deaths) > MOST_DEATHS:
            return f"it was the {len(self._deaths)}th within an hour"
        await self._end_hung()
        try:
            async with asyncio.timeout(self._within_s):
                self._link = await self._started()
        except TimeoutError:
            return f"no other came up within {self._within_s:.1f} s"
        self._put("guard.restarted", {"pid": self._link.pid})
        self._put("alarm.cleared", {"id": "guard-restart"})
        return ""

    async def _started(self) -> SocketGuardLink:
        """A new guard, told at once what the old one knew: the rig may die before its next heartbeat."""
        while True:
            with contextlib.suppress(GuardDidNotStart):
                link = await self._start(under_way=True)
                self._repeat(link)
                return link
            await asyncio.sleep(START_AGAIN_S)

    def _repeat(self, link: SocketGuardLink) -> None:
        if self._newest is None:
            return
        beat, at_s = self._newest
        left_s = None if beat.finish_within_s is None else max(0.0, beat.finish_within_s - (time.monotonic() - at_s))
        link.beat(beat._replace(finish_within_s=left_s))

    async def _end_hung(self) -> None:
        """A guard that hangs must not wake up later and reach for the instrument: end that very process."""
        if self._link.started is not None:
            with contextlib.suppress(OSError, TimeoutError):
                await fence(self._link.pid, self._link.started)

    async def stand_down(self) -> None:
        """The cell is safe and the run over."""
        self._part()
        await self._link.stand_down()

    async def hand_over(self) -> None:
        """The cell is the guard's; where there is none, one is started for it."""
        self._part()
        if not (self._link.alive or self._link.parted):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._within_s, 10.0)):
                    self._link = await self._started()
        await self._link.hand_over()

    def _part(self) -> None:
        self._parted = True
        self._systemd.stopping(LONGEST_STOP_S)
