"""Sample blocks as rows, and what charge and voltage were at any instant between two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.model.events import Event
from orchestrator.recorder.appends import Column, Rows
from orchestrator.recorder.layout import C_PER_MAH, ELECTROCHEMISTRY, fill_value, numpy_dtype

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


@dataclass(slots=True, eq=False)
class Samples:
    """Growing columns of everything measured so far: time_ns int64 since the start of the run, charge_mAh, voltage_V float64.

    Only strictly later samples are kept, so that what lies between two of them never changes. 24 bytes a sample.
    """

    _time_ns: Ints
    _charge_mAh: Floats
    _voltage_V: Floats
    size: int = 0

    @classmethod
    def empty(cls) -> Samples:
        """No sample yet."""
        return cls(np.empty(1024, np.int64), np.empty(1024), np.empty(1024))

    @property
    def newest_ns(self) -> int | None:
        """When the newest was taken; None before the first."""
        return int(self._time_ns[self.size - 1]) if self.size else None

    def extend(self, time_ns: Ints, charge_mAh: Floats, voltage_V: Floats) -> None:
        """Take further samples."""
        newest = self.newest_ns
        floor = np.iinfo(np.int64).min if newest is None else newest
        before = np.maximum.accumulate(np.concatenate([[floor], time_ns[:-1]])) if time_ns.size else time_ns
        later = time_ns > before
        end = self.size + int(later.sum())
        while end > self._time_ns.size:
            for name in ("_time_ns", "_charge_mAh", "_voltage_V"):
                setattr(self, name, np.concatenate([getattr(self, name), np.empty_like(getattr(self, name))]))
        for target, values in ((self._time_ns, time_ns), (self._charge_mAh, charge_mAh), (self._voltage_V, voltage_V)):
            target[self.size : end] = values[later]
        self.size = end

    def at(self, time_ns: int) -> tuple[float, float] | None:
        """(charge in mA h, voltage in V) at an instant, by straight lines; None outside what was measured."""
        right = int(np.searchsorted(self._time_ns[: self.size], time_ns))
        if right == self.size or (right == 0 and self._time_ns[0] != time_ns):
            return None
        if self._time_ns[right] == time_ns:
            return float(self._charge_mAh[right]), float(self._voltage_V[right])
        left = right - 1
        part = (time_ns - int(self._time_ns[left])) / (int(self._time_ns[right]) - int(self._time_ns[left]))
        charge, voltage = (values[left] + part * (values[right] - values[left]) for values in (self._charge_mAh, self._voltage_V))
        return float(charge), float(voltage)


class Electrochemistry:
    """Turns ``ec.block`` events into rows, and remembers the samples."""

    def __init__(self) -> None:
        self.samples = Samples.empty()
        self._rows = 0

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
        columns["time_utc"] = mono_ns + to_utc_ns
        columns["step"] = _each(events, "index", n)
        columns["cycle"] = _each(events, "cycle", n)
        self.samples.extend(mono_ns - origin_ns, columns["charge_net"], columns["voltage"])
        rows = Rows("electrochemistry", ELECTROCHEMISTRY, self._rows, columns)
        self._rows += mono_ns.size
        return rows


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
