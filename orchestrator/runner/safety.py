"""Ring 2: what no sample may show, and when current may be raised. Pure: numbers in, violations out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from drivers.base import CELL, WE, ElectrodeBounds, Limits
from orchestrator.plan.on_device import VOLTAGES

BLIND_SAMPLES = 3
"""So many readings in a row that are no number end the experiment: nobody sees the cell any more."""

CURRENT_TOLERANCE, CHARGE_TOLERANCE = 1e-3, 1e-3
"""Relative: so far a reading may pass its limit by noise, and the host's integral differ from the instrument's."""

NOTICED_WITHIN_S, SHORTEST_TRY_S = 1.5, 2.0
"""Silence is looked for once a second; and no attempt at open circuit is shorter than this."""

STALE_INTERVALS = 3
"""A voltage older than so many sampling intervals says nothing about now."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit was passed: what, by which value, against which bound."""

    what: str
    value: float
    bound: float

    @property
    def blind(self) -> bool:
        """True where nobody could read the cell."""
        return math.isnan(self.value)

    def __str__(self) -> str:
        if self.blind:
            return f"{self.what}: no valid reading for {BLIND_SAMPLES} samples"
        return f"{self.what} {self.value:.6g} passes the limit {self.bound:.6g}"


class Watch:
    """Looks at every sample of a run. The lower voltage limit stays armed, once armed, across steps."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._armed = limits.voltage_lower_armed_above_V is None
        self._blind = 0

    @property
    def lower_armed(self) -> bool:
        """True when the lower voltage limit counts already."""
        return self._armed

    def begin(self, limits: Limits) -> None:
        """A step with these limits begins."""
        self.limits = limits
        self._armed = self._armed or limits.voltage_lower_armed_above_V is None

    def check(
        self, voltage_V: float, current_A: float, charge_C: float, elapsed_s: float, we_V: float = math.nan, ce_V: float = math.nan
    ) -> Violation | None:
        """The first limit that this sample passes. A limit of an electrode that is not read is nobody's limit: that is blind too."""
        limits = self.limits
        if limits.voltage_name != CELL:
            voltage_V = we_V if limits.voltage_name == WE else ce_V
        if voltage_V != voltage_V or current_A != current_A:  # noqa: PLR0124 - NaN, without a call on the hot path
            return self._count_blind(VOLTAGES[limits.voltage_name])
        for one in limits.electrodes:
            passed = _past(one, we_V if one.electrode == WE else ce_V)
            if passed is not None:
                return self._count_blind(VOLTAGES[one.electrode]) if passed.blind else passed
        self._blind = 0
        if voltage_V > limits.voltage_upper_V:
            return Violation(f"{VOLTAGES[limits.voltage_name]} (V)", voltage_V, limits.voltage_upper_V)
        if not self._armed:
            self._armed = voltage_V > (limits.voltage_lower_armed_above_V or -math.inf)
        elif voltage_V < limits.voltage_lower_V:
            return Violation(f"{VOLTAGES[limits.voltage_name]} (V)", voltage_V, limits.voltage_lower_V)
        if abs(current_A) > limits.current_A * (1.0 + CURRENT_TOLERANCE):
            return Violation("current (A)", current_A, limits.current_A)
        if abs(charge_C) > limits.charge_C * (1.0 + CHARGE_TOLERANCE):
            return Violation("charge of the step (C)", charge_C, limits.charge_C)
        if elapsed_s > limits.time_s:
            return Violation("time in the step (s)", elapsed_s, limits.time_s)
        return None

    def _count_blind(self, what: str) -> Violation | None:
        self._blind += 1
        return Violation(f"{what} or current", math.nan, math.nan) if self._blind >= BLIND_SAMPLES else None


def _past(bounds: ElectrodeBounds, value_V: float) -> Violation | None:
    """The limit of one electrode that this potential passes; blind where it was not read."""
    name = f"{VOLTAGES[bounds.electrode]} (V)"
    if math.isnan(value_V):
        return Violation(name, math.nan, math.nan)
    if bounds.upper_V is not None and value_V > bounds.upper_V:
        return Violation(name, value_V, bounds.upper_V)
    if bounds.lower_V is not None and value_V < bounds.lower_V:
        return Violation(name, value_V, bounds.lower_V)
    return None


def limited_electrodes(limits: Limits) -> tuple[ElectrodeBounds, ...]:
    """All limits that are on the potential of one electrode."""
    return limits.electrodes if limits.voltage_name == CELL else (limits.bounds(limits.voltage_name), *limits.electrodes)


def electrode_complaint(limits: Limits, we_V: float, ce_V: float) -> str | None:
    """Why current must not be started, raised or resumed with the electrodes where they are; None = it may."""
    for one in limited_electrodes(limits):
        passed = _past(one, we_V if one.electrode == WE else ce_V)
        if passed is not None:
            return f"{VOLTAGES[one.electrode]} was not read" if passed.blind else str(passed)
    return None


def why_not_raise(voltage_V: float | None, age_s: float, interval_s: float, limits: Limits) -> str | None:
    """Why current must not be started, raised or resumed at this voltage of the cell; None = it may."""
    if voltage_V is None or not math.isfinite(voltage_V):
        return "the last voltage is not a number"
    if age_s > STALE_INTERVALS * max(interval_s, 1.0):
        return f"the last voltage is {age_s:.3g} s old"
    if limits.voltage_name != CELL:
        return None
    if voltage_V > limits.voltage_upper_V:
        return f"the voltage {voltage_V:.4g} V is above the limit {limits.voltage_upper_V:.4g} V"
    if limits.voltage_lower_armed_above_V is None and voltage_V < limits.voltage_lower_V:
        return f"the voltage {voltage_V:.4g} V is below the limit {limits.voltage_lower_V:.4g} V"
    return None


@lru_cache(maxsize=16)
def silent_after_s(host_lost_within_s: float, make_safe_s: float) -> float:
    """When a sample is overdue by so much (real seconds) the rig itself acts: before its guard would."""
    return min(8.0, max(1.5, (host_lost_within_s - make_safe_s) / 4.0))


def own_tries_s(host_lost_within_s: float, make_safe_s: float) -> float:
    """So long the rig itself may try to make a cell safe before its guard must: what noticing and the guard's own try leave."""
    noticed_s = silent_after_s(host_lost_within_s, make_safe_s) + NOTICED_WITHIN_S
    return max(SHORTEST_TRY_S, host_lost_within_s - make_safe_s - noticed_s)


def ocv_complaint(
    times_s: Sequence[float],
    voltages_V: Sequence[float],
    lower_V: float,
    upper_V: float,
    *,
    drift_V: float | None = None,
    drift_per_s: float = 600.0,
) -> str | None:
    """What is wrong with the open-circuit voltage of a freshly mounted cell: no reading, outside its window, drifting."""
    seen = [(t, v) for t, v in zip(times_s, voltages_V, strict=True) if math.isfinite(v)]
    if not seen:
        return "no open-circuit voltage was read"
    last_s, last_V = seen[-1]
    if not lower_V <= last_V <= upper_V:
        return f"open-circuit voltage {last_V:.4g} V is not within {lower_V:g} and {upper_V:g} V"
    if drift_V is None:
        return None
    recent = [v for t, v in seen if t >= last_s - drift_per_s]
    spread = max(recent) - min(recent)
    return f"open-circuit voltage drifts: {spread * 1e3:.3g} mV in {drift_per_s:g} s" if spread > drift_V else None


def polarity_complaint(before_V: float, after_V: float, must: str = "raise") -> str | None:
    """Did the test current move E the way it ``must`` (raise, lower)? Otherwise the leads are swapped, or open."""
    moved_V = after_V - before_V
    if not math.isfinite(moved_V):
        return "the voltage was not read during the polarity pulse"
    if moved_V * (-1.0 if must == "lower" else 1.0) > 0.0:
        return None
    return f"the test current must {must} E, but moved it by {moved_V * 1e3:+.3g} mV: the leads are swapped or open"
