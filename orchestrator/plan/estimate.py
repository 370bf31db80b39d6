"""How many acquisitions, how many rows, how many bytes: estimates for ``check``, never limits.

Counting rules: each trigger is counted over the step's expected time and charge; the EVERY kinds sit on a grid whose first
line is the step's start. A condition on x counts the part of the
step's own charge on its side (x_now is not added); one on a voltage is assumed to hold for half the step. A console that
is busy joins triggers, so an acquisition never counts more often than it fits into the step. Sizes: what the journal,
the HDF5 file and the vendor's archive need for one FID or one row (``SPECTRUM_BYTES``, ``ROW_BYTES``); above a chapter's
size the HDF5 file's copies are of its open chapter only, and at the end it is there twice while the chapters become one file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from orchestrator.model.acquisition import TriggerKind
from orchestrator.model.protocol import SampleRate
from orchestrator.plan.acquisitions import is_manual, members
from orchestrator.plan.orders import Plan, PlannedAcquisition, PlannedStep, TriggerOrder
from orchestrator.plan.preparation import ASSUMED_S

COMPLEX64_BYTES = 8
SPECTRUM_BYTES = 4
ZERO_FILLING = 2
FILES_PER_FID_BYTES = 40_000
"""inferred: parameters that a vendor files beside each FID (a procpar is about 30 kB), and the journal's records of it."""
HDF5_PER_FID_BYTES = 40_000
"""inferred: the same parameters in the HDF5 file, and the columns and events of one FID (12 kB measured with few parameters)."""
ROW_BYTES = 8 * 8 + 2
"""Of the journal; with the instrument's own stamp."""
HDF5_ROW_BYTES = 10 * 8 + 2 * 4 + 2
"""Measured: 75 without the instrument's own stamp and the voltages of two electrodes; one of them is counted."""
BLOCK_BYTES = 400
"""inferred: a record of the journal around one column block of at most one second."""
HDF5_COPIES_RUNNING = 7
"""The published file and those that rest before they are written again (``recorder.publisher``: 30 s at one each 5 s)."""
CHAPTER_BYTES = 256 << 20
"""Above it the published file goes on in a new chapter, and only the open one has copies (``recorder.publisher``)."""
REMAINDER_FACTOR = 2.0
"""New acquisitions start while so many times what the run still needs is free."""
PAGE_BYTES, PAGE_SHARE = 4096, 489
"""Of the journal, and the least of a long record that stands in a page with others (SQLite's file format, 1.6)."""
BALLAST_LEAST_BYTES = 64 << 20
BALLAST_s = 86_400.0
BALLAST_LAST_SHARE = 8
"""An eighth of the ballast is kept back for the last records of a run that the disk ends; the day is counted without it."""


class Occasion(NamedTuple):
    """What of a step a trigger sees: expected seconds, coulombs, and the cell's capacity (None: no x)."""

    seconds: float
    charge_C: float
    capacity_C: float | None
    voltage_span_V: float


def occasion(step: PlannedStep, capacity_C: float | None) -> Occasion:
    """What of a planned step its triggers see: without what ``then`` adds at its end."""
    seconds = step.expected_s
    if step.current_A:
        seconds = step.expected_charge_C / abs(step.current_A)
    return Occasion(seconds, step.expected_charge_C, capacity_C, step.limits.voltage_upper_V - step.limits.voltage_lower_V)


def count(trigger: TriggerOrder, seen: Occasion, duration_s: float) -> int:
    """How often a trigger will probably start an acquisition that takes ``duration_s``."""
    n = _asked(trigger, _under_condition(trigger, seen), duration_s)
    if trigger.kind in {TriggerKind.AT_START, TriggerKind.AT_END} or duration_s <= 0:
        return n
    return min(n, math.floor(seen.seconds / duration_s) + 1)


def _under_condition(trigger: TriggerOrder, seen: Occasion) -> Occasion:
    """The part of a step for which a trigger's condition holds."""
    condition = trigger.condition
    if condition is None:
        return seen
    part = 0.5
    if condition.of == "x" and seen.capacity_C and seen.charge_C:
        below = min(condition.value / 100.0 * seen.capacity_C / seen.charge_C, 1.0)
        part = below if condition.side == "below" else 1.0 - below
    return seen._replace(seconds=seen.seconds * part, charge_C=seen.charge_C * part)


def _asked(trigger: TriggerOrder, seen: Occasion, duration_s: float) -> int:
    every = trigger.every or math.inf
    match trigger.kind:
        case TriggerKind.EVERY_TIME:
            return _lines(seen.seconds / every)
        case TriggerKind.EVERY_CHARGE:
            return _lines(seen.charge_C / every)
        case TriggerKind.EVERY_X:
            return _lines(seen.charge_C / (every * seen.capacity_C)) if seen.capacity_C else 0
        case TriggerKind.EVERY_VOLTAGE:
            return _lines(seen.voltage_span_V / every) if seen.charge_C else 0
        case TriggerKind.CONTINUOUSLY:
            return math.floor(seen.seconds / duration_s) if duration_s > 0 else 0
        case TriggerKind.TIMES:
            return trigger.count or len(trigger.times_s)
        case TriggerKind.LOG_SPACED:
            return len(trigger.times_s)
        case TriggerKind.AT_X:
            return len(trigger.x) if seen.charge_C else 0
        case TriggerKind.KNEE:
            return 1 if seen.charge_C else 0
    return 1


def _lines(quotient: float) -> int:
    """Lines of a grid that begins at the step's start and lie before its end; 100.0000001 is 100."""
    return math.ceil(quotient * (1 - 1e-9) - 1e-9)


def counts_of_step(step: PlannedStep, acquisitions: Mapping[str, PlannedAcquisition], capacity_C: float | None) -> Counter[str]:
    """How often a step will probably start each acquisition, by the name it is called by."""
    found: Counter[str] = Counter([*step.then, *step.acquisitions])
    seen = occasion(step, capacity_C)
    for trigger in step.triggers:
        one = acquisitions.get(trigger.acquisition)
        found[trigger.acquisition] += count(trigger, seen, one.duration_s if one else 0.0)
    return found


def counts(steps: Iterable[PlannedStep], acquisitions: Mapping[str, PlannedAcquisition], capacity_C: float | None) -> Counter[str]:
    """How often each acquisition is started in the whole plan."""
    total: Counter[str] = Counter()
    for step in steps:
        total.update(counts_of_step(step, acquisitions, capacity_C))
    return total


def spectra(started: Mapping[str, int], acquisitions: Mapping[str, PlannedAcquisition]) -> dict[str, int]:
    """How many spectra these acquisitions make, by name; an interleave counts as its members."""
    found: Counter[str] = Counter()
    for name, n in started.items():
        for member, weight in members(name, acquisitions):
            found[member] += n * weight
    return {name: found[name] for name in [*acquisitions, *sorted(found.keys() - acquisitions.keys())] if found[name]}


def rows(step: PlannedStep) -> int:
    """Rows of electrochemistry that a step will probably leave."""
    return math.ceil(sampled(step.sample, step.expected_s))


def sampled(rate: SampleRate, seconds: float) -> float:
    """Samples in a time: ``first_Hz`` for the first ``first_s`` seconds, then ``then_Hz``."""
    first_s = min(rate.first_s, seconds) if rate.first_Hz else 0.0
    return first_s * (rate.first_Hz or 0.0) + (seconds - first_s) * rate.then_Hz


class Sizes(NamedTuple):
    """Bytes on the disk: ``kept`` the journal and the vendor's files, ``hdf5`` one ``run.h5`` of the whole run."""

    kept: int
    hdf5: int

    @property
    def chaptered(self) -> bool:
        """Is ``run.h5`` published in chapters?"""
        return self.hdf5 > CHAPTER_BYTES

    @property
    def most(self) -> int:
        """The most at any time: with the copies of the open chapter, or while the chapters become one file."""
        copied = min(self.hdf5, CHAPTER_BYTES)
        running = self.hdf5 + (HDF5_COPIES_RUNNING - 1) * copied
        merging = 2 * self.hdf5 + copied if self.chaptered else 0
        return self.kept + max(running, merging)

    @property
    def at_end(self) -> int:
        """What stays; ``pack`` needs as much as ``hdf5`` besides for a while, and ``prune`` gives the journal back."""
        return self.kept + self.hdf5


def sizes(steps: Iterable[PlannedStep], made: Mapping[str, int], acquisitions: Mapping[str, PlannedAcquisition]) -> Sizes:
    """Bytes on the disk of a run of these steps that makes so many spectra."""
    kept = hdf5 = 0.0
    for step in steps:
        n = rows(step)
        kept += n * ROW_BYTES + min(n, step.expected_s) * BLOCK_BYTES
        hdf5 += n * HDF5_ROW_BYTES
    for name, n in made.items():
        one = acquisitions.get(name)
        if one is not None and not is_manual(one):
            kept += n * (one.fids * 2 * COMPLEX64_BYTES * one.points + one.blocks * FILES_PER_FID_BYTES)
            hdf5 += n * (one.fids * (COMPLEX64_BYTES + SPECTRUM_BYTES * ZERO_FILLING) * one.points + one.blocks * HDF5_PER_FID_BYTES)
    return Sizes(round(kept), round(hdf5))


def _stored(record_bytes: float) -> float:
    """What a record takes in SQLite's pages: of a long one the end lies with others in a page, as many as go in whole."""
    shared = record_bytes if record_bytes <= PAGE_BYTES else PAGE_SHARE + (record_bytes - PAGE_SHARE) % PAGE_BYTES
    return record_bytes - shared + PAGE_BYTES / math.floor(PAGE_BYTES / shared)


def ballast_bytes(steps: Iterable[PlannedStep]) -> int:
    """Room kept for when the disk is full: a day of electrochemistry in the journal at the fastest declared rate, 64 MB at least.

    And an eighth of all for the last records.
    """
    rate_Hz = max((step.sample.then_Hz for step in steps), default=0.0)
    blocks_Hz = min(rate_Hz, 1.0)
    day = BALLAST_s * blocks_Hz * _stored(rate_Hz / blocks_Hz * ROW_BYTES + BLOCK_BYTES) if blocks_Hz else 0.0
    return math.ceil(max(BALLAST_LEAST_BYTES, day) * BALLAST_LAST_SHARE / (BALLAST_LAST_SHARE - 1))


def at_end_s(plan: Plan) -> float:
    """How long the acquisitions of ``at_end`` take; a reference is measured like its preparation."""
    known = plan.acquisitions
    return sum(known[name].duration_s if name in known else ASSUMED_S["reference"] for name in plan.at_end_nmr)
