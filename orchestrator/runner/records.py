"""The acquisitions of a run as records: asked for, merged, counted, and each brought to one of its four ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.model.acquisition import TriggerKind
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.states import ACQUISITION, AcquisitionState, advance, ended
from orchestrator.runner.station import Surroundings
from orchestrator.runner.triggers import Fire

QUEUE_LONGEST = 64
"""With ``busy: queue``, so many acquisitions may wait; the next one is missed."""

BACK_TO_BACK = frozenset({TriggerKind.CONTINUOUSLY, TriggerKind.TIMES})
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
NUMBER = re.compile(r"a\d{5,}")

S = AcquisitionState


@dataclass(slots=True, eq=False)
class Record:
    """One acquisition. ``asked_as``: the name that the trigger used (an interleave's, or its own).

    ``listed``: part of a list at open circuit, so never merged with another. ``unwanted``: missed because somebody paused
    NMR or the booking has ended. ``enough``: halted because what it was for is known (``until``). ``tuning``: the flag
    of a probe that was not well tuned. ``times``: block → (started, acquired); None: not heard. ``widths_ns``: how far off each may be.
    """

    key: str
    planned: PlannedAcquisition
    asked_as: str
    reasons: list[str]
    fired_ns: int
    step_key: str
    listed: bool = False
    last_of_round: bool = True
    state: AcquisitionState = S.REQUESTED
    seq: int = 0
    partial: bool = False
    unwanted: bool = False
    tuning: str = ""
    enough: bool = False
    why: str = ""
    times: dict[int, list[int | None]] = field(default_factory=dict)
    widths_ns: dict[int, list[int]] = field(default_factory=dict)
    fid_seqs: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The acquisition's own name."""
        return self.planned.name

    @property
    def over(self) -> bool:
        """True when it has come to one of its ends."""
        return ended(self.state)

    @property
    def scanned(self) -> bool:
        """Is its last scan over, or will there be none? The cell may then go on."""
        return self.state in {S.ACQUIRED, S.FILED, S.STORED} or self.over


def members(name: str, acquisitions: Mapping[str, PlannedAcquisition]) -> list[PlannedAcquisition]:
    """What one request of a name measures: itself, or one full round of an interleave, its heavier members spread."""
    planned = acquisitions[name]
    if not planned.members:
        return [planned]
    rounds = range(max(planned.members.values()))
    return [acquisitions[member] for k in rounds for member, weight in planned.members.items() if k < weight]


def grouped(fires: Iterable[Fire]) -> dict[str, list[Fire]]:
    """Fires by acquisition, in the order in which each first came."""
    groups: dict[str, list[Fire]] = {}
    for fire in fires:
        groups.setdefault(fire.acquisition, []).append(fire)
    return groups


class Wishes(Protocol):
    """What the console's side asks of the run; no method waits."""

    def next_likely(self) -> str | None:
        """The acquisition that will be wanted next."""

    def released(self, acquisition: str, *, ok: bool) -> None:
        """What a trigger asked for under this name is over (its last scan), or will not be: back-to-back triggers go on."""

    def comes_again(self, acquisition: str) -> bool:
        """Does a trigger of the running step ask for this by itself, when it fails?"""

    def planned_key(self) -> str:
        """The planned key of the running step; empty where none runs."""

    def throughput_C(self) -> float:
        """All charge of the run so far."""

    def failing(self, record: Record, times: int) -> None:
        """So many acquisitions of a name have failed in a row."""


class Records:
    """All records of a run, and the queue of those that wait for the console."""

    def __init__(self, surroundings: Surroundings, wishes: Wishes, reserve: Callable[[str], str | None]) -> None:
        self._s = surroundings
        self._wishes = wishes
        self._reserve = reserve
        self._numbers = 0
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._failures: dict[str, int] = {}
        self.exhausted: dict[str, str] = {}
        self.all: list[Record] = []
        self.pending: list[Record] = []

    # ------------------------------------------------------------------------------------------------------- requests

    def new_key(self, name: str) -> str:
        """``a00012-quant``: what stands in the vendor's data."""
        self._numbers += 1
        return f"{self._s.key_prefix}a{self._numbers:05d}-{UNSAFE.sub('_', name)}"

    def request(
        self, fires: Iterable[Fire], step_key: str, cause: int | None, refused: str | None, *, listed: bool = False, unwanted: bool = False
    ) -> list[Record]:
        """Make or extend the records that some fires ask for. ``refused``: why nothing may start now; ``unwanted``: by a wish."""
        made: list[Record] = []
        for name, of_name in grouped(fires).items():
            waiting = [record for record in self.pending if record.asked_as == name and not record.listed]
            if waiting and not listed and self._s.plan.busy == "coalesce":
                self._extend(waiting[0], [fire.reason for fire in of_name], cause)
            elif (refused or self._all_exhausted(name)) and all(fire.kind in BACK_TO_BACK for fire in of_name):
                self._wishes.released(name, ok=False)  # it comes again by itself: no row of misses while NMR is paused
            else:
                made += self._make(name, of_name, step_key, cause, listed=listed)
        why = refused or ("busy" if len(self.pending) + len(made) > QUEUE_LONGEST else None)
        for record in made:
            if because := why or self.exhausted.get(record.name):
                record.unwanted = unwanted
                self.end(record, S.MISSED, because, fault=False)
            else:
                self.pending.append(record)
        return made

    def _all_exhausted(self, name: str) -> bool:
        return all(planned.name in self.exhausted for planned in members(name, self._s.plan.acquisitions))

    def _extend(self, record: Record, reasons: list[str], cause: int | None) -> None:
        record.reasons += reasons
        self._s.put("acquisition.requested", cause, key=record.key, name=record.name, reasons=reasons, added=True)

    def _make(self, name: str, fires: list[Fire], step_key: str, cause: int | None, *, listed: bool) -> list[Record]:
        round_ = members(name, self._s.plan.acquisitions)
        reasons = [fire.reason for fire in fires]
        records = [self._record(planned, name, list(reasons), fires[0].mono_ns, step_key, listed=listed) for planned in round_]
        for record in records:
            record.last_of_round = record is records[-1]
            record.seq = self._put_requested(record, cause)
        self.all += records
        return records

    def _record(
        self, planned: PlannedAcquisition, asked_as: str, reasons: list[str], fired_ns: int, step_key: str, *, listed: bool
    ) -> Record:
        key = self._reserve(planned.name) or self.new_key(planned.name)
        return Record(key, planned, asked_as, reasons, fired_ns, step_key, listed)

    def _put_requested(self, record: Record, cause: int | None) -> int:
        planned = record.planned
        return self._s.put(
            "acquisition.requested",
            cause,
            record.fired_ns,
            key=record.key,
            name=planned.name,
            asked_as=record.asked_as,
            nucleus=planned.nucleus,
            reasons=list(record.reasons),
            step_key=record.step_key,
            scans=planned.scans,
            dummies=planned.dummies,
            recycle_s=planned.recycle_s,
            planned_s=planned.duration_s,
            **({"listed": True} if record.listed else {}),
            **({"edge_within_s": planned.edge_within_s} if planned.edge_within_s else {}),
        )

    # ------------------------------------------------------------------------------------------------- a continued run

    def restore(self, records: Iterable[Record], numbers: int, failures: Mapping[str, int], exhausted: Mapping[str, str]) -> None:
        """Go on with the records of a run that was broken off; those that were merely asked for wait again."""
        self.all = list(records)
        self.pending = [record for record in self.all if record.state is S.REQUESTED]
        self._numbers, self._failures, self.exhausted = numbers, dict(failures), dict(exhausted)

    def of_list(self, step_key: str) -> list[Record]:
        """The records of the list of a step, that is of a step with this very key or of its waits, but for those that failed."""
        ours = [record for record in self.all if record.listed and record.step_key.partition(".")[0] == step_key]
        return [record for record in ours if record.state is S.VERIFIED or not record.over] if step_key else []

    def found(self, key: str, step_key: str) -> Record | None:
        """A record for an acquisition of ours that the console names and no journal does; None where its name is none of the plan's."""
        number, _, rest = key.removeprefix(self._s.key_prefix).partition("-")
        name = next((name for name in self._s.plan.acquisitions if UNSAFE.sub("_", name) == rest), None)
        if name is None or not NUMBER.fullmatch(number):
            return None
        self._numbers = max(self._numbers, int(number[1:]))
        now_ns = self._s.clock.mono_ns()
        record = Record(key, self._s.plan.acquisitions[name], name, ["found when the run was continued"], now_ns, step_key)
        record.seq = self._put_requested(record, None)
        self.all.append(record)
        return record

    def of_key(self, key: str) -> Record | None:
        """The record with this key; None where there is none yet."""
        return next((record for record in reversed(self.all) if record.key == key), None)

    # ----------------------------------------------------------------------------------------------------------- ends

    def move(self, record: Record, to: AcquisitionState) -> None:
        """The record has come further; raises IllegalTransition for a pair that the table does not have."""
        scanned = record.scanned
        record.state = advance(ACQUISITION, record.state, to)
        if to is S.ACQUIRED:
            self._failures[record.name] = 0
        if to is not S.ARMED and record in self.pending:
            self.pending.remove(record)
        if record.scanned and not scanned and record.last_of_round:
            self._wishes.released(record.asked_as, ok=to is S.ACQUIRED)
        self.tell()

    def end(self, record: Record, to: AcquisitionState, why: str, *, fault: bool = True, exhausted: bool = False) -> None:
        """One of the three unhappy ends, with its reason. ``fault``: it counts against the missed policy."""
        record.why = why
        also: dict[str, Any] = {name: True for name in ("partial", "unwanted") if getattr(record, name)}
        also |= {} if fault else {"fault": False}
        also |= {"exhausted": True} if exhausted else {}
        self._s.put(f"acquisition.{to.value}", record.seq or None, key=record.key, name=record.name, why=why, **also)
        self.move(record, to)
        if fault:
            self._failures[record.name] = self._failures.get(record.name, 0) + 1
            self._wishes.failing(record, self._failures[record.name])

    def exhaust(self, name: str, why: str) -> None:
        """A recording has no more of this acquisition: what waits for it, and what will be asked for, is missed."""
        self.exhausted[name] = why
        for record in [record for record in self.pending if record.name == name and record.state is S.REQUESTED]:
            self.end(record, S.MISSED, why, fault=False, exhausted=True)

    def drop_pending(self, why: str, *, unwanted: bool = True) -> None:
        """None of those that wait will be measured."""
        for record in [record for record in self.pending if record.state is S.REQUESTED]:
            record.unwanted = unwanted
            self.end(record, S.MISSED, why, fault=False)

    @property
    def complete(self) -> bool:
        """True when every record has ended verified."""
        return all(record.state is S.VERIFIED for record in self.all)

    @property
    def missing(self) -> list[Record]:
        """Those that somebody still wanted and that have not ended verified."""
        return [record for record in self.all if record.state is not S.VERIFIED and not record.unwanted]

    # -------------------------------------------------------------------------------------------------------- waiting

    def tell(self) -> None:
        """Whoever waits looks again."""
        for predicate, future in [waiter for waiter in self._waiters if waiter[0]()]:
            self._waiters.remove((predicate, future))
            if not future.done():
                future.set_result(None)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return when something that the records show is true."""
        if predicate():
            return
        waiter = (predicate, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
