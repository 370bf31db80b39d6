"""The acquisitions of a run by its events alone: how far each has come, and what the next keys must not be. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.model.events import Event
from orchestrator.plan.orders import Plan
from orchestrator.runner.records import members
from orchestrator.runner.states import AcquisitionState, ended

NUMBER = re.compile(r"(?:.*-)?a(\d{5,})-")
LIST_REASONS = frozenset({"list", "at end of the run"})
S = AcquisitionState

Released = Callable[[str, int, bool], None]


@dataclass(slots=True)
class RecordLeft:
    """One acquisition as the journal knows it. ``times``: block → (started, acquired). ``archived``: block → (folder, files)."""

    key: str
    name: str
    asked_as: str
    reasons: list[str]
    fired_ns: int
    step_key: str
    seq: int
    state: AcquisitionState = S.REQUESTED
    listed: bool = False
    last_of_round: bool = True
    partial: bool = False
    unwanted: bool = False
    why: str = ""
    times: dict[int, list[int | None]] = field(default_factory=dict)
    filed: set[int] = field(default_factory=set)
    fid_seqs: dict[int, int] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    archived: dict[int, tuple[str, list[Mapping[str, Any]]]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True when it has come to one of its ends."""
        return ended(self.state)

    @property
    def scanned(self) -> bool:
        """Is its last scan over, or will there be none?"""
        return self.state in {S.ACQUIRED, S.FILED, S.STORED} or self.over


class Paperwork:
    """Feed it every event about acquisitions, in order. ``released`` hears of each that is over, as the run did."""

    def __init__(self, released: Released) -> None:
        self.plan: Plan | None = None
        self.numbers = 0
        self.failures: dict[str, int] = {}
        self.failed_last: str | None = None
        self.exhausted: dict[str, str] = {}
        self._released = released
        self._records: dict[str, RecordLeft] = {}
        self._rounds: dict[str, int] = {}

    def left(self, origin_ns: int) -> tuple[RecordLeft, ...]:
        """Every record, its times on the clock whose second 0 of the run is ``origin_ns``."""
        return tuple(_at(record, origin_ns) for record in self._records.values())

    def feed(self, event: Event, run_ns: int) -> None:
        """The next event."""
        data, record = event.data, self._records.get(str(event.data["key"]))
        if record is None:
            if event.kind == "acquisition.requested":
                self._ask(event, run_ns)
            return
        word, block = event.kind.removeprefix("acquisition."), int(data.get("block") or 0)
        if word == "requested":
            record.reasons += data["reasons"]
        elif word in {"started", "acquired"}:
            times = record.times.setdefault(block, [None, None])
            times[word == "acquired"] = run_ns if data.get("heard", True) else None
            self._scan(record, word, block, data, run_ns)
        elif word == "filed":
            record.filed.add(block)
            self._move(record, S.FILED if self._complete(record, record.filed) else record.state, run_ns)
        elif word == "fid.block":
            record.fid_seqs[block] = event.seq
        elif word == "raw.archived":
            record.archived[block] = (str(data["folder"]), list(data["files"]))
        elif word == "stored":
            record.stored.add(block)
            self._move(record, S.STORED if self._complete(record, record.stored) else record.state, run_ns)
        else:
            self._end(record, word, data, run_ns)

    def _ask(self, event: Event, run_ns: int) -> None:
        data = event.data
        name, asked_as = str(data["name"]), str(data.get("asked_as") or data["name"])
        listed = bool(data.get("listed", set(data["reasons"]) <= LIST_REASONS))
        record = RecordLeft(
            str(data["key"]), name, asked_as, list(data["reasons"]), run_ns, str(data.get("step_key") or ""), event.seq, listed=listed
        )
        self._records[record.key] = record
        if (number := NUMBER.match(record.key)) is not None:
            self.numbers = max(self.numbers, int(number[1]))
        if self.plan is not None and asked_as in self.plan.acquisitions:
            count = self._rounds[asked_as] = self._rounds.get(asked_as, 0) + 1
            record.last_of_round = count % len(members(asked_as, self.plan.acquisitions)) == 0

    def _blocks(self, record: RecordLeft) -> int:
        known = self.plan.acquisitions.get(record.name) if self.plan is not None else None
        return 1 if known is None else known.blocks

    def _complete(self, record: RecordLeft, blocks: set[int]) -> bool:
        return record.partial or len(blocks) >= self._blocks(record)

    def _scan(self, record: RecordLeft, word: str, block: int, data: Mapping[str, Any], run_ns: int) -> None:
        if word == "started":
            self._move(record, S.ACQUIRING, run_ns)
            return
        planned = self.plan.acquisitions.get(record.name) if self.plan is not None else None
        done = data.get("scans_done")
        record.partial = record.partial or (planned is not None and done is not None and done < planned.scans)
        if block == self._blocks(record) - 1 or record.partial:
            self.failures[record.name] = 0
            self._move(record, S.ACQUIRED, run_ns)

    def _end(self, record: RecordLeft, word: str, data: Mapping[str, Any], run_ns: int) -> None:
        record.partial = record.partial or bool(data.get("partial"))
        record.unwanted = bool(data.get("unwanted"))
        record.why = str(data.get("why") or "")
        if word in {"missed", "rejected", "lost"} and data.get("fault", True):
            self.failures[record.name] = self.failures.get(record.name, 0) + 1
            self.failed_last = record.asked_as
        if data.get("exhausted"):
            self.exhausted[record.name] = record.why
        self._move(record, S(word), run_ns)

    def _move(self, record: RecordLeft, to: AcquisitionState, run_ns: int) -> None:
        scanned = record.scanned
        if ORDER.index(to) > ORDER.index(record.state):
            record.state = to
        if record.scanned and not scanned and record.last_of_round:
            self._released(record.asked_as, run_ns, record.state is S.ACQUIRED)


ORDER = list(S)


def _at(record: RecordLeft, origin_ns: int) -> RecordLeft:
    times = {block: [None if at is None else at + origin_ns for at in pair] for block, pair in record.times.items()}
    return replace(record, fired_ns=record.fired_ns + origin_ns, times=times, reasons=list(record.reasons))
