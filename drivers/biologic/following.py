"""Follows the step that runs: fetches what was measured, notices its end and the loss of the link, and comes back by itself."""

from __future__ import annotations

import asyncio
import logging

from drivers.base import LinkLost, LinkRestored, Reason
from drivers.biologic.door import ChannelTaken, Door
from drivers.biologic.running import Running
from drivers.clock import Clock
from drivers.errors import DeviceFault, InstrumentError
from drivers.stream.samples import Outbox

LATE_NS = 5_000_000
"""A look comes so much later than a sample is due."""
RETRY_NS, SOON_NS, LONGEST_NS = 10_000_000, 250_000_000, 1_000_000_000
STOP_LOOK_S = 0.02
STOPPED_WITHIN_S = 5.0
GRACE_NS = 2_000_000_000
"""A channel that has shown no sample yet may not have begun: a start takes its time (inferred)."""
BACK_OFF_S = (0.5, 0.5, 1.0, 2.0, 5.0)
MOST_FETCHES = 500
STALE_STOPS = 50
"""So many looks at a channel that stands still, says it holds data, and gives none away, are the end too."""

_log = logging.getLogger(__name__)


class Following:
    """At most one step at a time."""

    def __init__(self, door: Door, clock: Clock, outbox: Outbox, name: str) -> None:
        self._door, self._clock, self._outbox, self._name = door, clock, outbox, name
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
        try:
            came = await self._fetch(step)
        except ChannelTaken as gone:
            self.over(Reason.LOST, f"the channel lost its firmware, or EC-Lab took it: {gone.message}")
            return
        now_ns = self._clock.mono_ns()
        begun = step.samples > 0 or now_ns > step.begun_ns + GRACE_NS * self._clock.speed
        if begun and step.stops >= (STALE_STOPS if step.more else self._door.stops_needed):
            self.over(*step.why(now_ns))
        elif (end := step.to_be_ended(now_ns)) is not None:
            await self.stop(*end)
        else:
            self._schedule(step, came=came)

    async def _fetch(self, step: Running) -> bool:
        """Everything that there is; True when there was something."""
        before, rows = step.samples, 0
        for _ in range(MOST_FETCHES):
            batch = await self._door.fetch()
            if batch.trouble and not step.trouble:
                step.trouble, step.trouble_reason = batch.trouble, batch.trouble_reason
            step.take(batch.rows, self._clock.mono_ns(), batch.status)
            rows += len(batch.rows)
            if not batch.more or not batch.rows:
                break
        step.stops, step.more = 0 if batch.running or rows else step.stops + 1, batch.more
        if batch.running:
            step.seen_running = True
            if not step.waits:
                step.show(step.begun_ns)
        return step.samples > before

    def _schedule(self, step: Running, *, came: bool) -> None:
        """When the next sample is due, but at least each second; soon where it was not there, or the channel seems to have stopped."""
        now_ns = self._clock.mono_ns()
        if step.stops:
            self._next_ns = now_ns + round(STOP_LOOK_S * 1e9)
            return
        self._misses = 0 if came else self._misses + 1
        due_ns = step.last_mono_ns + round(step.interval_s * 1e9) + LATE_NS
        if due_ns <= now_ns:
            due_ns = now_ns + min(RETRY_NS << min(self._misses, 6), SOON_NS)
        over_ns = step.due_ns + LATE_NS
        self._next_ns = min(due_ns, now_ns + LONGEST_NS, over_ns if over_ns > now_ns else due_ns)

    async def stop(self, reason: Reason, detail: str) -> str:
        """Open circuit, read back several times in a row; what it measured until then. Raises InstrumentError where that fails."""
        await self._door.stop()
        stops, waited_s, shown = 0, 0.0, ""
        while stops < self._door.stops_needed:
            look = await self._door.look()
            stops = stops + 1 if look.running is False else 0
            shown = look.detail or (f"{look.voltage_V:.6g} V" if look.voltage_V is not None else "")
            if waited_s > STOPPED_WITHIN_S:
                raise DeviceFault("told to stop, and it still runs", instrument=self._name, received=look.detail, did="it is told again")
            await self._clock.sleep(STOP_LOOK_S * self._clock.speed)
            waited_s += STOP_LOOK_S
        if self.step is not None:
            try:
                await self._fetch(self.step)
            except InstrumentError as fault:
                _log.warning("%s: its last samples were not read: %s", self._name, fault.message)
        self.over(reason, detail)
        return shown

    # ---------------------------------------------------------------------------------------------------------- for ever

    async def run(self) -> None:
        """Look again and again; ask a silent instrument until it answers."""
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
        """The link is lost; said once, as of the last sample: those that the channel keeps meanwhile come when it is back."""
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
                await self._door.open()
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
