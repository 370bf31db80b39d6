"""Follows the step that runs: reads the buffer, keeps the instrument's watchdog content, notices its end and the loss of the link."""

from __future__ import annotations

import math
from functools import partial

from drivers.base import Reason, StepEnded, StepStarted
from drivers.clock import Clock
from drivers.errors import DeviceFault
from drivers.keithley import wire
from drivers.keithley.conduct import Conduct
from drivers.keithley.models import Options
from drivers.keithley.running import TriggeredStep
from drivers.keithley.talk import Talk
from drivers.stream.following import Following
from drivers.stream.samples import Outbox

FIRST_LOOK_NS = 50_000_000
LATE_NS = 1_000_000
"""A look comes so much later than a reading is due."""
PROBE_EVERY, WIDE_NS = 8, 20_000_000
"""Every eighth look, and each while the clock's bounds are this far apart, comes in their middle and halves them."""
SHORTEST_NS = 250_000_000
REFRESHED_NS = 100_000_000
RETRY_NS = 10_000_000
LONGEST_NS = 5_000_000_000
TRIGGERS_A_WINDOW = 12
BACK_OFF_S = (*(0.5,) * 10, 1.0, 2.0)
SAFE = "output off, high impedance, trigger model idle: all read back"


class BufferFollowing(Following[TriggeredStep]):
    """The step is a trigger model that fills a buffer. ``serial``: of the instrument that we met."""

    back_off_s = BACK_OFF_S

    def __init__(self, talk: Talk, conduct: Conduct, clock: Clock, outbox: Outbox, options: Options, instrument: str) -> None:
        super().__init__(clock, outbox, instrument, talk.lock)
        self._talk = talk
        self._conduct = conduct
        self._trigger_every_ns = int(options.watchdog_s / 2 / TRIGGERS_A_WINDOW * 1e9)
        self._triggered_ns = self._asked_ns = self._looks = 0
        self._shown = False
        self.serial = ""

    # -------------------------------------------------------------------------------------------------------- a step

    def begin(self, step: TriggeredStep, asked_ns: int, *, shown: bool = True) -> None:
        """A step was started at ``asked_ns``; ``shown``: the instrument has said so."""
        self.step, self._asked_ns, self._shown, self._misses = step, asked_ns, False, 0
        step.alignment.last_mono_ns = asked_ns
        self._triggered_ns = asked_ns
        self._next_ns = self._clock.mono_ns() + FIRST_LOOK_NS
        if shown:
            self._show(step)
        self._wake.set()

    def _still_waits(self, asked_ns: int) -> None:
        """The console's line has not come: the step begins no earlier than this (its state is as old as its refresh)."""
        self._asked_ns = max(self._asked_ns, asked_ns - REFRESHED_NS)

    def _show(self, step: TriggeredStep) -> None:
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

    def last_ns(self) -> int | None:
        """When the last reading of the step was taken."""
        return self.step.alignment.last_mono_ns if self.step is not None else None

    async def stop(self, reason: Reason, detail: str) -> str:
        """End the step now: model and output off, the last readings, StepEnded. Raises InstrumentError."""
        off_ns = await self._conduct.open_circuit()
        if self.step is not None:
            await self._read(self.step)
        self.over(reason, detail, off_ns)
        return SAFE

    # ------------------------------------------------------------------------------------------------------- one look

    async def look(self) -> None:
        """State, readings, watchdog; the step's end. The caller holds the wire. Raises InstrumentError."""
        step = self.step
        if step is None:
            return
        asked_ns = self._clock.mono_ns()
        state = await self._talk.trigger_state()
        if state.waits:
            self._still_waits(asked_ns)
        await self._read(step)
        if state.waits and step.first_ns is None:
            await self._content()
        elif state.active:
            await self._still_running(step)
        elif await self._conduct.rebooted():
            await self._after_reboot()
        else:
            await self._has_ended(step, state.word)
        self._schedule(step)

    async def _still_running(self, step: TriggeredStep) -> None:
        self._show(step)
        if reached := step.reached(self._clock.mono_ns()):
            await self.stop(*reached)
            return
        await self._content()

    async def _content(self) -> None:
        """``*TRG``, so that the instrument's watchdog knows that somebody is there."""
        now_ns = self._clock.mono_ns()
        if self._trigger_every_ns and now_ns - self._triggered_ns >= self._trigger_every_ns:
            self._triggered_ns = now_ns
            await self._talk.tell("*TRG")

    async def _has_ended(self, step: TriggeredStep, state: str) -> None:
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

    async def _read(self, step: TriggeredStep) -> None:
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

    async def _fetch(self, step: TriggeredStep, first: int, last: int, seen_ns: int) -> None:
        self._show(step)
        while first <= last:
            upto = min(last, first + wire.MOST_ROWS - 1)
            rows = await self._rows(first, upto)
            if step.first_ns is None:
                step.began(rows[0], self._asked_ns)
            step.take(rows, seen_ns)
            first = upto + 1

    async def recount(self, step: TriggeredStep) -> None:
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

    def _schedule(self, step: TriggeredStep) -> None:
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

    # ---------------------------------------------------------------------------------------------------------- the link

    async def reach(self) -> None:
        """The same instrument on a new connection."""
        await self._conduct.meet_again(self.serial)

    async def reconcile(self) -> str:
        """What it did meanwhile, and what it could not be told."""
        if await self._conduct.rebooted():
            await self._after_reboot()
            self.owes_safety = False
            return "it was switched on anew meanwhile"
        if self.step is None and not self.owes_safety and await self._talk.output_on():
            await self._conduct.open_circuit()
        return await super().reconcile()
