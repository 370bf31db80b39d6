"""One block of an acquisition on the console: started, seen through to its files; what is heard of it becomes what is recorded.

Losing the link never stops a scan: what runs is waited for. What takes too long is halted, and what was scanned is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

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
    Started,
)
from drivers.errors import Exhausted, InstrumentError, NotReachable, Rejected
from orchestrator.runner.averaging import Averaging
from orchestrator.runner.readiness import Readiness, overdue_s
from orchestrator.runner.records import Record, Records
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.storing import FidSeen, Storing
from orchestrator.runner.wire import within

START_WITHIN_S = 30.0
STATE_WITHIN_S = 15.0
GRACE_S = 60.0
"""After ``halt``, and after a link came back to an idle console: so long the files of a block may still take."""
PATIENCE_S = 60.0
"""Added to an acquisition's own time: how long it waits for a lost console before it is missed."""

S = AcquisitionState


class Progressing(FidSeen, Protocol):
    """Who looks at how acquisitions go: the interlocks. Never waits."""

    def acquired(self, acquisition: str, key: str, duration_s: float, mono_ns: int) -> None:
        """One has been filed, so long after it was started."""

    def tuned(self, acquisition: str, key: str, share: float, mono_ns: int) -> None:
        """The tuner has measured which share of its power comes back, before this one."""

    def overdue(self, key: str, duration_s: float, planned_s: float, mono_ns: int) -> None:
        """One has passed its deadline and is halted."""


def patience_ns(record: Record) -> int:
    """So long a record waits for a console that is lost."""
    return int((record.planned.duration_s + PATIENCE_S) * 1e9)


class Scanning:
    """``running``: the record that the console works for. ``heard``: what the console says. ``lost_why``: why nobody hears it.

    ``taken_up``: the record that an earlier process had started.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        records: Records,
        storing: Storing,
        ready: Readiness,
        alarms: Alarms,
        progress: Progressing,
        averaging: Averaging,
        tuned: Callable[[Record, float], None],
    ) -> None:
        self._s = surroundings
        self._console = surroundings.station.console
        self._records = records
        self._storing = storing
        self._ready = ready
        self._alarms = alarms
        self._progress = progress
        self._averaging = averaging
        self._tuned = tuned
        self._watch: asyncio.Task[bool] | None = None
        self._began_ns = 0
        self._ordered: tuple[str, Exception | None] | None = None
        self.running: Record | None = None
        self.taken_up: Record | None = None
        self.heard: asyncio.Queue[ConsoleEvent] = asyncio.Queue()
        self.lost_why: str | None = None

    async def order_ahead(self, key: str) -> None:
        """Tell the console to start what has no record yet; what came of it is found by ``block``."""
        problem: Exception | None = None
        try:
            await self._start(key, 0)
        except (InstrumentError, TimeoutError) as error:
            problem = error
        self._ordered = (key, problem)

    async def _start(self, key: str, block: int) -> None:
        """Tell the console to start, once: what was ordered ahead is not ordered again. Raises what the console answered."""
        ordered, self._ordered = self._ordered, None
        if ordered is None or ordered[0] != key or block:
            while not self.heard.empty():
                self.heard.get_nowait()
            self._began_ns = self._s.clock.mono_ns()
            await within(START_WITHIN_S, self._console.start(key, block))
        elif ordered[1] is not None:
            raise ordered[1]

    async def block(self, record: Record, block: int) -> bool:
        """Start one block and see it filed."""
        try:
            await self._start(record.key, block)
        except Rejected as error:
            self.fail(record, str(error), S.REJECTED if record.state is S.ARMED else S.LOST)
            return False
        except Exhausted as error:
            self.exhausted(record, error.message)
            return False
        except NotReachable as error:
            if not await self._start_late(record, block, error):
                return False
        except (InstrumentError, TimeoutError) as error:
            if not await self._runs_all_the_same(record):
                self.fail(record, f"not started: {error}", S.MISSED if record.state is S.ARMED else S.LOST)
                return False
        if record.partial:  # halted before the console had answered that it starts: it may have heard that first
            with contextlib.suppress(InstrumentError, TimeoutError):
                await within(START_WITHIN_S, self._console.halt(record.key))
        return await self.see_through(record, block)

    def exhausted(self, record: Record, why: str) -> None:
        """A recording has no more of this acquisition: it is not asked for that again, and the rest goes on."""
        self.end(record, S.MISSED, why, fault=False, exhausted=True)
        self._records.exhaust(record.name, why)
        text = f"{record.name}: {why}"
        self._alarms.sound("console-exhausted", "warn", "The recording is at its end", text, advice="what is asked for beyond it is missed")

    async def _start_late(self, record: Record, block: int, silence: NotReachable) -> bool:
        """Nobody answered when it was to start: started as soon as somebody does, under the same key, which is once."""
        left_s = (patience_ns(record) - self._s.clock.mono_ns() + record.fired_ns) / 1e9 / self._s.clock.speed
        try:
            await within(max(0.0, left_s), self.until_answered())
            if (await self.state()).key != record.key:
                await self._ready.for_record(record)
                await within(START_WITHIN_S, self._console.start(record.key, block))
        except (InstrumentError, TimeoutError) as error:
            why = f"console lost: {self.lost_why}" if self.lost_why else f"not started: {error}"
            self.fail(record, f"{why}; {silence.message} when it was to start", S.MISSED if record.state is S.ARMED else S.LOST)
            return False
        return True

    async def until_answered(self) -> None:
        """Until the console says what it does."""
        while (await self.state()).activity is ConsoleActivity.UNKNOWN:
            while not isinstance(await self.heard.get(), LinkRestored):
                continue

    async def state(self) -> ConsoleState:
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
            return self.lost_why is not None
        return state.key == record.key or state.activity is ConsoleActivity.UNKNOWN

    async def see_through(self, record: Record, block: int) -> bool:
        """Until its files are there; True when they are. Meanwhile it may be halted because enough is known."""
        try:
            return await self._seen_through(record, block)
        finally:
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)

    async def _seen_through(self, record: Record, block: int) -> bool:
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
            self.fail(record, f"deadline passed, and halting it brought nothing: {error}", S.MISSED if record.state is S.ARMED else S.LOST)
            return False

    async def _until_filed(self, record: Record, block: int) -> bool:
        while True:
            event = await self.heard.get()
            if isinstance(event, LinkRestored):
                await self._reconcile(record, block)
            if isinstance(event, (LinkLost, LinkRestored, Progress)) or event.key != record.key or event.block != block:
                continue
            if isinstance(event, Started) and record is not self.taken_up:
                self._started(record, block, event)
                if record.planned.until is not None:
                    self._watch = asyncio.create_task(self._averaging.see(record, block, event.mono_ns), name="averaging")
            elif isinstance(event, Started) and block not in record.times:
                self._started(record, block, None)  # heard when it was taken up, not when it began
            elif isinstance(event, Acquired):
                self._acquired(record, block, event)
            elif isinstance(event, Filed):
                self.filed(record, block, event)
                return True
            elif isinstance(event, Failed) and event.exhausted:
                self.exhausted(record, event.why)
                return False
            elif isinstance(event, Failed):
                self.fail(record, event.why, S.MISSED if record.state is S.ARMED else S.LOST)
                return False

    async def _reconcile(self, record: Record, block: int) -> None:
        """The console answers again: if it is idle, what ran is over, and its files are asked for."""
        state = await self.state()
        if state.activity is ConsoleActivity.IDLE and self.heard.empty():
            self.heard.put_nowait(Filed(record.key, block, self._s.clock.mono_ns()))

    # ---------------------------------------------------------------------------------------------- what has happened

    def _started(self, record: Record, block: int, event: Started | None) -> None:
        """``event`` None: nobody heard it, so its time stays unknown; the journal's stamp is when that became clear."""
        times = record.times.setdefault(block, [None, None])
        known = {} if event is None else {"half_width_ns": event.half_width_ns}
        mono_ns = times[0] = None if event is None else event.mono_ns
        record.widths_ns.setdefault(block, [0, 0])[0] = 0 if event is None else event.half_width_ns
        latency_s = None if mono_ns is None else (mono_ns - record.fired_ns) / 1e9
        heard = event is not None
        self._s.put("acquisition.started", record.seq, mono_ns, key=record.key, block=block, latency_s=latency_s, heard=heard, **known)
        if record.state is S.ARMED:
            self._records.move(record, S.ACQUIRING)

    def _acquired(self, record: Record, block: int, event: Acquired | None) -> None:
        """``event`` None: nobody heard it, as above."""
        if block not in record.times:
            self._started(record, block, None)
        scans_done = None if event is None else event.scans_done
        known: dict[str, Any] = {} if event is None else {"half_width_ns": event.half_width_ns}
        began_ns = record.times[block][0]
        if began_ns is not None and event is not None:
            self._tuned(record, (event.mono_ns - began_ns) / 1e9)
        known |= {record.tuning: True} if record.tuning else {}
        mono_ns = record.times[block][1] = None if event is None else event.mono_ns
        record.widths_ns.setdefault(block, [0, 0])[1] = 0 if event is None else event.half_width_ns
        fewer = scans_done is not None and scans_done < record.planned.scans
        record.partial = record.partial or (fewer and not record.enough)
        heard = event is not None
        self._s.put("acquisition.acquired", record.seq, mono_ns, key=record.key, block=block, scans_done=scans_done, heard=heard, **known)
        if record.state is S.ACQUIRING and (block == record.planned.blocks - 1 or record.partial):
            self._records.move(record, S.ACQUIRED)

    def filed(self, record: Record, block: int, event: Filed) -> None:
        """Its files are complete: they are fetched and stored beside what follows."""
        if record.state in {S.ARMED, S.ACQUIRING} and record.times.get(block, [None, None])[1] is None:
            self._acquired(record, block, None)
        self._s.put("acquisition.filed", record.seq, event.mono_ns, key=record.key, block=block, path=event.path)
        if record.state is S.ACQUIRED:
            self._records.move(record, S.FILED)
        if not record.partial and not record.enough:
            self._progress.acquired(record.name, record.key, (event.mono_ns - self._began_ns) / 1e9, event.mono_ns)
        self._storing.add(record, block)

    def fail(self, record: Record, why: str, to: AcquisitionState = S.MISSED) -> None:
        """An unhappy end; the missed policy counts it."""
        self.end(record, to, why, fault=True)

    def end(self, record: Record, to: AcquisitionState, why: str, *, fault: bool, exhausted: bool = False) -> None:
        """An end that is not *verified*; what was scanned already is lost, not missed."""
        if record.over:
            return
        if to is S.MISSED and record.state not in {S.REQUESTED, S.ARMED}:
            to = S.LOST
        if self.running is record:
            self.running = None
        self._records.end(record, to, why, fault=fault, exhausted=exhausted)
