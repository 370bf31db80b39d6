"""The interlocks beside the cell: clocks, acquisitions, FIDs, observables, temperatures, disk. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.runner.interlocks.readings import Row, Values

LEARNT_FROM = 5
"""So many acquisitions of a name make its reference."""

KEPT = 100
CELSIUS_K = 273.15
IN_KELVIN: Mapping[str, float] = {"K": 0.0, "degC": CELSIUS_K, "°C": CELSIUS_K}
INTEGER_RANGES: Mapping[str, float] = {"i2": 32767.0, "i4": 2147483647.0}


class ClockStep:
    """The wall clock against the monotonic one, look by look; a clock that is slewed moves too little in between."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._step_s = numbers["step"]
        self._offset_ns: int | None = None

    def see(self, mono_ns: int, utc_ns: int) -> Values | None:
        """The numbers, when the clock was set since the last look."""
        before_ns, self._offset_ns = self._offset_ns, utc_ns - mono_ns
        if before_ns is None:
            return None
        moved_s = (self._offset_ns - before_ns) / 1e9
        return {"moved_s": moved_s} if abs(moved_s) > self._step_s else None


class Stall:
    """Acquisitions of a name that take longer than those before. ``hiccup_s``: what this computer's own delays may add."""

    def __init__(self, numbers: Mapping[str, float], hiccup_s: float = 0.0) -> None:
        self._hiccup_s = hiccup_s
        self._margin_s, self._spread, self._times = numbers["margin"], numbers["spread"], numbers["times"]
        self._honest: dict[str, deque[float]] = {}
        self._rows: dict[str, Row] = {}

    def see(self, acquisition: str, duration_s: float) -> Values | None:
        """The numbers, when so many in a row took too long. Long ones do not move the median."""
        honest = self._honest.setdefault(acquisition, deque(maxlen=KEPT))
        row = self._rows.setdefault(acquisition, Row(self._times))
        if len(honest) < LEARNT_FROM:
            honest.append(duration_s)
            return None
        middle_s = median(honest)
        bound_s = middle_s + max(self._margin_s, self._spread * median(abs(one - middle_s) for one in honest)) + self._hiccup_s
        if duration_s <= bound_s:
            honest.append(duration_s)
        fires = row.full(so=duration_s > bound_s)
        return {"duration_s": duration_s, "median_s": middle_s, "bound_s": bound_s} if fires else None


def clipped_points(data: NDArray[np.complexfloating[Any, Any]], raw_dtype: str, limit: float | None = None) -> tuple[int, float]:
    """How many parts of a FID (complex, any shape) lie at the converter's limit, and that limit.

    ``limit``: of the stored sums, where the console says it. Where it does not: the end of the stored integer's range, or the
    FID's own largest value, if parts of it reach exactly that again: noise on a signal within the range never does.
    """
    parts = np.concatenate([np.abs(data.real).ravel(), np.abs(data.imag).ravel()])
    largest = float(parts.max(initial=0.0))
    bound = limit if limit is not None else min(INTEGER_RANGES.get(raw_dtype.lstrip("<>=|"), math.inf), largest)
    return int(np.count_nonzero(parts >= bound)) if bound > 0.0 else 0, bound


class Overflow:
    """A FID that touches the converter's limit in several points."""

    LEAST_COUNTS = 1000.0
    """Below this a largest value that comes twice is a coincidence of small whole numbers, not a limit (inferred)."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._points = numbers["points"]

    def see(self, data: NDArray[np.complexfloating[Any, Any]], raw_dtype: str, limit: float | None = None) -> Values | None:
        """The numbers, when this FID overflows. Data that were stored as floating point say nothing without a limit."""
        if limit is None and "i" not in raw_dtype:
            return None
        points, bound = clipped_points(data, raw_dtype, limit)
        if points < self._points or (limit is None and bound < self.LEAST_COUNTS):
            return None
        return {"points": float(points), "limit_counts": bound}


class AmplifierTrip:
    """No pulse reaches the coil: two kinds of evidence out of three, spectrum by spectrum, each acquisition for itself.

    A FID of noise alone is what fresh copper, a blank or an empty window honestly shows, so a line that is gone counts only
    where there was one, and never alone. ``evidence``: acquisition → what may speak, where the experiment says; where it
    names one kind only, that kind is enough. Reflected power is known before its spectrum is looked at: it waits for that, since
    the next spectrum's may come sooner.
    """

    def __init__(self, numbers: Mapping[str, float], evidence: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._numbers = numbers
        self._evidence = evidence or {}
        self._learnt: dict[tuple[str, str], list[float]] = {}
        self._now: dict[str, tuple[str, dict[str, float]]] = {}
        self._ahead: dict[tuple[str, str], float] = {}
        self._rows: dict[str, Row] = {}

    def see(self, acquisition: str, key: str, kind: str, value: float) -> Values | None:
        """One observable of one spectrum: ``noise``, ``reflected`` or ``line``. The numbers, when it fires."""
        allowed = self._evidence.get(acquisition, ("noise", "reflected", "line"))
        if kind not in allowed:
            return None
        if kind == "reflected" and len(allowed) > 1 and self._now.get(acquisition, ("",))[0] != key:
            self._ahead[acquisition, key] = value
            if len(self._ahead) > KEPT:
                del self._ahead[next(iter(self._ahead))]
            return None
        early = self._ahead.pop((acquisition, key), None)
        if early is not None:
            return self._seen(acquisition, key, {"reflected": early, kind: value}, allowed)
        return self._seen(acquisition, key, {kind: value}, allowed)

    def _seen(self, acquisition: str, key: str, found: Mapping[str, float], allowed: tuple[str, ...]) -> Values | None:
        last_key, seen = self._now.get(acquisition, (key, {}))
        row = self._rows.setdefault(acquisition, Row(self._numbers["times"]))
        if last_key != key:
            if not self._enough(acquisition, seen, allowed):
                row.clear()
            seen = {}
        before = self._enough(acquisition, seen, allowed)
        seen.update(found)
        self._now[acquisition] = (key, seen)
        for kind, value in found.items():
            self._learn(acquisition, kind, value)
        if before or not self._enough(acquisition, seen, allowed) or not row.full(so=True):
            return None
        return {name: number for kind in seen for name, number in self._told(acquisition, kind, seen[kind]).items()}

    def _learn(self, acquisition: str, kind: str, value: float) -> None:
        learnt = self._learnt.setdefault((acquisition, kind), [])
        if len(learnt) < LEARNT_FROM:
            learnt.append(value)

    def _reference(self, acquisition: str, kind: str) -> float | None:
        learnt = self._learnt.get((acquisition, kind), [])
        return median(learnt) if len(learnt) >= LEARNT_FROM else None

    def _speaking(self, acquisition: str, seen: Mapping[str, float]) -> tuple[str, ...]:
        """The kinds that speak against the amplifier in one spectrum."""
        return tuple(kind for kind, value in seen.items() if self._speaks(acquisition, kind, value))

    def _enough(self, acquisition: str, seen: Mapping[str, float], allowed: tuple[str, ...]) -> bool:
        speaking = self._speaking(acquisition, seen)
        return len(speaking) >= min(2, len(allowed)) and any(kind != "line" for kind in speaking)

    def _speaks(self, acquisition: str, kind: str, value: float) -> bool:
        reference, numbers = self._reference(acquisition, kind), self._numbers
        if reference is None or not math.isfinite(value):
            return False
        if kind == "line":
            return reference >= numbers["there"] and value < numbers["gone"]
        factor = numbers[kind]
        return not reference / factor <= value <= reference * factor

    def _told(self, acquisition: str, kind: str, value: float) -> Values:
        name = {"noise": "noise_sd", "reflected": "reflected_power", "line": "line_snr"}[kind]
        reference = self._reference(acquisition, kind)
        return {name: value, **({} if reference is None else {f"{name}_reference": reference})}


def kelvin(value: float, unit: str) -> float | None:
    """A temperature in K; None for a unit that is none."""
    offset = IN_KELVIN.get(unit)
    return None if offset is None else value + offset


class Temperature:
    """Readings above or below what the experiment allows. What the sensor cannot mean is not the cell's temperature."""

    def __init__(self, numbers: Mapping[str, float], plausible: tuple[float, float]) -> None:
        self._above_K, self._below_K = numbers.get("above", math.inf), numbers.get("below", -math.inf)
        self._plausible = plausible
        self._samples = numbers["samples"]
        self._rows: dict[str, Row] = {}

    def see(self, sensor: str, value_K: float) -> Values | None:
        """The numbers, when it fires on this reading."""
        row = self._rows.setdefault(sensor, Row(self._samples))
        if not self._plausible[0] <= value_K <= self._plausible[1]:
            return None
        return {"temperature_K": value_K} if row.full(so=value_K > self._above_K or value_K < self._below_K) else None


class TemperatureSensor:
    """Readings that no cell has: a sensor that is unplugged reads 673 K, or no number."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self.plausible = (numbers["lowest"], numbers["highest"])
        self._samples = numbers["samples"]
        self._rows: dict[str, Row] = {}

    def see(self, sensor: str, value_K: float) -> Values | None:
        """The numbers, when it fires on this reading."""
        row = self._rows.setdefault(sensor, Row(self._samples))
        broken = not self.plausible[0] <= value_K <= self.plausible[1]
        return {"temperature_K": value_K} if row.full(so=broken) else None
