"""The instruments of this language: what each can do, and what it must be spared. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from drivers.base import Capabilities, Mode, StepOrder
from drivers.errors import Rejected
from drivers.methodscript import wire

MAX_STEPS = 20
MIN_INTERVAL_S = 0.02


@dataclass(frozen=True, slots=True)
class Model:
    """What one kind of instrument can do."""

    name: str
    voltage_V: tuple[float, float]
    current_A: float
    galvanostat: bool = True


MODELS = {
    "es4_lr": Model("EmStat4 LR", (-3.0, 3.0), 0.03),
    "es4_hr": Model("EmStat4 HR", (-6.0, 6.0), 0.2),
    "mes4lr": Model("MultiEmStat4 LR", (-3.0, 3.0), 0.03),  # inferred: each channel is an EmStat4 LR
    "mes4hr": Model("MultiEmStat4 HR", (-6.0, 6.0), 0.2),  # inferred: each channel is an EmStat4 HR
    "nexus1": Model("Nexus", (-10.0, 10.0), 1.0),
    "espico": Model("EmStat Pico", (-1.7, 2.0), 0.003, galvanostat=False),
    "senswb": Model("Sensit Wearable", (-1.7, 2.0), 0.003, galvanostat=False),  # inferred: the limits of the Pico inside
}


def capabilities_of(model: Model, bits: frozenset[int] | None) -> Capabilities:
    """What a model can do; ``bits`` of CM where the firmware says them."""
    galvanostat = model.galvanostat and (bits is None or {wire.CP, wire.SET_I} <= bits)
    return Capabilities(
        CC=galvanostat,
        CV=bits is None or wire.CA in bits,
        EIS=bits is not None and (wire.EIS in bits or wire.GEIS in bits),
        max_steps=MAX_STEPS,
        on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
        autonomous=True,
        make_safe_s=5.0,
        max_current_A=model.current_A,
        voltage_range_V=model.voltage_V,
        min_sample_interval_s=MIN_INTERVAL_S,
        step_gap_s=0.1,  # inferred: settling of range and mode between two steps, cell off
        overload_status=wire.OVERLOAD,
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], model: Model) -> None:
    """Raises Rejected for what the instrument cannot do: nothing has been sent then."""
    if not 1 <= len(program) <= MAX_STEPS:
        raise Rejected(f"a program has 1 to {MAX_STEPS} steps, not {len(program)}")
    if len({order.key for order in program}) != len(program):
        raise Rejected("two steps of a program have the same key")
    for order in program:
        _check_step(order, model)


def _check_step(order: StepOrder, model: Model) -> None:
    safe_name(order.key)
    if order.mode is Mode.GALVANOSTATIC and not model.galvanostat:
        raise Rejected(f"step {order.key}: {model.name} is a potentiostat only", advice="use an EmStat4 or a Nexus for constant current")
    _check_times(order)
    _check_voltages(order, model)
    _check_counts(order)
    if order.mode is Mode.GALVANOSTATIC:
        _check_current(order, order.current_A, model)
    if order.mode is Mode.POTENTIOSTATIC and order.voltage_V is None:
        raise Rejected(f"step {order.key}: no voltage")
    if order.mode is Mode.IMPEDANCE:
        _check_impedance(order, model)
    if order.mode is not Mode.REST and not 0 < order.limits.current_A <= model.current_A:
        raise Rejected(f"step {order.key}: the current limit {order.limits.current_A} A is outside {model.name} (0..{model.current_A} A)")


def _check_times(order: StepOrder) -> None:
    if not order.sample_interval_s >= MIN_INTERVAL_S:
        raise Rejected(f"step {order.key}: a sample every {order.sample_interval_s} s is faster than {MIN_INTERVAL_S} s")
    shortest_s = min(order.limits.time_s, order.ends.time_s)
    if math.isnan(order.ends.time_s) or not order.sample_interval_s <= shortest_s < math.inf:
        raise Rejected(f"step {order.key}: needs a time limit of at least one sample interval")


def _check_voltages(order: StepOrder, model: Model) -> None:
    ends, limits = order.ends, order.limits
    named = {
        "set-point": order.voltage_V,
        "upper cut-off": ends.voltage_upper_V,
        "lower cut-off": ends.voltage_lower_V,
        "upper limit": limits.voltage_upper_V,
        "lower limit": limits.voltage_lower_V,
    }
    low, high = model.voltage_V
    for name, value in named.items():
        if value is not None and not low <= value <= high:
            raise Rejected(f"step {order.key}: {name} {value} V is outside {model.name} ({low}..{high} V)")


def _check_counts(order: StepOrder) -> None:
    named = {"charge": order.ends.charge_C, "charge limit": order.limits.charge_C, "taper current": order.ends.current_below_A}
    for name, value in named.items():
        if value is not None and not 0 < value < math.inf:
            raise Rejected(f"step {order.key}: {name} {value} is not a positive number")


def _check_current(order: StepOrder, current_A: float | None, model: Model) -> None:
    if not model.galvanostat:
        raise Rejected(f"step {order.key}: {model.name} has no galvanostat")
    if current_A is None or not 0 < abs(current_A) <= min(model.current_A, order.limits.current_A):
        most = min(model.current_A, order.limits.current_A)
        raise Rejected(f"step {order.key}: {current_A} A is not between 0 and {most} A (instrument and limit)")


def _check_impedance(order: StepOrder, model: Model) -> None:
    wanted = order.impedance
    if wanted is None or (wanted.amplitude_A is None) == (wanted.amplitude_V is None) or wanted.points < 2:
        raise Rejected(f"step {order.key}: impedance needs two points or more and one amplitude, in A or in V")
    if wanted.amplitude_A is not None:
        _check_current(order, wanted.amplitude_A + abs(order.current_A or 0.0), model)


def safe_name(text: str) -> str:
    """The only way a name gets into a script. Raises Rejected."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,80}", text):
        raise Rejected(f"{text!r} cannot stand in a script", advice="letters, digits, dot, colon, hyphen, underscore; at most 80")
    return text
