"""Our steps as techniques of the DLL. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

from drivers.base import Mode, StepOrder
from drivers.biologic import eclib
from drivers.biologic.eclib import EccParam
from drivers.errors import Rejected
from drivers.stream.bounds import OFF_SIDE_V, StepPlan, charge_bound, duration_bound, lower_bound, taper_of, upper_bound

ACTIVE, AND, ABOVE, VOLTAGE, CURRENT = 1, 2, 4, 0 << 5, 3 << 5
EXIT_STOP = 2
TESTS = 3
NEVER_V, NEVER_A = 10.0, 10.0
PERIODS = 0.1
MIN_SECOND, MAX_SECOND = 1e-4, 1e8
RANGES_A = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""By their code in ``I_Range``, from 0 (inferred from public programs)."""
VOLTAGES_V = (2.5, 5.0, 10.0)
"""Half-widths by their code in ``E_Range`` (inferred from public programs)."""


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique of the channel's list: the name of its file, without board suffix, and its parameters."""

    name: str
    params: tuple[EccParam, ...]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Lines to and from the console: a pulse as the step starts, and a wait for the console before it."""

    out: bool = False
    into: bool = False
    rising: bool = True
    duration_s: float = 0.001


# ---------------------------------------------------------------------------------------------------------- parameters


def single(label: str, value: float, index: int = 0) -> EccParam:
    """A number in single precision. Raises Rejected for one that is not finite, or too large."""
    try:
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
    except (OverflowError, struct.error) as error:
        raise Rejected(f"{label} {value} is not a number in single precision") from error
    if not math.isfinite(value):
        raise Rejected(f"{label} {value} is not a number")
    return EccParam(label, eclib.TYPE_SINGLE, int(bits), index)


def integer(label: str, value: int, index: int = 0) -> EccParam:
    """A whole number."""
    return EccParam(label, eclib.TYPE_INT, value, index)


def boolean(label: str, *, value: bool, index: int = 0) -> EccParam:
    """Yes or no."""
    return EccParam(label, eclib.TYPE_BOOL, int(value), index)


def current_range(current_A: float) -> int:
    """The smallest range that holds a current. Raises Rejected above 1 A."""
    for code, range_A in enumerate(RANGES_A):
        if abs(current_A) <= range_A * 1.000001:
            return code
    raise Rejected(f"{current_A} A is beyond the widest range (1 A; boosters are not known to this driver)")


def voltage_range(voltage_V: float) -> int:
    """The smallest range that holds a voltage of either sign. Raises Rejected above 10 V."""
    for code, range_V in enumerate(VOLTAGES_V):
        if abs(voltage_V) <= range_V:
            return code
    raise Rejected(f"{voltage_V} V is beyond the widest range (10 V)")


# ------------------------------------------------------------------------------------------------------------- a step


def plan_of(order: StepOrder) -> StepPlan:
    """Voltages are tested at constant current only; a hold has its taper."""
    duration, charge = duration_bound(order), charge_bound(order)
    if order.mode is Mode.GALVANOSTATIC:
        return StepPlan(order, duration, charge, upper_bound(order), lower_bound(order))
    return StepPlan(order, duration, charge, taper_A=taper_of(order))


def techniques_of(plan: StepPlan, trigger: Trigger, *, bandwidth: int = 5, above_rest: bool = True) -> tuple[Technique, ...]:
    """The list to load. ``above_rest``: a held voltage lies above the cell's, so that current flows in. Raises Rejected."""
    made: list[Technique] = []
    if trigger.into:  # the line is waited for in the control mode of what follows
        made.append(Technique("ti", (integer("Trigger_Logic", int(trigger.rising)),)))
    if trigger.out:
        made.append(Technique("to", (integer("Trigger_Logic", int(trigger.rising)), single("Trigger_Duration", trigger.duration_s))))
    made.append(_STEPS[plan.order.mode](plan, bandwidth, above_rest))
    return tuple(made)


def loop(times: int, back_to: int) -> Technique:
    """Go back to technique ``back_to`` of the list so many times; -1: for ever."""
    return Technique("loop", (integer("loop_N_times", times), integer("protocol_number", back_to)))


def _rest(plan: StepPlan, bandwidth: int, above_rest: bool) -> Technique:  # noqa: ARG001, FBT001 all four kinds are made alike
    order = plan.order
    return Technique(
        "ocv",
        (
            single("Rest_time_T", plan.duration_s),
            single("Record_every_dE", order.sample_voltage_V or NEVER_V),
            single("Record_every_dT", order.sample_interval_s),
            integer("E_Range", _e_range(order)),
        ),
    )


def _galvanostatic(plan: StepPlan, bandwidth: int, above_rest: bool) -> Technique:  # noqa: ARG001, FBT001
    order, current_A = plan.order, _given(plan.order, plan.order.current_A, "current")
    tests = []
    if plan.upper is not None:
        tests.append((ACTIVE | ABOVE | VOLTAGE, plan.upper.value + (OFF_SIDE_V if current_A < 0 else 0.0)))
    if plan.lower is not None:
        tests.append((ACTIVE | VOLTAGE, plan.lower.value - (OFF_SIDE_V if current_A > 0 else 0.0)))
    return Technique(
        "cplimit",
        (
            single("Current_step", current_A),
            *_one_step(plan),
            single("Record_every_dE", order.sample_voltage_V or NEVER_V),
            *_tests(tests),
            *_ranges(order, current_range(current_A), bandwidth),
        ),
    )


def _potentiostatic(plan: StepPlan, bandwidth: int, above_rest: bool) -> Technique:  # noqa: FBT001
    order, most_A = plan.order, plan.order.limits.current_A
    above, below = (ACTIVE | ABOVE | CURRENT, most_A), (ACTIVE | CURRENT, -most_A)
    tests = [above, below]
    if plan.taper_A is not None:
        tests = [(ACTIVE | AND | CURRENT, plan.taper_A), (ACTIVE | ABOVE | CURRENT, -plan.taper_A), above if above_rest else below]
    return Technique(
        "calimit",
        (
            single("Voltage_step", _given(order, order.voltage_V, "voltage")),
            *_one_step(plan),
            single("Record_every_dI", NEVER_A),
            *_tests(tests),
            *_ranges(order, current_range(most_A), bandwidth),
        ),
    )


def _impedance(plan: StepPlan, bandwidth: int, above_rest: bool) -> Technique:  # noqa: ARG001, FBT001
    order, wanted = plan.order, plan.order.impedance
    if wanted is None or (wanted.amplitude_A is None) == (wanted.amplitude_V is None):
        raise Rejected(f"step {order.key}: impedance needs one amplitude, in A or in V")
    if wanted.amplitude_A is not None:
        bias_A = order.current_A or 0.0
        first = (single("Initial_Current_step", bias_A), single("Final_Current_step", bias_A), boolean("vs_initial", value=False))
        rest = (boolean("vs_final", value=False), single("Record_every_dE", NEVER_V), single("Amplitude_Current", wanted.amplitude_A))
        name, most_A = "geis", abs(bias_A) + wanted.amplitude_A
    else:
        held = order.voltage_V is not None
        first = (
            single("Initial_Voltage_step", order.voltage_V or 0.0),
            single("Final_Voltage_step", order.voltage_V or 0.0),
            boolean("vs_initial", value=not held),
        )
        rest = (
            boolean("vs_final", value=not held),
            single("Record_every_dI", NEVER_A),
            single("Amplitude_Voltage", wanted.amplitude_V or 0.0),
        )
        name, most_A = "peis", order.limits.current_A
    sweep = (
        single("Duration_step", 0.0),
        integer("Step_number", 0),
        single("Record_every_dT", order.sample_interval_s),
        single("Initial_frequency", wanted.frequency_start_Hz),
        single("Final_frequency", wanted.frequency_end_Hz),
        boolean("sweep", value=False),
        integer("Frequency_number", wanted.points),
        integer("Average_N_times", 1),
        boolean("Correction", value=False),
        single("Wait_for_steady", PERIODS),
    )
    ranges = (integer("I_Range", current_range(most_A)), integer("E_Range", _e_range(order)), integer("Bandwidth", bandwidth))
    return Technique(name, (*first, *rest, *sweep, *ranges))


_STEPS: dict[Mode, Callable[[StepPlan, int, bool], Technique]] = {
    Mode.REST: _rest,
    Mode.GALVANOSTATIC: _galvanostatic,
    Mode.POTENTIOSTATIC: _potentiostatic,
    Mode.IMPEDANCE: _impedance,
}


def _one_step(plan: StepPlan) -> tuple[EccParam, ...]:
    return (
        boolean("vs_initial", value=False),
        single("Duration_step", plan.duration_s),
        integer("Step_number", 0),
        single("Record_every_dT", plan.order.sample_interval_s),
        integer("N_Cycles", 0),
        integer("Exit_Cond", EXIT_STOP),
    )


def _tests(tests: list[tuple[int, float]]) -> tuple[EccParam, ...]:
    """Up to three; those that are not needed are inactive."""
    padded = (*tests, *((0, 0.0),) * (TESTS - len(tests)))
    return tuple(
        param
        for number, (config, value) in enumerate(padded, 1)
        for param in (integer(f"Test{number}_Config", config), single(f"Test{number}_Value", value))
    )


def _ranges(order: StepOrder, i_range: int, bandwidth: int) -> tuple[EccParam, ...]:
    return integer("I_Range", i_range), integer("E_Range", _e_range(order)), integer("Bandwidth", bandwidth)


def _e_range(order: StepOrder) -> int:
    limits = order.limits
    return voltage_range(max(abs(limits.voltage_upper_V), abs(limits.voltage_lower_V)) + OFF_SIDE_V)


def _given(order: StepOrder, value: float | None, what: str) -> float:
    if value is None:
        raise Rejected(f"step {order.key}: no {what}")
    return value
