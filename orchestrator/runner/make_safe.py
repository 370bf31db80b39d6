"""Open circuit, whatever else happens: in a task of its own that no cancel reaches, with a deadline, read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.base import Confirmation, Fence, SafeState
from orchestrator.runner.safety import own_tries_s
from orchestrator.runner.sentences import first_line
from orchestrator.runner.station import Alarms, Surroundings

TRIES = 3
MARGIN_S = 2.0
FENCE_WITHIN_S = 5.0
NOT_OURS = "cannot-stop"


async def outlast(task: asyncio.Task[SafeState]) -> SafeState:
    """Wait for a task although the waiter is cancelled meanwhile; the cancel is raised when the task is done."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


class MakeSafe:
    """Brings the cell to open circuit. ``begin`` acts at once and never waits; what came of it is recorded afterwards."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms, forget: Callable[[], None]) -> None:
        self._s = surroundings
        self._alarms = alarms
        self._forget = forget
        self._task: asyncio.Task[SafeState] | None = None
        self.result: SafeState | None = None

    @property
    def under_way(self) -> bool:
        """True while the cell is being made safe."""
        return self._task is not None and not self._task.done()

    def leave(self) -> None:
        """Try no more: somebody else has the instrument now."""
        if self._task is not None:
            self._task.cancel()

    def begin(self, why: str) -> asyncio.Task[SafeState]:
        """Start making safe, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._make_safe(why), name="make_safe")
        return self._task

    async def __call__(self, why: str) -> SafeState:
        """Make safe and wait for what came of it, even when cancelled."""
        return await outlast(self.begin(why))

    async def _make_safe(self, why: str) -> SafeState:
        if self._s.follows:
            return self._not_ours(why)
        make_safe_s, loop = self._s.station.potentiostat.capabilities.make_safe_s, asyncio.get_running_loop()
        until_s = loop.time() + own_tries_s(self._s.plan.host_lost_within_s, make_safe_s)
        reached = SafeState(Confirmation.UNCONFIRMED, "not tried")
        for _ in range(TRIES):
            reached = await self._try(min(make_safe_s + MARGIN_S, until_s - loop.time()))
            if reached.confirmed or loop.time() >= until_s:
                break
        if not reached.confirmed and self._s.station.fence is not None:
            reached = await self._trip(self._s.station.fence, reached)
        self.result = reached
        self._record(why, reached)
        return reached

    def _not_ours(self, why: str) -> SafeState:
        """Somebody else runs the cell: said as loudly as can be, since only a person can act."""
        text = f"{first_line(why)}; open circuit would be ordered now, but this program {self._s.cannot}"
        self._alarms.sound(NOT_OURS, "critical", "This program cannot stop this cell", text, advice="act at the cycler, now")
        self.result = SafeState(Confirmation.UNCONFIRMED, f"this program {self._s.cannot}")
        return self.result

    async def _trip(self, fence: Fence, reached: SafeState) -> SafeState:
        """Ring 3: the potentiostat is past telling, so the circuit is opened past it."""
        try:
            async with asyncio.timeout(FENCE_WITHIN_S):
                fenced = await fence.trip()
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempt
            fenced = SafeState(Confirmation.UNCONFIRMED, f"{type(error).__name__}: {error}")
        cause = self._s.put(
            "rule.fired",
            rule="hardware fence",
            interlock=True,
            actions=["open circuit"],
            values={"confirmed": float(fenced.confirmed)},
            step_key="",
            where=fenced.detail,
        )
        told = "the circuit is open" if fenced.confirmed else "nobody could read that the circuit is open"
        self._alarms.sound(
            "fence",
            "critical",
            "The hardware fence is tripped",
            f"the potentiostat could not be made safe ({first_line(reached.detail)}); {told}: {fenced.detail}",
            advice="look at cell and potentiostat; switch its output off, then close the fence by hand",
            cause=cause,
        )
        detail = f"hardware fence: {fenced.detail}; potentiostat: {reached.detail}"
        return SafeState(fenced.confirmation, detail)

    async def _try(self, limit_s: float) -> SafeState:
        try:
            async with asyncio.timeout(limit_s):
                return await self._s.station.potentiostat.make_safe()
        except TimeoutError:
            return SafeState(Confirmation.UNCONFIRMED, f"no answer within {limit_s:.1f} s")
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempt
            return SafeState(Confirmation.UNCONFIRMED, f"{type(error).__name__}: {error}")

    def _record(self, why: str, reached: SafeState) -> None:
        if reached.confirmed:
            self._forget()
        detail = f"{first_line(why)}: {reached.detail}" if reached.detail else first_line(why)
        cause = self._s.put("cell.state", cell="off" if reached.confirmed else "unknown", confirmed=reached.confirmed, detail=detail)
        if reached.confirmed:
            self._alarms.clear("cell-unknown")
            return
        text = f"The cell could not be brought to open circuit, or nobody could read that it is: {reached.detail}"
        advice = "go to the instrument and switch its output off"
        self._alarms.sound("cell-unknown", "critical", "Cell state unknown", text, advice=advice, cause=cause)
