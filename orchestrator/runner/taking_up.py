"""The console of a run that goes on: what it measures still is seen through, what it has filed is fetched, the rest is taken again."""

from __future__ import annotations

from collections.abc import Callable

from drivers.base import ConsoleActivity, ConsoleState, Filed
from drivers.errors import InstrumentError
from orchestrator.model.acquisition import TriggerKind
from orchestrator.plan.orders import Plan
from orchestrator.runner.paperwork import RecordLeft
from orchestrator.runner.records import Record, Records, Wishes
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.scanning import Scanning, patience_ns
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Surroundings
from orchestrator.runner.storing import Storing
from orchestrator.runner.triggers import Fire
from orchestrator.runner.wire import within

SKIPPED_NUMBERS = 2
"""Keys after the last that the journal knows: one may stand prepared on the console, one may have been asked for unrecorded."""
SETTLES_S = 1.0
"""A console that was found again says first what has happened meanwhile."""
FETCH_WITHIN_S = 300.0

Again = Callable[[Record, Fire], object]

S = AcquisitionState


class TakingUp:
    """``from_death``: it was not seen yet what the console was doing. ``told_of``: what the console has said something of since.

    ``again``: asks for a record anew.
    """

    def __init__(
        self, surroundings: Surroundings, records: Records, storing: Storing, scanning: Scanning, wishes: Wishes, again: Again
    ) -> None:
        self._s = surroundings
        self._console = surroundings.station.console
        self._records = records
        self._storing = storing
        self._scanning = scanning
        self._wishes = wishes
        self._again = again
        self._interrupted: list[Record] = []
        self.from_death = False
        self.told_of: set[str] = set()

    @property
    def due(self) -> bool:
        """There is something left to take up."""
        return self.from_death or bool(self._interrupted)

    def restore(self, left: Resumption) -> None:
        """Go on with the records of a run that was broken off; ``take_up`` sees what the console was doing."""
        known = [(_restored(one, self._s.plan), one) for one in left.records]
        self._records.restore([record for record, _ in known], left.numbers + SKIPPED_NUMBERS, left.failures, left.exhausted)
        for record, one in known:
            if not record.over:
                self._storing.restore(record, one)
        self._interrupted = [record for record, _ in known if record.state in {S.ARMED, S.ACQUIRING, S.ACQUIRED}]
        self.from_death = True

    def drop_outdated(self, step_key: str) -> None:
        """What was asked for too long ago, and not by the step that goes on, is not wanted any more."""
        for record in list(self._records.pending):
            if not self._stands(record, step_key):
                self._records.end(record, S.MISSED, "the rig was dead when it was due", fault=False)

    def _stands(self, record: Record, step_key: str) -> bool:
        """Is what asked for it still so? Its own step goes on, or it has waited no longer than it may for a lost console."""
        own = record.listed or (bool(step_key) and record.step_key.partition(".")[0] == step_key)
        return own or self._s.clock.mono_ns() - record.fired_ns <= patience_ns(record)

    async def take_up(self) -> None:
        """What the console measures under a key of ours is seen through, what it has filed is fetched, the rest is taken again."""
        await self._s.clock.sleep(SETTLES_S)
        self.from_death = False
        state = await self._scanning.state()
        while state.activity is ConsoleActivity.UNKNOWN:
            await self._scanning.until_answered()
            state = await self._scanning.state()
        if state.key is not None and state.key not in {record.key for record in self._records.all}:
            self._find(state.key)
        while self._interrupted:
            await self._see_interrupted(self._interrupted[0], state)
            self._interrupted.pop(0)

    def _find(self, key: str) -> None:
        """The console runs a scan of ours that was started in the rig's last moment."""
        record = self._records.found(key, "")
        if record is not None:
            self._records.move(record, S.ARMED)
            self._s.put("acquisition.armed", record.seq, key=key, parameters={}, deviations={})
            self._interrupted.append(record)

    async def _see_interrupted(self, record: Record, state: ConsoleState) -> None:
        self._scanning.running = self._scanning.taken_up = record
        block = max(record.times, default=0)
        try:
            if record.key in self.told_of or state.key == record.key:
                await self._scanning.see_through(record, block)
            elif await self._is_filed(record, block):
                self._scanning.filed(record, block, Filed(record.key, block, self._s.clock.mono_ns()))
            else:
                self._lose_interrupted(record)
            if not record.over and block < record.planned.blocks - 1:
                record.partial = True
        finally:
            self._scanning.taken_up = None
            if record.over or record.state in {S.FILED, S.STORED}:
                self._scanning.running = None

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
        self._scanning.end(record, S.LOST, why, fault=False)
        if not again and self._stands(record, self._wishes.planned_key()):
            fire = Fire(
                record.name, f"again, after the rig died: {', '.join(record.reasons)}", self._s.clock.mono_ns(), TriggerKind.ON_DEMAND
            )
            self._again(record, fire)


def _restored(left: RecordLeft, plan: Plan) -> Record:
    """A record as it was when the rig died."""
    record = Record(left.key, plan.acquisitions[left.name], left.asked_as, left.reasons, left.fired_ns, left.step_key, left.listed)
    record.last_of_round, record.state, record.seq = left.last_of_round, left.state, left.seq
    record.partial, record.unwanted, record.why, record.times = left.partial, left.unwanted, left.why, left.times
    return record
