"""Follows the step that runs: fetches what was measured, notices its end and the loss of the link, and comes back by itself."""

from __future__ import annotations

import asyncio
import logging

from drivers.base import LinkLost, LinkRestored, Reason
from drivers.clock import Clock
from drivers.errors import DeviceFault, InstrumentError
from drivers.neware import wire
from drivers.neware.channel import Channel
from drivers.neware.running import Running
from drivers.stream.samples import Outbox

LATE_NS = 20_000_000
"""A look comes so much later than a sample is due."""
RETRY_NS, SOON_NS, LONGEST_NS = 50_000_000, 400_000_000, 1_000_000_000
STOP_LOOK_S = 0.1
STOPS_NEEDED = 2
"""So many looks in a row that show nothing running are the end: rows come into the client's data base a moment late (inferred)."""
STOPPED_LOOKS, TELL_EVERY = 60, 10
"""So often it is looked at before it has not obeyed, and told again."""
GRACE_NS = 5_000_000_000
"""A channel whose latest test is still the one before may not have begun: a start takes its time (inferred)."""
LATE_ROWS_NS = 45_000_000_000
"""So long rows are waited for that would show why a step finished."""
BACK_OFF_S = (0.5, 0.5, 1.0, 2.0, 5.0)

_log = logging.getLogger(__name__)


class Following:
    """At most one step at a time."""

    def __init__(self, channel: Channel, clock: Clock, outbox: Outbox, name: str) -> None:
        self._channel, self._clock, self._outbox, self._name = channel, clock, outbox, name
        self._wake = asyncio.Event()
        self._next_ns = 0
        self._misses = self._attempts = 0
        self.lock = asyncio.Lock()
        self.step: Running | None = None
        self.lost = False
        self.owes_safety = False

    # -------------------------------------------------------------------------------------------------------- a step

    def begin(self, step: Running) -> None:
        """Follow this one."""
        self.step, self._misses = step, 0
        self._next_ns = self._clock.mono_ns() + LATE_NS
        self._wake.set()

    def over(self, reason: Reason, detail: str, end_ns: int | None = None) -> None:
        """The step is over, if one runs."""
        step, self.step = self.step, None
        if step is not None:
            now_ns = self._clock.mono_ns()
            step.end(reason, detail, now_ns if end_ns is None else end_ns, now_ns)
        self._wake.set()

    async def look(self) -> None:
        """Fetch; then say that it is over, end it, or when to look again. Raises InstrumentError."""
        step = self.step
        if step is None:
            return
        state = await self._channel.look()
        came = await self._fetch(step)
        now_ns = self._clock.mono_ns()
        self._note(step, state, came=came)
        if state.status == wire.PAUSE:
            await self.stop(Reason.LOST, "somebody paused it at the BTS client; stopped, since nobody watches a paused step")
        elif self._has_ended(step, state, now_ns):
            await self._end(step, state, now_ns)
        elif (end := step.to_be_ended(now_ns)) is not None:
            await self.stop(*end)
        else:
            self._schedule(step, came=came)

    def _has_ended(self, step: Running, state: wire.State, now_ns: int) -> bool:
        if step.stops < STOPS_NEEDED:
            return False
        if step.test is None:
            return now_ns > step.begun_ns + GRACE_NS * self._clock.speed
        rows_missing = state.status == wire.FINISH and step.clearly(now_ns) is None
        return not rows_missing or now_ns > step.stood_ns + LATE_ROWS_NS

    async def _end(self, step: Running, state: wire.State, now_ns: int) -> None:
        """It ended by itself; where nothing shows why, it is told to stop, lest only the status be old."""
        reason, detail, end_ns = step.why(state.status, now_ns, state.log_code)
        if reason is Reason.LOST:
            await self.stop(reason, detail)
        else:
            self.over(reason, detail, end_ns)

    def _note(self, step: Running, state: wire.State, *, came: bool) -> None:
        """Does it run?"""
        if state.status == wire.WORKING:
            step.seen_running = True
            step.show(step.begun_ns)
            step.at(state.elapsed_s or 0.0, self._clock.mono_ns())
        if not step.stops:
            step.stood_ns = self._clock.mono_ns()
        step.stands = state.status in wire.STANDING
        step.stops = step.stops + 1 if step.stands and not came else 0

    async def _fetch(self, step: Running) -> bool:
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

    def _schedule(self, step: Running, *, came: bool) -> None:
        """When the next sample is due, but at least each second; soon where it was not there, or the channel seems to have stopped."""
        now_ns = self._clock.mono_ns()
        if step.stops:
            self._next_ns = now_ns + (round(STOP_LOOK_S * 1e9) if step.stops < STOPS_NEEDED else LONGEST_NS)
            return
        self._misses = 0 if came else self._misses + 1
        due_ns = step.last_mono_ns + round(step.interval_s * 1e9) + LATE_NS
        if due_ns <= now_ns:
            due_ns = now_ns + min(RETRY_NS << min(self._misses, 6), SOON_NS)
        over_ns = step.due_ns + LATE_NS
        self._next_ns = min(due_ns, now_ns + LONGEST_NS, over_ns if over_ns > now_ns else due_ns)

    async def stop(self, reason: Reason, detail: str) -> str:
        """Open circuit, read back several times in a row; what it measured until then. Raises InstrumentError where that fails."""
        await self._channel.stop()
        shown = await self._stopped()
        if self.step is not None:
            try:
                await self._fetch(self.step)
            except InstrumentError as fault:
                _log.warning("%s: its last samples were not read: %s", self._name, fault.message)
        self.over(reason, detail)
        return shown

    async def _stopped(self) -> str:
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
        return shown

    async def _may_yet_begin(self) -> bool:
        """A start that was accepted, and of which nothing has been seen."""
        step = self.step
        if step is None or step.test is not None or step.seen_running:
            return False
        if step.belongs((await self._channel.test()).number):
            return False
        return self._clock.mono_ns() < step.begun_ns + GRACE_NS * self._clock.speed

    # ---------------------------------------------------------------------------------------------------------- for ever

    async def run(self) -> None:
        """Look again and again; ask a silent client until it answers."""
        while True:
            try:
                await self._turn()
            except InstrumentError as fault:
                self.lose(fault.message)
            except Exception as fault:  # noqa: BLE001 a bug of ours must not leave a step unfollowed
                _log.exception("%s: the driver broke", self._name)
                self.lose(f"the driver broke: {fault!r}")

    async def _turn(self) -> None:
        if self.lost:
            await self._come_back()
        elif self.step is None:
            self._wake.clear()
            await self._wake.wait()
        else:
            await self._until_due()
            async with self.lock:
                if not self.lost:
                    await self.look()

    async def _until_due(self) -> None:
        """Until the next look is due, or something else began."""
        self._wake.clear()
        wait_s = (self._next_ns - self._clock.mono_ns()) / 1e9 / self._clock.speed
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                return

    # ---------------------------------------------------------------------------------------------------------- the link

    def lose(self, why: str) -> None:
        """The link is lost; said once, as of the last sample: those that the client keeps meanwhile come when it is back."""
        if not self.lost:
            self.lost, self._attempts = True, 0
            shown = self.step is not None and self.step.shown
            self._outbox.put(LinkLost(self.step.last_mono_ns if shown and self.step else self._clock.mono_ns(), why))
            self._wake.set()

    def restore(self, detail: str) -> None:
        """The link is back, if it was lost."""
        if self.lost:
            self.lost = False
            self._outbox.put(LinkRestored(self._clock.mono_ns(), detail))
            self._wake.set()

    async def _come_back(self) -> None:
        """One attempt to reach it again; what it is owed is done first."""
        await asyncio.sleep(BACK_OFF_S[min(self._attempts, len(BACK_OFF_S) - 1)])
        self._attempts += 1
        async with self.lock:
            if not self.lost:
                return
            try:
                await self._channel.open()
                detail = await self._reconcile()
            except InstrumentError as fault:
                _log.info("%s: still lost: %s", self._name, fault.message)
                return
            self.restore(detail)

    async def _reconcile(self) -> str:
        """What it did meanwhile, and what it could not be told."""
        if self.owes_safety:
            await self.stop(Reason.ABORT, "made safe")
            self.owes_safety = False
            _log.warning("%s: the link is back, and a safe state was owed: reached", self._name)
            return "the safe state that was owed is reached"
        if self.step is not None:
            await self.look()
        return "it answers again"
