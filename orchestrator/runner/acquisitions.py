"""The console's side of a run: one task that owns it, one that hears it. The electrochemistry never waits for either.

What is likely to be wanted next is prepared while the console is idle, so that between the edge and the console's start
there is nothing but a wake-up. Losing the link never stops a scan: what runs is waited for, what waits is kept for as long
as it would have taken, then missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from drivers.base import (
    Acquired,
    ConsoleActivity,
    ConsoleEvent,
    ConsoleState,
    Failed,
    Filed,
    LinkLost,
    LinkRestored,
    Progress,
    ReadBack,
    Started,
)
from drivers.errors import Exhausted, InstrumentError, NotReachable, Rejected
from orchestrator.model.experiment import TriggerKind
from orchestrator.plan.orders import Plan
from orchestrator.runner.owners import Owner, Whys
from orchestrator.runner.paperwork import RecordLeft
from orchestrator.runner.readiness import Readiness, overdue_s
from orchestrator.runner.records import Record, Records, Wishes
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.storing import FidSeen, Storing
from orchestrator.runner.triggers import Fire
from orchestrator.runner.wire import within

START_WITHIN_S = 30.0
STATE_WITHIN_S = 15.0
GRACE_S = 60.0
"""After ``halt``, and after a link came back to an idle console: so long the files of a block may still take."""
PATIENCE_S = 60.0
"""Added to an acquisition's own time: how long it waits for a lost console before it is missed."""

SKIPPED_NUMBERS = 2
"""Keys after the last that the journal knows: one may stand prepared on the console, one may have been asked for unrecorded."""
SETTLES_S = 1.0
"""A console that was found again says first what has happened meanwhile."""
FETCH_WITHIN_S = 300.0

S = AcquisitionState


class Progressing(FidSeen, Protocol):
    """Who looks at how acquisitions go: the interlocks. Never waits."""

    def acquired(self, acquisition: str, key: str, duration_s: float, mono_ns: int) -> None:
        """One has been filed, so long after it was started."""

    def overdue(self, key: str, duration_s: float, planned_s: float, mono_ns: int) -> None:
        """One has passed its deadline and is halted."""


class Acquisitions:
    """Asks the console for what the triggers want, one at a time."""

    def __init__(self, surroundings: Surroundings, wishes: Wishes, alarms: Alarms, progress: Progressing) -> None:
        self._s = surroundings
        self._console = surroundings.station.console
        self._wishes = wishes
        self._alarms = alarms
        self._progress = progress
        self._began_ns = 0
        self._ready = Readiness(surroundings)
        self.records = Records(surroundings, wishes, self._ready.take_key)
        self.storing = Storing(surroundings, self.records, alarms, progress)
        self.refusals = Whys()
        self.running: Record | None = None
        self._deviating: set[str] = set()
        self._wake = asyncio.Event()
        self._heard: asyncio.Queue[ConsoleEvent] = asyncio.Queue()
        self._lost_why: str | None = None
        self._interrupted: list[Record] = []
        self._from_death = False
        self._told_of: set[str] = set()
        self._taken_up: Record | None = None

    # ------------------------------------------------------------------------------------------------- a continued run

    def restore(self, left: Resumption) -> None:
        """Go on with the records of a run that was broken off; ``own`` takes up what the console was doing."""
        known = [(_restored(one, self._s.plan), one) for one in left.records]
        self.records.restore([record for record, _ in known], left.numbers + SKIPPED_NUMBERS, left.failures, left.exhausted)
        for owner, why in left.refusals.items():
            self.refusals.add(owner, why)
        for record, one in known:
            if not record.over:
                self.storing.restore(record, one)
        self._interrupted = [record for record, _ in known if record.state in {S.ARMED, S.ACQUIRING, S.ACQUIRED}]
        self._from_death = True

    def drop_outdated(self, step_key: str) -> None:
        """What was asked for too long ago, and not by the step that goes on, is not wanted any more."""
        for record in list(self.records.pending):
            if not self._stands(record, step_key):
                self.records.end(record, S.MISSED, "the rig was dead when it was due", fault=False)

    def _stands(self, record: Record, step_key: str) -> bool:
        """Is what asked for it still so? Its own step goes on, or it has waited no longer than it may for a lost console."""
        own = record.listed or (bool(step_key) and record.step_key.partition(".")[0] == step_key)
        return own or self._s.clock.mono_ns() - record.fired_ns <= self._patience_ns(record)

    async def _take_up(self) -> None:
        """What the console measures under a key of ours is seen through, what it has filed is fetched, the rest is taken again."""
        await self._s.clock.sleep(SETTLES_S)
        self._from_death = False
        state = await self._state()
        while state.activity is ConsoleActivity.UNKNOWN:
            await self._until_answered()
            state = await self._state()
        if state.key is not None and state.key not in {record.key for record in self.records.all}:
            self._find(state.key)
        while self._interrupted:
            await self._see_interrupted(self._interrupted[0], state)
            self._interrupted.pop(0)

    def _find(self, key: str) -> None:
        """The console runs a scan of ours that was started in the rig's last moment."""
        record = self.records.found(key, "")
        if record is not None:
            self.records.move(record, S.ARMED)
            self._s.put("acquisition.armed", record.seq, key=key, parameters={}, deviations={})
            self._interrupted.append(record)

    async def _see_interrupted(self, record: Record, state: ConsoleState) -> None:
        self.running = self._taken_up = record
        block = max(record.times, default=0)
        try:
            if record.key in self._told_of or state.key == record.key:
                await self._see_through(record, block)
            elif await self._is_filed(record, block):
                self._filed(record, block, Filed(record.key, block, self._s.clock.mono_ns()))
            else:
                self._lose_interrupted(record)
            if not record.over and block < record.planned.blocks - 1:
                record.partial = True
        finally:
            self._taken_up = None
            if record.over or record.state in {S.FILED, S.STORED}:
                self.running = None

    async def _is_filed(self, record: Record, block: int) -> bool:
        """Has the console filed it while nobody was there?"""
        try:
            await within(FETCH_WITHIN_S, self._console.fetch(record.key, block))
        except (InstrumentError, TimeoutError):
            return False
        return True

    def _lose_interrupted(self, record: Record) -> None:
        why = "the rig died while it was measured, and the console has filed nothing under its key"
        again = record.last_of_round and self._wishes.comes_again(record.asked_as)
        self._end(record, S.LOST, why, fault=False)
        if not again and self._stands(record, self._wishes.planned_key()):
            fire = Fire(
                record.name, f"again, after the rig died: {', '.join(record.reasons)}", self._s.clock.mono_ns(), TriggerKind.ON_DEMAND
            )
            self.request([fire], record.step_key, record.seq, listed=record.listed)

    # ------------------------------------------------------------------------------------------- what the run asks for

    def request(self, fires: Iterable[Fire], step_key: str, cause: int | None = None, *, listed: bool = False) -> list[Record]:
        """Acquire; never waits. Returns the new records (not those that were merely extended)."""
        why = self.why_not()
        unwanted = why is not None and why == self.refusals.text and self.refusals.wished
        made = self.records.request(fires, step_key, cause, why, listed=listed, unwanted=unwanted)
        self._wake.set()
        return made

    def why_not(self) -> str | None:
        """Why no acquisition may start now."""
        if self._s.journal.half_full:
            return "journal half full"
        return "storing is behind" if self.storing.behind else self.refusals.text

    def refuse(self, owner: Owner, why: str) -> None:
        """No new acquisition from now on; those that wait are missed."""
        self.refusals.add(owner, why)
        self.records.drop_pending(why, unwanted=self.refusals.wished)

    def accept(self, *owners: Owner) -> list[str]:
        """These owners refuse no more; returns why they did. Acquisitions start again when no other refuses."""
        ended = self.refusals.remove(*owners)
        self._wake.set()
        return ended

    def reconsider(self) -> None:
        """Something has changed that may make another acquisition the likely next one."""
        self._ready.forgive()
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self.running is None and not self.records.pending

    async def halt(self) -> None:
        """Stop the running acquisition and keep what was scanned."""
        if self.running is not None and self.running.state in {S.ARMED, S.ACQUIRING}:
            self.running.partial = True
            await within(START_WITHIN_S, self._console.halt(self.running.key))

    # ---------------------------------------------------------------------------------------------------- the listener

    async def listen(self) -> None:
        """Hear the console until its stream ends."""
        async for event in self._console.events():
            if isinstance(event, LinkLost):
                self._lose(event)
            elif isinstance(event, LinkRestored):
                self._regain(event)
            elif self._from_death:
                self._told_of.add(event.key)
            if not isinstance(event, Progress):
                self._heard.put_nowait(event)
        raise ConnectionError("the console's stream has ended")

    def _lose(self, event: LinkLost) -> None:
        self._lost_why = event.why
        self._ready.forget()
        instrument = self._s.station.console_settings.instrument
        self._s.put("link.lost", mono_ns=event.mono_ns, instrument=instrument, why=event.why)
        advice = "a running scan goes on; the cell is not affected"
        self._alarms.sound("console-link", "warn", "The console does not answer", event.why, advice=advice)
        self._wake.set()

    def _regain(self, event: LinkRestored) -> None:
        self._lost_why = None
        instrument = self._s.station.console_settings.instrument
        self._s.put("link.restored", mono_ns=event.mono_ns, instrument=instrument, detail=event.detail)
        self._alarms.clear("console-link")
        self._wake.set()

    # ------------------------------------------------------------------------------------------------------- the owner

    async def own(self) -> None:
        """Prepare, start and see to the end of one acquisition after the other, until cancelled."""
        if self.running is not None:
            self._fail(self.running, "the task that drives the console failed")
        if self._from_death or self._interrupted:
            await self._take_up()
        while True:
            self._wake.clear()
            record = self._next()
            if record is not None:
                await self._acquire(record)
            elif not await self._prepare_ahead():
                await self._wait()

    def _next(self) -> Record | None:
        """The next record that may start; those that may not any more are missed."""
        now_ns = self._s.clock.mono_ns()
        for record in list(self.records.pending):
            if self._s.journal.half_full:
                self._fail(record, "journal half full")
            elif self._lost_why is None:
                return record
            elif now_ns - record.fired_ns > self._patience_ns(record):
                self._fail(record, f"console lost: {self._lost_why}")
        return None

    @staticmethod
    def _patience_ns(record: Record) -> int:
        return int((record.planned.duration_s + PATIENCE_S) * 1e9)

    async def _wait(self) -> None:
        """Until something changes; while the console is lost, at most until the next record has waited too long."""
        clock, pending = self._s.clock, self.records.pending
        limit_s = None
        if self._lost_why is not None and pending:
            due_ns = min(record.fired_ns + self._patience_ns(record) for record in pending)
            limit_s = max(0.0, (due_ns - clock.mono_ns()) / 1e9 / clock.speed) + 0.001
        try:
            async with asyncio.timeout(limit_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _prepare_ahead(self) -> bool:
        """Prepare what is likely to be wanted next; False when there is nothing to prepare."""
        name = None if self.why_not() or self._lost_why else self._wishes.next_likely()
        return name is not None and name not in self.records.exhausted and await self._ready.ahead(name, self.records)

    async def _acquire(self, record: Record) -> None:
        self.running = record
        try:
            if await self._arm(record):
                for block in range(record.planned.blocks):
                    if not await self._block(record, block) or record.partial:
                        break
        finally:
            if record.over or record.state in {S.FILED, S.STORED}:
                self.running = None

    async def _arm(self, record: Record) -> bool:
        """The console stands ready for this record."""
        try:
            read_back = await self._ready.for_record(record)
        except Exhausted as error:
            self._exhausted(record, error.message)
            return False
        except (InstrumentError, TimeoutError) as error:
            self._fail(record, f"not prepared: {error}", S.REJECTED if isinstance(error, Rejected) else S.MISSED)
            return False
        deviations = {name: list(pair) for name, pair in read_back.deviations.items()}
        self.records.move(record, S.ARMED)
        self._warn_of(record.name, read_back)
        self._s.put("acquisition.armed", record.seq, key=record.key, parameters=dict(read_back.parameters), deviations=deviations)
        return True

    def _warn_of(self, name: str, read_back: ReadBack) -> None:
        """Said once for each acquisition, not for each of its spectra: it is measured with other parameters than its template says."""
        if not read_back.deviations or name in self._deviating:
            return
        self._deviating.add(name)
        pairs = "; ".join(f"{one}: asked {asked}, is {found}" for one, (asked, found) in read_back.deviations.items())
        advice = "take these out of the template, unlock them in the rig file, or set them on the console"
        self._alarms.sound(f"deviating-{name}", "warn", f"{name} is not measured as its template says", pairs, advice=advice)

    async def _block(self, record: Record, block: int) -> bool:
        """Start one block and see it filed."""
        while not self._heard.empty():
            self._heard.get_nowait()
        self._began_ns = self._s.clock.mono_ns()
        try:
            await within(START_WITHIN_S, self._console.start(record.key, block))
        except Rejected as error:
            self._fail(record, str(error), S.REJECTED if record.state is S.ARMED else S.LOST)
            return False
        except Exhausted as error:
            self._exhausted(record, error.message)
            return False
        except NotReachable as error:
            if not await self._start_late(record, block, error):
                return False
        except (InstrumentError, TimeoutError) as error:
            if not await self._runs_all_the_same(record):
                self._fail(record, f"not started: {error}", S.MISSED if record.state is S.ARMED else S.LOST)
                return False
        return await self._see_through(record, block)

    def _exhausted(self, record: Record, why: str) -> None:
        """A recording has no more of this acquisition: it is not asked for that again, and the rest goes on."""
        self._end(record, S.MISSED, why, fault=False, exhausted=True)
        self.records.exhaust(record.name, why)
        text = f"{record.name}: {why}"
        self._alarms.sound("console-exhausted", "warn", "The recording is at its end", text, advice="what is asked for beyond it is missed")

    async def _start_late(self, record: Record, block: int, silence: NotReachable) -> bool:
        """Nobody answered when it was to start: started as soon as somebody does, under the same key, which is once."""
        left_s = (self._patience_ns(record) - self._s.clock.mono_ns() + record.fired_ns) / 1e9 / self._s.clock.speed
        try:
            await within(max(0.0, left_s), self._until_answered())
            if (await self._state()).key != record.key:
                await self._ready.for_record(record)
                await within(START_WITHIN_S, self._console.start(record.key, block))
        except (InstrumentError, TimeoutError) as error:
            why = f"console lost: {self._lost_why}" if self._lost_why else f"not started: {error}"
            self._fail(record, f"{why}; {silence.message} when it was to start", S.MISSED if record.state is S.ARMED else S.LOST)
            return False
        return True

    async def _until_answered(self) -> None:
        while (await self._state()).activity is ConsoleActivity.UNKNOWN:
            while not isinstance(await self._heard.get(), LinkRestored):
                continue

    async def _state(self) -> ConsoleState:
        """What the console says of itself; unknown when it does not answer."""
        try:
            return await within(STATE_WITHIN_S, self._console.read_state())
        except (InstrumentError, TimeoutError) as error:
            return ConsoleState(ConsoleActivity.UNKNOWN, detail=str(error))

    async def _runs_all_the_same(self, record: Record) -> bool:
        """The answer to *start* did not come: ask the console itself before anything else. Unknown counts as running."""
        try:
            state = await within(STATE_WITHIN_S, self._console.read_state())
        except (InstrumentError, TimeoutError):
            return self._lost_why is not None
        return state.key == record.key or state.activity is ConsoleActivity.UNKNOWN

    async def _see_through(self, record: Record, block: int) -> bool:
        limit_s = overdue_s(record.planned, self._s.plan) / self._s.clock.speed + GRACE_S * (self._s.clock.speed != 1.0)
        try:
            return await within(limit_s, self._until_filed(record, block))
        except TimeoutError:
            pass
        record.partial = True
        self._s.put("note", record.seq, text=f"{record.key} passed its deadline and is halted", who="rig")
        now_ns = self._s.clock.mono_ns()
        self._progress.overdue(record.key, (now_ns - self._began_ns) / 1e9, record.planned.duration_s, now_ns)
        try:
            await within(START_WITHIN_S, self._console.halt(record.key))
            return await within(GRACE_S, self._until_filed(record, block))
        except (InstrumentError, TimeoutError) as error:
            self._fail(record, f"deadline passed, and halting it brought nothing: {error}", S.MISSED if record.state is S.ARMED else S.LOST)
            return False

    async def _until_filed(self, record: Record, block: int) -> bool:
        while True:
            event = await self._heard.get()
            if isinstance(event, LinkRestored):
                await self._reconcile(record, block)
            if isinstance(event, (LinkLost, LinkRestored, Progress)) or event.key != record.key or event.block != block:
                continue
            if isinstance(event, Started) and record is not self._taken_up:
                self._started(record, block, event)
            elif isinstance(event, Started) and block not in record.times:
                self._started(record, block, None)  # heard when it was taken up, not when it began
            elif isinstance(event, Acquired):
                self._acquired(record, block, event)
            elif isinstance(event, Filed):
                self._filed(record, block, event)
                return True
            elif isinstance(event, Failed) and event.exhausted:
                self._exhausted(record, event.why)
                return False
            elif isinstance(event, Failed):
                self._fail(record, event.why, S.MISSED if record.state is S.ARMED else S.LOST)
                return False

    async def _reconcile(self, record: Record, block: int) -> None:
        """The console answers again: if it is idle, what ran is over, and its files are asked for."""
        state = await self._state()
        if state.activity is ConsoleActivity.IDLE and self._heard.empty():
            self._heard.put_nowait(Filed(record.key, block, self._s.clock.mono_ns()))

    # ---------------------------------------------------------------------------------------------- what has happened

    def _started(self, record: Record, block: int, event: Started | None) -> None:
        """``event`` None: nobody heard it, so its time stays unknown; the journal's stamp is when that became clear."""
        times = record.times.setdefault(block, [None, None])
        known = {} if event is None else {"half_width_ns": event.half_width_ns}
        mono_ns = times[0] = None if event is None else event.mono_ns
        latency_s = None if mono_ns is None else (mono_ns - record.fired_ns) / 1e9
        heard = event is not None
        self._s.put("acquisition.started", record.seq, mono_ns, key=record.key, block=block, latency_s=latency_s, heard=heard, **known)
        if record.state is S.ARMED:
            self.records.move(record, S.ACQUIRING)

    def _acquired(self, record: Record, block: int, event: Acquired | None) -> None:
        """``event`` None: nobody heard it, as above."""
        if block not in record.times:
            self._started(record, block, None)
        scans_done = None if event is None else event.scans_done
        known = {} if event is None else {"half_width_ns": event.half_width_ns}
        mono_ns = record.times[block][1] = None if event is None else event.mono_ns
        record.partial = record.partial or (scans_done is not None and scans_done < record.planned.scans)
        heard = event is not None
        self._s.put("acquisition.acquired", record.seq, mono_ns, key=record.key, block=block, scans_done=scans_done, heard=heard, **known)
        if record.state is S.ACQUIRING and (block == record.planned.blocks - 1 or record.partial):
            self.records.move(record, S.ACQUIRED)

    def _filed(self, record: Record, block: int, event: Filed) -> None:
        if record.state in {S.ARMED, S.ACQUIRING} and record.times.get(block, [None, None])[1] is None:
            self._acquired(record, block, None)
        self._s.put("acquisition.filed", record.seq, event.mono_ns, key=record.key, block=block, path=event.path)
        if record.state is S.ACQUIRED:
            self.records.move(record, S.FILED)
        if not record.partial:
            self._progress.acquired(record.name, record.key, (event.mono_ns - self._began_ns) / 1e9, event.mono_ns)
        self.storing.add(record, block)

    def give_up(self, record: Record, why: str) -> None:
        """The run is over and this record is not."""
        self.records.end(record, S.MISSED if record.state in {S.REQUESTED, S.ARMED} else S.LOST, why, fault=False)

    def _fail(self, record: Record, why: str, to: AcquisitionState = S.MISSED) -> None:
        """An unhappy end; the missed policy counts it."""
        self._end(record, to, why, fault=True)

    def _end(self, record: Record, to: AcquisitionState, why: str, *, fault: bool, exhausted: bool = False) -> None:
        if record.over:
            return
        if to is S.MISSED and record.state not in {S.REQUESTED, S.ARMED}:
            to = S.LOST
        if self.running is record:
            self.running = None
        self.records.end(record, to, why, fault=fault, exhausted=exhausted)


def _restored(left: RecordLeft, plan: Plan) -> Record:
    """A record as it was when the rig died."""
    record = Record(left.key, plan.acquisitions[left.name], left.asked_as, left.reasons, left.fired_ns, left.step_key, left.listed)
    record.last_of_round, record.state, record.seq = left.last_of_round, left.state, left.seq
    record.partial, record.unwanted, record.why, record.times = left.partial, left.unwanted, left.why, left.times
    return record
