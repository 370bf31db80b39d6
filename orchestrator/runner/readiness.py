"""What the console stands ready for: an acquisition is prepared while the console is idle, before anybody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import AcquisitionOrder, ReadBack
from drivers.errors import InstrumentError
from orchestrator.plan.orders import Plan, PlannedAcquisition
from orchestrator.runner.calibrating import Calibrating
from orchestrator.runner.records import Record, Records
from orchestrator.runner.station import Surroundings
from orchestrator.runner.wire import within

PREPARE_WITHIN_S = 120.0
DEADLINE_FACTOR, DEADLINE_S = 1.5, 60.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was prepared, and what the console read back."""

    name: str
    key: str
    read_back: ReadBack


def overdue_s(planned: PlannedAcquisition, plan: Plan) -> float:
    """So long an acquisition may take: interlock `acquisition overdue`."""
    numbers = next((one.numbers for one in plan.interlocks if one.name == "acquisition overdue"), {})
    return planned.edge_within_s + planned.duration_s * numbers.get("factor", DEADLINE_FACTOR) + numbers.get("margin", DEADLINE_S)


def order_of(planned: PlannedAcquisition, key: str, deadline_s: float, template: Mapping[str, Any] | None = None) -> AcquisitionOrder:
    """The console's order for a planned acquisition; ``template``: with what the preparation has set, where it has."""
    return AcquisitionOrder(
        key=key,
        name=planned.name,
        nucleus=planned.nucleus,
        template=planned.template if template is None else template,
        scans=planned.scans,
        dummies=planned.dummies,
        recycle_s=planned.recycle_s,
        blocks=planned.blocks,
        deadline_s=deadline_s,
        sequence=planned.sequence,
        rows=planned.rows,
        per_block=planned.per_block,
        edge_within_s=planned.edge_within_s,
    )


class Readiness:
    """Prepares, at most one acquisition at a time; only the console's owner task calls what waits."""

    def __init__(self, surroundings: Surroundings, calibrating: Calibrating) -> None:
        self._s = surroundings
        self._calibrating = calibrating
        self._prepared: Prepared | None = None
        self._reservation: tuple[str, str] | None = None
        self._unpreparable: str | None = None

    def take_key(self, name: str) -> str | None:
        """The key under which this acquisition is prepared, or is just being; given away once."""
        if self._reservation is None or self._reservation[0] != name:
            return None
        key, self._reservation = self._reservation[1], None
        return key

    def stands_for(self, name: str) -> str | None:
        """The key under which the console stands ready for this acquisition; None where it does not."""
        ready = self._prepared
        return ready.key if ready is not None and ready.name == name and self._reservation == (name, ready.key) else None

    def taken(self, key: str) -> ReadBack | None:
        """What was read back under this key, for which the console stands ready no more; None where it did not stand ready."""
        prepared = self._prepared
        if prepared is None or prepared.key != key:
            return None
        self._prepared = None
        return prepared.read_back

    def forget(self) -> None:
        """The console stands ready for nothing any more."""
        self._prepared = self._reservation = None

    def forgive(self) -> None:
        """What could not be prepared may be tried again."""
        self._unpreparable = None

    async def ahead(self, name: str, records: Records) -> bool:
        """Prepare what is likely to be wanted next; False when it is ready already, or has just failed."""
        if name == self._unpreparable or (self._prepared is not None and self._prepared.name == name):
            return False
        key = records.new_key(name)
        self._reservation = (name, key)
        try:
            await self._prepare(self._s.plan.acquisitions[name], key)
        except (InstrumentError, TimeoutError) as error:
            self._unpreparable, self._reservation = name, None
            self._s.put("note", text=f"{name} could not be prepared ahead: {error}", who="rig")
        return True

    async def for_record(self, record: Record) -> ReadBack:
        """The read-back of this record's preparation, done now unless it was done ahead. Raises InstrumentError, TimeoutError."""
        read_back = self.taken(record.key)
        if read_back is None:
            self._reservation = None
            read_back = (await self._prepare(record.planned, record.key)).read_back
            self._prepared = None
        return read_back

    async def _prepare(self, planned: PlannedAcquisition, key: str) -> Prepared:
        self._prepared = None
        order = order_of(planned, key, overdue_s(planned, self._s.plan), self._calibrating.template(planned))
        read_back = await within(PREPARE_WITHIN_S, self._s.station.console.prepare(order))
        self._prepared = Prepared(planned.name, key, read_back)
        return self._prepared
