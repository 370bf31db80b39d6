"""Follows the test that a BTS client runs: its rows come into the client's data base a moment late, and its status says how it ended."""

from __future__ import annotations

from typing import ClassVar

from drivers.base import Reason
from drivers.clock import Clock
from drivers.errors import DeviceFault
from drivers.neware import wire
from drivers.neware.channel import Channel
from drivers.neware.running import CyclerStep
from drivers.stream.following import LONGEST_NS, StepFollowing
from drivers.stream.samples import Outbox

STOP_LOOK_S = 0.1
STOPS_NEEDED = 2
"""So many looks in a row that show nothing running are the end: rows come into the client's data base a moment late (inferred)."""
STOPPED_LOOKS, TELL_EVERY = 60, 10
"""So often it is looked at before it has not obeyed, and told again."""
GRACE_NS = 5_000_000_000
"""A channel whose latest test is still the one before may not have begun: a start takes its time (inferred)."""
LATE_ROWS_NS = 45_000_000_000
"""So long rows are waited for that would show why a step finished."""


class TestsFollowing(StepFollowing[CyclerStep]):
    """Each step is a test of the client's, with a number and rows of its own."""

    late_ns: ClassVar[int] = 20_000_000
    retry_ns: ClassVar[int] = 50_000_000
    soon_ns: ClassVar[int] = 400_000_000

    def __init__(self, channel: Channel, clock: Clock, outbox: Outbox, name: str) -> None:
        super().__init__(clock, outbox, name)
        self._channel = channel

    async def reach(self) -> None:
        """Find the channel again."""
        await self._channel.open()

    async def look(self) -> None:
        """Fetch; then say that it is over, end it, or when to look again. Raises InstrumentError."""
        step = self.step
        if step is None:
            return
        state = await self._channel.look()
        came = await self.fetch(step)
        now_ns = self._clock.mono_ns()
        self._note(step, state, came=came)
        if state.status == wire.PAUSE:
            await self.stop(Reason.LOST, "somebody paused it at the BTS client; stopped, since nobody watches a paused step")
        elif self._has_ended(step, state, now_ns):
            await self._end(step, state, now_ns)
        elif (end := step.to_be_ended(now_ns)) is not None:
            await self.stop(*end)
        elif step.stops:
            self.again_in(round(STOP_LOOK_S * 1e9) if step.stops < STOPS_NEEDED else LONGEST_NS)
        else:
            self.again_when_due(step, came=came)

    def _has_ended(self, step: CyclerStep, state: wire.State, now_ns: int) -> bool:
        if step.stops < STOPS_NEEDED:
            return False
        if step.test is None:
            return now_ns > step.begun_ns + GRACE_NS * self._clock.speed
        rows_missing = state.status == wire.FINISH and step.clearly(now_ns) is None
        return not rows_missing or now_ns > step.stood_ns + LATE_ROWS_NS

    async def _end(self, step: CyclerStep, state: wire.State, now_ns: int) -> None:
        """It ended by itself; where nothing shows why, it is told to stop, lest only the status be old."""
        reason, detail, end_ns = step.verdict(state.status, now_ns, state.log_code)
        if reason is Reason.LOST:
            await self.stop(reason, detail)
        else:
            self.over(reason, detail, end_ns)

    def _note(self, step: CyclerStep, state: wire.State, *, came: bool) -> None:
        """Does it run?"""
        if state.status == wire.WORKING:
            step.seen_running = True
            step.show(step.begun_ns)
            step.at(state.elapsed_s or 0.0, self._clock.mono_ns())
        if not step.stops:
            step.stood_ns = self._clock.mono_ns()
        step.stands = state.status in wire.STANDING
        step.stops = step.stops + 1 if step.stands and not came else 0

    async def fetch(self, step: CyclerStep) -> bool:
        """Every row that there is; True when there was one."""
        latest, before = await self._channel.test(), step.rows
        if not step.belongs(latest.number):
            return False
        while step.rows < latest.rows:
            rows = await self._channel.rows(latest.number, step.rows + 1)
            fresh = tuple(row for row in rows if row.number > step.rows)
            if not fresh:
                break
            step.take(fresh, self._clock.mono_ns())
        return step.rows > before

    async def tell_stop(self) -> None:
        """Tell it to open the circuit; where nothing runs it refuses."""
        await self._channel.stop()

    async def stopped(self) -> str:
        """Wait until it stands, and no start is on its way; what runs all the same is told again. Raises DeviceFault."""
        stops, looks, shown = 0, 0, ""
        while stops < STOPS_NEEDED or await self._may_yet_begin():
            state = await self._channel.look()
            stops = stops + 1 if state.status in wire.STANDING else 0
            shown = state.status if state.voltage_V is None else f"{state.status}, {state.voltage_V:.6g} V"
            if (looks := looks + 1) > STOPPED_LOOKS:
                raise DeviceFault("told to stop, and it still runs", instrument=self._name, received=shown, did="it is told again")
            if not stops and looks % TELL_EVERY == 0:
                await self._channel.stop()
            await self._clock.sleep(STOP_LOOK_S * self._clock.speed)
        return f"the channel reads {shown}"

    async def _may_yet_begin(self) -> bool:
        """A start that was accepted, and of which nothing has been seen."""
        step = self.step
        if step is None or step.test is not None or step.seen_running:
            return False
        if step.belongs((await self._channel.test()).number):
            return False
        return self._clock.mono_ns() < step.begun_ns + GRACE_NS * self._clock.speed
