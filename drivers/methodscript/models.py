"""The instruments of this language: what each can do, and what it must be spared. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Capabilities, Mode, StepOrder
from drivers.errors import Rejected
from drivers.methodscript import wire
from drivers.stream import checks

MAX_STEPS = 20
MIN_INTERVAL_S = 0.02
MOST_POINTS = 1000


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
        ttl=True,
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
    checks.safe_name(order.key, "a script")
    if order.mode is Mode.GALVANOSTATIC and not model.galvanostat:
        raise Rejected(f"step {order.key}: {model.name} is a potentiostat only", advice="use an EmStat4 or a Nexus for constant current")
    checks.check_times(order, MIN_INTERVAL_S)
    checks.check_voltages(order, model.voltage_V, model.name)
    checks.check_electrodes(order, capabilities_of(model, None), model.name)
    checks.check_counts(order)
    checks.check_lines(order, capabilities_of(model, None), model.name)
    checks.check_source(order, model.current_A, model.name)
    if order.mode is Mode.IMPEDANCE:
        _check_impedance(order, model)


def _check_impedance(order: StepOrder, model: Model) -> None:
    wanted = checks.check_impedance(order, MOST_POINTS)
    if wanted.amplitude_A is not None:
        if not model.galvanostat:
            raise Rejected(f"step {order.key}: {model.name} has no galvanostat")
        checks.check_current(order, wanted.amplitude_A + abs(order.current_A or 0.0), min(model.current_A, order.limits.current_A))
