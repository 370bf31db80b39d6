"""Follows the step that runs: reads the buffer, keeps the instrument's watchdog content, notices its end and the loss of the link."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial

from drivers.base import LinkLost, LinkRestored, Reason, StepEnded, StepStarted
from drivers.clock import Clock
from drivers.errors import DeviceFault, InstrumentError
from drivers.keithley import wire
from drivers.keithley.conduct import Conduct
from drivers.keithley.models import Options
from drivers.keithley.running import Running
from drivers.keithley.talk import Talk
from drivers.stream.samples import Outbox

FIRST_LOOK_NS = 50_000_000
LATE_NS = 1_000_000
"""A look comes so much later than a reading is due."""
PROBE_EVERY, WIDE_NS = 8, 20_000_000
"""Every eighth look, and each while the clock's bounds are this far apart, comes in their middle and halves them."""
SHORTEST_NS = 250_000_000
RETRY_NS = 10_000_000
LONGEST_NS = 5_000_000_000
TRIGGERS_A_WINDOW = 12
BACK_OFF_S = (*(0.5,) * 10, 1.0, 2.0)

_log = logging.getLogger(__name__)


class Following:
    """At most one step at a time. ``serial``: of the instrument that we met."""

    def __init__(self, talk: Talk, conduct: Conduct, clock: Clock, outbox: Outbox, options: Options, instrument: str) -> None:
        self._talk = talk
        self._conduct = conduct
        self._clock = clock
        self._outbox = outbox
        self._instrument = instrument
        self._trigger_every_ns = int(options.watchdog_s / 2 / TRIGGERS_A_WINDOW * 1e9)
        self._triggered_ns = self._next_ns = self._asked_ns = 0
        self._misses = self._attempts = self._looks = 0
        self._shown = False
        self._wake = asyncio.Event()
        self.serial = ""
        self.step: Running | None = None
        self.lost = False
        self.owes_safety = False

    # -------------------------------------------------------------------------------------------------------- a step

    def begin(self, step: Running, asked_ns: int, *, shown: bool = True) -> None:
        """A step was started at ``asked_ns``; ``shown``: the instrument has said so."""
        self.step, self._asked_ns, self._shown, self._misses = step, asked_ns, False, 0
        step.alignment.last_mono_ns = asked_ns
        self._triggered_ns = asked_ns
        self._next_ns = self._clock.mono_ns() + FIRST_LOOK_NS
        if shown:
            self._show(step)
        self._wake.set()

    def _show(self, step: Running) -> None:
        if not self._shown:
            self._shown = True
            self._outbox.put(StepStarted(step.key, self._asked_ns))

    def over(self, reason: Reason, detail: str, mono_ns: int | None = None) -> None:
        """The step is over; nothing happens when none runs."""
        step, self.step = self.step, None
        if step is None:
            return
        at_ns = max(self._clock.mono_ns() if mono_ns is None else mono_ns, step.alignment.last_mono_ns)
        self._outbox.put(StepEnded(step.key, at_ns, reason, detail, step.last_device_ns, last_of_program=True))

    async def stop(self, reason: Reason, detail: str) -> None:
        """End the step now: model and output off, the last readings, StepEnded. Raises InstrumentError."""
        off_ns = await self._conduct.open_circuit()
        if self.step is not None:
            await self._read(self.step)
        self.over(reason, detail, off_ns)

    # ------------------------------------------------------------------------------------------------------- one look

    async def look(self) -> None:
        """State, readings, watchdog; the step's end. The caller holds the wire. Raises InstrumentError."""
        step = self.step
        if step is None:
            return
        state = await self._talk.trigger_state()
        await self._read(step)
        if state.active:
            await self._still_running(step)
        elif await self._conduct.rebooted():
            await self._after_reboot()
        else:
            await self._has_ended(step, state.word)
        self._schedule(step)

    async def _still_running(self, step: Running) -> None:
        self._show(step)
        if reached := step.reached(self._clock.mono_ns()):
            return await self.stop(*reached)
        now_ns = self._clock.mono_ns()
        if self._trigger_every_ns and now_ns - self._triggered_ns >= self._trigger_every_ns:
            self._triggered_ns = now_ns
            await self._talk.tell("*TRG")
        return None

    async def _has_ended(self, step: Running, state: str) -> None:
        """The trigger model is over; its output is off, or is switched off."""
        reason, detail = (Reason.ABORT, "made safe") if self.owes_safety else step.why(state)
        try:
            await self._conduct.open_circuit()
        except DeviceFault as fault:
            reason, detail = Reason.DEVICE_ERROR, f"{detail}; {fault.message}: the cell may still be on"
        at_the_end = reason not in {Reason.LOST, Reason.DEVICE_ERROR} and step.taken
        self.over(reason, detail, step.alignment.last_mono_ns if at_the_end else None)

    async def _after_reboot(self) -> None:
        """Switched on anew: its output is off, but not in high impedance any more."""
        detail = "the instrument was switched on anew"
        try:
            await self._conduct.open_circuit()
        except DeviceFault as fault:
            detail += f"; {fault.message}"
        self.over(Reason.LOST, detail)

    async def _read(self, step: Running) -> None:
        """Every reading since the last look."""
        asked_ns = self._clock.mono_ns()
        end = await self._conduct.last_index()
        seen_ns = self._clock.mono_ns()
        if not end:
            return
        overrun = step.first_ns is not None and asked_ns - step.alignment.last_mono_ns >= self._conduct.capacity * step.interval_ns
        if end == step.taken and not overrun:
            self._misses += 1
            step.not_yet(asked_ns)
            return
        self._misses = 0
        if overrun or end - step.taken > wire.MOST_ROWS:
            oldest = await self._talk.ask(":TRAC:ACT:STAR?", wire.parse_integer)
            step.fetched_all = not overrun and oldest - 1 <= step.taken
            step.taken = oldest - 1 if overrun else max(step.taken, oldest - 1)
        if end <= step.taken:  # the numbers begin anew where the buffer is full
            await self._fetch(step, step.taken + 1, self._conduct.capacity, seen_ns)
            step.taken = 0
        await self._fetch(step, step.taken + 1, end, seen_ns)

    async def _fetch(self, step: Running, first: int, last: int, seen_ns: int) -> None:
        while first <= last:
            upto = min(last, first + wire.MOST_ROWS - 1)
            rows = await self._rows(first, upto)
            if step.first_ns is None:
                step.began(rows[0], self._asked_ns)
            step.take(rows, seen_ns)
            first = upto + 1

    async def recount(self, step: Running) -> None:
        """What the buffer holds of a step that is adopted; where it has wrapped since, nobody knows its charge any more."""
        self._conduct.capacity = await self._talk.ask(f":TRAC:POIN? {wire.BUFFER}", wire.parse_integer)
        end = await self._conduct.last_index()
        step.taken = first = (await self._talk.ask(":TRAC:ACT:STAR?", wire.parse_integer)) if end else 1
        step.taken -= 1
        if first > 1:
            step.taken, step.charge_C = end - 1, math.nan
        while step.taken < end:
            step.recount(await self._rows(step.taken + 1, min(end, step.taken + wire.MOST_ROWS)), self._clock.mono_ns())

    async def _rows(self, first: int, last: int) -> tuple[wire.Row, ...]:
        return await self._talk.ask(wire.rows_query(first, last), partial(wire.parse_rows, count=last - first + 1))

    def _schedule(self, step: Running) -> None:
        """When to look again: when the next reading is due; soon, when it was not there."""
        now_ns, last_ns = self._clock.mono_ns(), step.alignment.last_mono_ns
        if step.first_ns is None:
            self._next_ns = now_ns + FIRST_LOOK_NS
            return
        self._looks += 1
        width_ns = step.alignment.half_width_ns
        probes = self._looks % PROBE_EVERY == 0 or width_ns > WIDE_NS
        due_ns = last_ns + max(step.beat_ns, SHORTEST_NS) + (-width_ns // 2 if probes else LATE_NS)
        if due_ns <= now_ns:
            due_ns = now_ns + min(RETRY_NS << min(max(self._misses - 1, 0), 5), SHORTEST_NS)
        over_ns = step.due_ns if step.due_ns is not None and step.due_ns > now_ns else due_ns
        self._next_ns = min(due_ns, over_ns, now_ns + LONGEST_NS)

    # ---------------------------------------------------------------------------------------------------------- for ever

    async def run(self) -> None:
        """Look again and again; ask a silent instrument until it answers."""
        while True:
            try:
                await self._turn()
            except InstrumentError as fault:
                self.lose(fault.message)
            except Exception as fault:  # noqa: BLE001 a bug of ours must not leave a step unfollowed
                _log.exception("%s: the driver broke", self._instrument)
                self.lose(f"the driver broke: {fault!r}")

    async def _turn(self) -> None:
        if self.lost:
            await self._come_back()
        elif self.step is None:
            self._wake.clear()
            await self._wake.wait()
        else:
            await self._until_due()
            async with self._talk.lock:
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
        """The link is lost, and why; said once, as of the last reading: those that the buffer keeps meanwhile come when it is back."""
        if not self.lost:
            self.lost, self._attempts = True, 0
            self._outbox.put(LinkLost(self.step.alignment.last_mono_ns if self.step else self._clock.mono_ns(), why))
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
        async with self._talk.lock:
            if not self.lost:
                return
            try:
                await self._conduct.meet_again(self.serial)
                detail = await self._reconcile()
            except InstrumentError as fault:
                _log.info("%s: still lost: %s", self._instrument, fault.message)
                return
            self.restore(detail)

    async def _reconcile(self) -> str:
        """What it did meanwhile, and what it could not be told."""
        if await self._conduct.rebooted():
            await self._after_reboot()
            self.owes_safety = False
            return "it was switched on anew meanwhile"
        if self.owes_safety:
            await self.stop(Reason.ABORT, "made safe")
            self.owes_safety = False
            _log.warning("%s: the link is back, and a safe state was owed: confirmed", self._instrument)
            return "the safe state that was owed is reached"
        if self.step is not None:
            await self.look()
        elif await self._talk.output_on():
            await self._conduct.open_circuit()
        return "it answers again"
