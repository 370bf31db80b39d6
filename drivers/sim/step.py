"""One step of the simulated potentiostat under way: what comes next, what it has counted, what ends it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from drivers.base import Capabilities, Floats, ImpedanceOrder, Mode, Reason, StepOrder
from drivers.errors import Rejected
from drivers.stream import checks

REACHED_S = 1e-3  # a counter that would reach its goal within this time has reached it


@dataclass(slots=True)
class Running:
    """A step under way: where it began, what it has counted, the sample that comes next."""

    order: StepOrder
    start_ns: int
    last_of_program: bool
    count: int = 0
    at_ns: int = 0
    interval_ns: int = 0
    end_ns: int = 0
    charge_C: float = 0.0
    current_A: float = 0.0
    armed: bool = False
    rows: list[tuple[int, float, float, int, float | None, float | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        order = self.order
        lasts_s = order.ends.time_s if order.impedance is None else min(order.ends.time_s, impedance_duration_s(order.impedance))
        self.at_ns = self.start_ns
        self.interval_ns = round(order.sample_interval_s * 1e9)
        self.end_ns = self.start_ns + round(min(lasts_s, order.limits.time_s) * 1e9)
        self.armed = order.limits.voltage_lower_armed_above_V is None

    def next_ns(self) -> int:
        """The next instant to look at: a sample, the end in time, or the charge that a constant current will reach."""
        sample_ns = self.start_ns + self.count * self.interval_ns
        return max(self.at_ns, min(sample_ns, self.end_ns, self._charge_ns()))

    def _charge_ns(self) -> int:
        goal_C, current_A = self.order.ends.charge_C, self.order.current_A
        if goal_C is None or not current_A:
            return self.end_ns
        return self.at_ns + math.ceil(max(0.0, goal_C - abs(self.charge_C)) / abs(current_A) * 1e9)


def objection(order: StepOrder, capabilities: Capabilities) -> str:
    """Why a step cannot be done; empty when it can."""
    limits = order.limits
    numbers = (order.ends.time_s, limits.voltage_upper_V, limits.voltage_lower_V, limits.current_A, limits.charge_C, limits.time_s)
    if not all(math.isfinite(number) for number in numbers) or order.ends.time_s <= 0 or limits.time_s <= 0:
        return "time and limits must be finite, times positive"
    if not order.sample_interval_s >= capabilities.min_sample_interval_s:
        return f"a sample each {order.sample_interval_s} s is too fast"
    try:
        checks.check_electrodes(order, capabilities, "it")
    except Rejected as refused:
        return refused.message
    if order.mode is Mode.GALVANOSTATIC and not abs(_number(order.current_A)) <= limits.current_A:
        return f"current {order.current_A} A is none, or above its limit {limits.current_A} A"
    if order.mode is Mode.POTENTIOSTATIC and not limits.bounds(order.voltage_name).hold(_number(order.voltage_V)):
        return f"voltage {order.voltage_V} V is none, or outside its limits"
    if order.mode is Mode.IMPEDANCE and order.impedance is None:
        return "an impedance step without its order"
    return "" if capabilities.max_current_A is None or limits.current_A <= capabilities.max_current_A else "more current than the range"


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def violation(step: Running, voltage_V: float, current_A: float) -> str:
    """Which ring-2 limit one sample breaks; empty when none. Arms the lower voltage limit in passing."""
    limits = step.order.limits
    if not step.armed and limits.voltage_lower_armed_above_V is not None:
        step.armed = voltage_V > limits.voltage_lower_armed_above_V
    if voltage_V > limits.voltage_upper_V:
        return f"{voltage_V:.4f} V above {limits.voltage_upper_V} V"
    if step.armed and voltage_V < limits.voltage_lower_V:
        return f"{voltage_V:.4f} V below {limits.voltage_lower_V} V"
    if abs(current_A) > limits.current_A * 1.001:
        return f"{current_A:.3e} A above {limits.current_A:.3e} A"
    if abs(step.charge_C) > limits.charge_C * (1.0 + 1e-4):
        return f"{step.charge_C:.4g} C above {limits.charge_C:.4g} C"
    if limits.time_s < step.order.ends.time_s and step.at_ns >= step.start_ns + round(limits.time_s * 1e9):
        return f"longer than {limits.time_s} s"
    return ""


def end_reached(step: Running, voltage_V: float, current_A: float) -> tuple[Reason, str] | None:
    """The ring-1 condition that one sample meets, or None."""
    ends = step.order.ends
    if ends.voltage_upper_V is not None and voltage_V >= ends.voltage_upper_V:
        return Reason.V_UPPER, f"{voltage_V:.4f} V"
    if ends.voltage_lower_V is not None and voltage_V <= ends.voltage_lower_V:
        return Reason.V_LOWER, f"{voltage_V:.4f} V"
    if ends.charge_C is not None and abs(step.charge_C) >= ends.charge_C - abs(current_A) * REACHED_S:
        return Reason.CHARGE, f"{step.charge_C:.6g} C"
    if ends.current_below_A is not None and step.count > 1 and abs(current_A) < ends.current_below_A:
        return Reason.CURRENT, f"{current_A:.3e} A"
    return (Reason.TIME, "") if step.at_ns >= step.end_ns else None


def impedance_frequencies_Hz(order: ImpedanceOrder) -> Floats:
    """float64 (f,): log-spaced from start to end."""
    return np.geomspace(order.frequency_start_Hz, order.frequency_end_Hz, order.points)


def impedance_duration_s(order: ImpedanceOrder) -> float:
    """Two periods of each frequency, at least 50 ms."""
    return float(np.maximum(2.0 / impedance_frequencies_Hz(order), 0.05).sum())
