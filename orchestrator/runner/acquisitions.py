"""The console's side of a run: one task that owns it, one that hears it. The electrochemistry never waits for either.

What is likely to be wanted next is prepared while the console is idle, so that between the edge and the console's start
there is nothing but a wake-up. Losing the link never stops a scan: what runs is waited for, what waits is kept for as long
as it would have taken, then missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from drivers.base import (
    LinkLost,
    LinkRestored,
    Progress,
    ReadBack,
)
from drivers.errors import Exhausted, InstrumentError, Rejected
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.averaging import Averaging
from orchestrator.runner.by_hand import ByHand, is_by_hand
from orchestrator.runner.calibrating import Calibrating
from orchestrator.runner.owners import Owner, Whys
from orchestrator.runner.prompts import Prompts
from orchestrator.runner.readiness import Readiness
from orchestrator.runner.records import Record, Records, Wishes
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.scanning import START_WITHIN_S, Progressing, Scanning, patience_ns
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.storing import Storing
from orchestrator.runner.taking_up import TakingUp
from orchestrator.runner.triggers import Fire
from orchestrator.runner.tuning import Tuning
from orchestrator.runner.wire import within

S = AcquisitionState

RECORD_WITHIN_S = 5.0
"""So long after an order that went ahead of its record the record must be there; it is made in the same turn of the loop."""


class Acquisitions:
    """Asks the console for what the triggers want, one at a time."""

    def __init__(self, surroundings: Surroundings, wishes: Wishes, alarms: Alarms, progress: Progressing, prompts: Prompts) -> None:
        self._s = surroundings
        self._console = surroundings.station.console
        self._wishes = wishes
        self._alarms = alarms
        self.calibrating = Calibrating(surroundings, alarms)
        self._ready = Readiness(surroundings, self.calibrating)
        self.records = Records(surroundings, wishes, self._ready.take_key)
        averaging = Averaging(surroundings, wishes.throughput_C)
        self.storing = Storing(surroundings, self.records, alarms, progress, averaging.learn, self.calibrating)
        self.refusals = Whys()
        self._deviating: set[str] = set()
        self._held: str | None = None
        self._wake = asyncio.Event()
        self._waits = False
        self._ahead: tuple[str, str] | None = None
        """Name and key of what the console has been told to start, while it has no record."""
        self.tuning = Tuning(surroundings, alarms, progress.tuned)
        tuned = self.tuning.within_scans
        self._scanning = Scanning(surroundings, self.records, self.storing, self._ready, alarms, progress, averaging, tuned)
        self._by_hand = ByHand(surroundings, self.records, self.storing, prompts)
        self._taking_up = TakingUp(surroundings, self.records, self.storing, self._scanning, wishes, self._again)

    @property
    def running(self) -> Record | None:
        """What the console works for."""
        return self._scanning.running

    def restore(self, left: Resumption) -> None:
        """Go on with the records of a run that was broken off; ``own`` takes up what the console was doing."""
        for owner, why in left.refusals.items():
            self.refusals.add(owner, why)
        self.calibrating.restore(left.preparations)
        self._taking_up.restore(left)

    def drop_outdated(self, step_key: str) -> None:
        """What was asked for too long ago, and not by the step that goes on, is not wanted any more."""
        self._taking_up.drop_outdated(step_key)

    def _again(self, record: Record, fire: Fire) -> None:
        self.request([fire], record.step_key, record.seq, listed=record.listed)

    # ------------------------------------------------------------------------------------------- what the run asks for

    def request(self, fires: Iterable[Fire], step_key: str, cause: int | None = None, *, listed: bool = False) -> list[Record]:
        """Acquire; never waits. Returns the new records (not those that were merely extended)."""
        fires = list(fires)
        ordered = self._ahead is not None and any(fire.acquisition == self._ahead[0] for fire in fires)
        why = None if ordered else self.why_not()
        unwanted = why is not None and why == self.refusals.text and self.refusals.wished
        made = self.records.request(fires, step_key, cause, why, listed=listed, unwanted=unwanted)
        for record in made:
            ordered = self._ahead is not None and record.key == self._ahead[1] and not record.over
            if ordered and (read_back := self._ready.taken(record.key)) is not None:
                self._armed(record, read_back)
        self._wake.set()
        return made

    def order_ahead(self, fires: list[Fire]) -> bool:
        """Tell the console to start what these are about to ask for, if it stands ready for just that and nothing is in the way.

        Their record is made behind the order, and whatever came of it is told by that record.
        """
        name = fires[0].acquisition
        planned, key = self._s.plan.acquisitions.get(name), self._ready.stands_for(name)
        ready = key is not None and self._waits and self._held is None and self._scanning.lost_why is None
        alone = self.idle and self._ahead is None and all(fire.acquisition == name for fire in fires)
        if planned is None or key is None or not (ready and alone and self._plain(planned)) or self.why_not():
            return False
        self._ahead = (name, key)
        self._wake.set()
        return True

    def _plain(self, planned: PlannedAcquisition) -> bool:
        """One acquisition of its own, started by the host, before which nothing is tuned."""
        tuned = planned.nucleus in self._s.plan.tuning
        return not (planned.members or planned.edge_within_s or tuned or planned.name in self.records.exhausted)

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

    def hold(self, why: str) -> None:
        """Nothing is started until ``let_go``; what is asked for meanwhile waits, and is not missed."""
        self._held = why

    def let_go(self) -> None:
        """What waits may start."""
        self._held = None
        self._wake.set()

    @property
    def silent(self) -> bool:
        """No pulse reaches the coil: nothing runs, or what runs has had its last scan."""
        return self._ahead is None and (self.running is None or self.running.scanned)

    def reconsider(self) -> None:
        """Something has changed that may make another acquisition the likely next one."""
        self._ready.forgive()
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self.running is None and not self.records.pending

    async def halt(self) -> None:
        """Stop the running acquisition, or the one that the console is just told to start, and keep what was scanned."""
        running = self.running or (None if self._ahead is None else self.records.of_key(self._ahead[1]))
        if running is not None and is_by_hand(running.planned):
            self._by_hand.give_up()
            return
        if running is not None and running.state in {S.ARMED, S.ACQUIRING}:
            running.partial = True
            await within(START_WITHIN_S, self._console.halt(running.key))

    # ---------------------------------------------------------------------------------------------------- the listener

    async def listen(self) -> None:
        """Hear the console until its stream ends."""
        async for event in self._console.events():
            if isinstance(event, LinkLost):
                self._lose(event)
            elif isinstance(event, LinkRestored):
                self._regain(event)
            elif self._taking_up.from_death:
                self._taking_up.told_of.add(event.key)
            if not isinstance(event, Progress):
                self._scanning.heard.put_nowait(event)
        raise ConnectionError("the console's stream has ended")

    def _lose(self, event: LinkLost) -> None:
        self._scanning.lost_why = event.why
        self._ready.forget()
        instrument = self._s.station.console_settings.instrument
        self._s.put("link.lost", mono_ns=event.mono_ns, instrument=instrument, why=event.why)
        advice = "a running scan goes on; the cell is not affected"
        self._alarms.sound("console-link", "warn", "The console does not answer", event.why, advice=advice)
        self._wake.set()

    def _regain(self, event: LinkRestored) -> None:
        self._scanning.lost_why = None
        instrument = self._s.station.console_settings.instrument
        self._s.put("link.restored", mono_ns=event.mono_ns, instrument=instrument, detail=event.detail)
        self._alarms.clear("console-link")
        self._wake.set()

    # ------------------------------------------------------------------------------------------------------- the owner

    async def own(self) -> None:
        """Prepare, start and see to the end of one acquisition after the other, until cancelled."""
        if self.running is not None:
            self._scanning.fail(self.running, "the task that drives the console failed")
        if self._taking_up.due:
            await self._taking_up.take_up()
        while True:
            self._wake.clear()
            record = self._next() if self._ahead is None else await self._ordered_ahead(self._ahead[1])
            if record is not None:
                await self._acquire(record)
            elif not await self._prepare_ahead():
                await self._wait()

    async def _ordered_ahead(self, key: str) -> Record | None:
        """Tell the console to start, then wait for the record of it; without one nobody wants what was started."""
        try:
            await self._scanning.order_ahead(key)
            async with asyncio.timeout(RECORD_WITHIN_S):
                while (record := self.records.of_key(key)) is None:
                    await self._wake.wait()
                    self._wake.clear()
        except TimeoutError:
            record = None
        finally:
            self._ahead = None
        if record is not None and not record.over:
            return record
        self._ready.forget()
        self._s.put("note", text=f"{key} was started and is not wanted any more: it is aborted", who="rig")
        self.records.tell()
        await within(START_WITHIN_S, self._console.abort(key))
        return None

    def _next(self) -> Record | None:
        """The next record that may start; those that may not any more are missed."""
        now_ns = self._s.clock.mono_ns()
        if self._held is not None:
            return None
        for record in list(self.records.pending):
            if self._s.journal.half_full:
                self._scanning.fail(record, "journal half full")
            elif self._scanning.lost_why is None:
                return record
            elif now_ns - record.fired_ns > patience_ns(record):
                self._scanning.fail(record, f"console lost: {self._scanning.lost_why}")
        return None

    async def _wait(self) -> None:
        """Until something changes; while the console is lost, at most until the next record has waited too long."""
        clock, pending = self._s.clock, self.records.pending
        limit_s = None
        if self._scanning.lost_why is not None and pending:
            due_ns = min(record.fired_ns + patience_ns(record) for record in pending)
            limit_s = max(0.0, (due_ns - clock.mono_ns()) / 1e9 / clock.speed) + 0.001
        self._waits = True
        try:
            if limit_s is None:  # between a step's end and the order to start nothing is in the way, not even a timer
                await self._wake.wait()
                return
            async with asyncio.timeout(limit_s):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._waits = False

    async def _prepare_ahead(self) -> bool:
        """Prepare what is likely to be wanted next; False when there is nothing to prepare."""
        name = None if self._held or self.why_not() or self._scanning.lost_why else self._wishes.next_likely()
        if name is None or is_by_hand(self._s.plan.acquisitions[name]):
            return False
        return name not in self.records.exhausted and await self._ready.ahead(name, self.records)

    async def _acquire(self, record: Record) -> None:
        self._scanning.running = record
        try:
            await self._measure(record)
        finally:
            if record.over or record.state in {S.FILED, S.STORED}:
                self._scanning.running = None

    async def _measure(self, record: Record) -> None:
        """Tuned, armed, measured."""
        if is_by_hand(record.planned):
            await self._by_hand.make(record)
            return
        record.tuning = await self.tuning.before(record)
        if record.over:
            return  # the list that asked for it has waited long enough
        if record.state is S.ARMED or await self._arm(record):
            for block in range(record.planned.blocks):
                if block:  # a carrier that is swept takes the probe along
                    record.tuning = await self.tuning.before(record, block) or record.tuning
                if not await self._scanning.block(record, block) or record.partial:
                    break

    async def tune(self, nuclei: Iterable[str]) -> None:
        """Tune to these nuclei as soon as the console is silent; nothing is started meanwhile."""
        self.hold("the probe is tuned")
        try:
            await self.records.until(lambda: self.silent)
            await self.tuning.prepare(nuclei)
        finally:
            self.let_go()

    async def _arm(self, record: Record) -> bool:
        """The console stands ready for this record."""
        try:
            read_back = await self._ready.for_record(record)
        except Exhausted as error:
            self._scanning.exhausted(record, error.message)
            return False
        except (InstrumentError, TimeoutError) as error:
            self._scanning.fail(record, f"not prepared: {error}", S.REJECTED if isinstance(error, Rejected) else S.MISSED)
            return False
        if record.over:
            return False  # not wanted any more, while the console was prepared for it
        self._armed(record, read_back)
        return True

    def _armed(self, record: Record, read_back: ReadBack) -> None:
        """The console stands ready for this record, or has been told to start it already."""
        deviations = {name: list(pair) for name, pair in read_back.deviations.items()}
        flag = {record.tuning: True} if record.tuning else {}
        self.records.move(record, S.ARMED)
        self._warn_of(record.name, read_back)
        self._s.put("acquisition.armed", record.seq, key=record.key, parameters=dict(read_back.parameters), deviations=deviations, **flag)

    def _warn_of(self, name: str, read_back: ReadBack) -> None:
        """Said once for each acquisition, not for each of its spectra: it is measured with other parameters than its template says."""
        if not read_back.deviations or name in self._deviating:
            return
        self._deviating.add(name)
        pairs = "; ".join(f"{one}: asked {asked}, is {found}" for one, (asked, found) in read_back.deviations.items())
        advice = "take these out of the template, unlock them in the rig file, or set them on the console"
        self._alarms.sound(f"deviating-{name}", "warn", f"{name} is not measured as its template says", pairs, advice=advice)

    def give_up(self, record: Record, why: str) -> None:
        """The run is over and this record is not."""
        self.records.end(record, S.MISSED if record.state in {S.REQUESTED, S.ARMED} else S.LOST, why, fault=False)
