"""Sample blocks as rows, and what charge and voltage were at any instant between two samples."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.model.events import Event
from orchestrator.recorder.appends import Column, Rows
from orchestrator.recorder.datasets import fill_value, numpy_dtype
from orchestrator.recorder.layout import C_PER_MAH, ELECTROCHEMISTRY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# file's name → journal's name and what it is divided by
COLUMNS = {
    "voltage": ("voltage_V", 1.0),
    "voltage_we": ("voltage_we_V", 1.0),
    "voltage_ce": ("voltage_ce_V", 1.0),
    "current": ("current_A", 1.0),
    "charge_step": ("charge_step_C", C_PER_MAH),
    "charge_net": ("charge_net_C", C_PER_MAH),
    "charge_throughput": ("charge_throughput_C", C_PER_MAH),
    "x": ("x", 1.0),
    "time_device": ("device_ns", 1.0),
    "status": ("status", 1.0),
}


def stacked(events: Sequence[Event]) -> dict[str, Column]:
    """The columns of blocks that are described alike, as one: all blobs in one look, not block by block."""
    described, n = events[0].data["columns"], events[0].data["n"]
    block = np.dtype([(name, dtype, (n,)) for name, dtype in described])
    blob = b"".join(event.blob or b"" for event in events)
    if len(blob) != block.itemsize * len(events):
        raise ValueError(f"{len(blob)} bytes do not hold {len(events)} blocks of {n} rows of {[name for name, _ in described]}")
    array = np.frombuffer(blob, block)
    return {name: array[name].reshape(-1) for name, _ in described}


KEPT_SAMPLES = 1 << 20
MARK_SAMPLES = 1 << 16
NEIGHBOURS = 4
FARTHEST_INTERVALS = 3
"""Between two samples farther apart than so many intervals nothing is known."""


@dataclass(slots=True, eq=False)
class Samples:
    """Growing columns: time_ns int64 since the start of the run, charge_mAh, voltage_V float64, step int32 (its ordinal).

    Only strictly later samples are kept, so that what lies between two of them never changes. 28 bytes a sample; ``forget``
    lets go of old ones.
    """

    _time_ns: Ints
    _charge_mAh: Floats
    _voltage_V: Floats
    _step: NDArray[np.int32]
    size: int = 0

    @classmethod
    def empty(cls) -> Samples:
        """No sample yet."""
        return cls(np.empty(1024, np.int64), np.empty(1024), np.empty(1024), np.empty(1024, np.int32))

    @property
    def newest_ns(self) -> int | None:
        """When the newest was taken; None before the first."""
        return int(self._time_ns[self.size - 1]) if self.size else None

    @property
    def settled_ns(self) -> int | None:
        """Up to here nothing changes any more: a sample's neighbours are known as soon as one follows it."""
        return int(self._time_ns[self.size - 2]) if self.size > 1 else None

    def extend(self, time_ns: Ints, charge_mAh: Floats, voltage_V: Floats, step: NDArray[np.int32]) -> None:
        """Take further samples."""
        newest = self.newest_ns
        floor = np.iinfo(np.int64).min if newest is None else newest
        before = np.maximum.accumulate(np.concatenate([[floor], time_ns[:-1]])) if time_ns.size else time_ns
        later = time_ns > before
        end = self.size + int(later.sum())
        while end > self._time_ns.size:
            for name in ("_time_ns", "_charge_mAh", "_voltage_V", "_step"):
                setattr(self, name, np.concatenate([getattr(self, name), np.empty_like(getattr(self, name))]))
        taken = ((self._time_ns, time_ns), (self._charge_mAh, charge_mAh), (self._voltage_V, voltage_V), (self._step, step))
        for target, values in taken:
            target[self.size : end] = values[later]
        self.size = end

    def forget(self, before_ns: int) -> None:
        """Let go of samples before an instant, less a few whose intervals are still looked at; seldom, then of half of them at least."""
        first = int(np.searchsorted(self._time_ns[: self.size], before_ns)) - NEIGHBOURS
        if first < max(self.size // 2, MARK_SAMPLES):
            return
        for name in ("_time_ns", "_charge_mAh", "_voltage_V", "_step"):
            setattr(self, name, getattr(self, name)[first : self.size].copy())
        self.size -= first

    def at(self, time_ns: int) -> tuple[float, float]:
        """(charge in mA h, voltage in V) at an instant; NaN where it is not known.

        By a straight line between two samples that are no farther apart than FARTHEST_INTERVALS of the wider interval beside
        them in their own steps. Charge is continuous across the edge between two steps, voltage is not.
        """
        right = int(np.searchsorted(self._time_ns[: self.size], time_ns))
        if right < self.size and self._time_ns[right] == time_ns:
            return float(self._charge_mAh[right]), float(self._voltage_V[right])
        left = right - 1
        if left < 0 or right == self.size or self._ns_between(left, right) > FARTHEST_INTERVALS * self._interval_ns(left, right):
            return math.nan, math.nan
        part = (time_ns - int(self._time_ns[left])) / self._ns_between(left, right)
        charge, voltage = (values[left] + part * (values[right] - values[left]) for values in (self._charge_mAh, self._voltage_V))
        return float(charge), float(voltage) if self._step[left] == self._step[right] else math.nan

    def _ns_between(self, left: int, right: int) -> int:
        return int(self._time_ns[right]) - int(self._time_ns[left])

    def _interval_ns(self, left: int, right: int) -> int:
        """The wider of the intervals before ``left`` and after ``right``, each within its own step; 0 where there is none."""
        before = self._ns_between(left - 1, left) if left > 0 and self._step[left - 1] == self._step[left] else 0
        follows = right + 1 < self.size and self._step[right] == self._step[right + 1]
        return max(before, self._ns_between(right, right + 1) if follows else 0)


class Horizon:
    """From which instant on samples are remembered: for a run of weeks at 1 kHz all of them would be 17 GB.

    Events alone decide it, never how they were batched, so that the same journal gives the same file. ``from_ns``: None as long as all are.
    """

    def __init__(self) -> None:
        self.from_ns: int | None = None
        self._total = 0
        self._marks: deque[tuple[int, int]] = deque()

    def see(self, n: int, at_ns: int) -> None:
        """So many more samples, the last of them at this instant of the run."""
        before, self._total = self._total, self._total + n
        if self._total // MARK_SAMPLES > before // MARK_SAMPLES:
            self._marks.append((self._total, at_ns))
        while self._marks and self._marks[0][0] <= self._total - KEPT_SAMPLES:
            self.from_ns = self._marks.popleft()[1]


class Electrochemistry:
    """Turns ``ec.block`` events into rows, and remembers the samples. ``lead_ohm``: of leads and filter, as the run's plan says."""

    def __init__(self) -> None:
        self.samples = Samples.empty()
        self.lead_ohm = 0.0
        self._rows = 0
        self._step_key: str | None = None
        self._step = -1

    def feed(self, events: Sequence[Event], origin_ns: int) -> list[Rows]:
        """Rows of blocks in their order; ``origin_ns`` of the monotonic clock is the run's second 0."""
        alike = groupby(events, key=lambda event: (event.data["n"], event.data["columns"]))
        return [self._alike(list(group), origin_ns) for _, group in alike]

    def _alike(self, events: Sequence[Event], origin_ns: int) -> Rows:
        measured = stacked(events)
        n = events[0].data["n"]
        mono_ns = measured["mono_ns"].astype(np.int64)
        to_utc_ns = np.repeat(np.array([event.utc_ns - event.mono_ns for event in events], np.int64), n)
        columns: dict[str, Column] = {"time": (mono_ns - origin_ns) / 1e9}
        columns |= {name: _converted(measured, name, mono_ns.size) for name in COLUMNS if _present(measured, name)}
        if self.lead_ohm:
            columns["voltage_corrected"] = columns["voltage"] - self.lead_ohm * columns["current"]
        columns["time_utc"] = mono_ns + to_utc_ns
        columns["step"] = _each(events, "index", n)
        columns["cycle"] = _each(events, "cycle", n)
        self.samples.extend(mono_ns - origin_ns, columns["charge_net"], columns["voltage"], np.repeat(self._steps(events), n))
        rows = Rows("electrochemistry", ELECTROCHEMISTRY, self._rows, columns)
        self._rows += mono_ns.size
        return rows

    def _steps(self, events: Sequence[Event]) -> NDArray[np.int32]:
        """int32 (blocks,): the ordinal of the step that each block belongs to."""
        ordinals = []
        for event in events:
            if event.data["step_key"] != self._step_key:
                self._step_key, self._step = event.data["step_key"], self._step + 1
            ordinals.append(self._step)
        return np.array(ordinals, np.int32)


def _present(measured: dict[str, Column], name: str) -> bool:
    return COLUMNS[name][0] in measured or not ELECTROCHEMISTRY.dataset(name).optional


def _converted(measured: dict[str, Column], name: str, size: int) -> Column:
    journal_name, divisor = COLUMNS[name]
    dtype = ELECTROCHEMISTRY.dataset(name).dtype
    values = measured.get(journal_name)
    if values is None:
        return np.full(size, fill_value(dtype), numpy_dtype(dtype))
    return values / divisor if divisor != 1.0 else values.astype(numpy_dtype(dtype))


def _each(events: Sequence[Event], name: str, n: int) -> Any:
    return np.repeat(np.array([event.data[name] for event in events], np.int32), n)
