"""The three instruments and what each can do; what a step may ask of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import Capabilities, Mode, StepOrder
from drivers.errors import Rejected
from drivers.keithley import wire

MIN_INTERVAL_S = 0.1
MAKE_SAFE_S = 5.0
WATCHDOG_S = 120.0
SHORTEST_WATCHDOG_S = 20.0
LONGEST_STEP_S = 1e8
NOT_OURS = frozenset({"emulator", "faults", "unlock"})
"""What a rig gives every instrument."""
TOPOLOGIES = ("auto", "voltage", "current")


@dataclass(frozen=True, slots=True)
class Model:
    """What one instrument can do. ``prot``: steps of its over-voltage protection, in volt."""

    name: str
    voltage_V: float
    current_A: float
    least_limit_V: float
    least_limit_A: float = 1e-9
    prot: tuple[int, ...] = (2, 5, 10, 20, 40, 60, 80, 100)


MODELS = {
    "2450": Model("2450", 210.0, 1.05, 0.02),  # inferred: 1.05 A from its data sheet
    "2460": Model("2460", 105.0, 7.35, 0.2),  # inferred: as the 2461
    "2461": Model("2461", 105.0, 7.35, 0.2),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a rig may say of one instrument.

    ``topology``: which quantity is sourced. ``watchdog_s``: so long after the host fell silent the output is off; 0 = never, the step goes
    on to its own limits. ``dead_socket_port``: where hung sockets are closed. ``sense``: 4 or 2 wires. ``contact_check``: of a 2461 only.
    """

    topology: str = "auto"
    watchdog_s: float = WATCHDOG_S
    dead_socket_port: int | None = None
    sense: int = 4
    nplc: float = 1.0
    terminals: str = ""
    high_capacitance: bool = False
    contact_check: bool = False
    model: str = "2450"

    @classmethod
    def of(cls, options: Mapping[str, Any], instrument: str) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        known: dict[str, Any] = {name: options[name] for name in cls.__slots__ if name in options}
        known["model"] = str(known.get("model", "2450"))
        if unknown := sorted(set(options) - set(cls.__slots__) - NOT_OURS):
            raise _bad(instrument, f"no option is called {', '.join(unknown)}", f"there are: {', '.join(cls.__slots__)}")
        made = cls(**known)
        made._check(instrument)
        return made

    def _check(self, instrument: str) -> None:
        allowed = (
            ("topology", self.topology, TOPOLOGIES),
            ("sense", self.sense, (2, 4)),
            ("terminals", self.terminals, ("", "front", "rear")),
            ("model", self.model, tuple(MODELS)),
        )
        for name, value, values in allowed:
            if value not in values:
                raise _bad(instrument, f"option {name}: {value!r}", f"one of {', '.join(str(one) for one in values if one)}")
        if self.contact_check and self.model != "2461":
            raise _bad(instrument, "option contact_check: only a 2461 has it", "write model: 2461 beside it, if it is one")
        if self.watchdog_s != 0 and not SHORTEST_WATCHDOG_S <= self.watchdog_s < math.inf:
            raise _bad(instrument, f"option watchdog_s: {self.watchdog_s}", f"{SHORTEST_WATCHDOG_S:g} or more, or 0 for none")


def _bad(instrument: str, message: str, advice: str) -> Rejected:
    return Rejected(message, instrument=instrument, did="nothing was opened", advice=advice)


def capabilities_of(model: Model, options: Options) -> Capabilities:
    """What a model can do.

    Charge is not among the limits on the device: at constant current it is kept there, as a time; while a voltage is held the driver
    counts it.
    """
    return Capabilities(
        CC=True,
        CV=True,
        EIS=False,
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "current"}),
        autonomous=options.watchdog_s == 0,
        watchdog=options.watchdog_s > 0,
        buffered=True,
        make_safe_s=MAKE_SAFE_S,
        max_current_A=model.current_A,
        voltage_range_V=(-model.voltage_V, model.voltage_V),
        min_sample_interval_s=MIN_INTERVAL_S,
        step_gap_s=1.0,  # inferred: two relay strokes and a look at open circuit before each step
        overload_status=wire.QUESTIONABLE | wire.LIMITED,
    )


# -------------------------------------------------------------------------------------------------------------- checks


def check(program: tuple[StepOrder, ...], model: Model) -> StepOrder:
    """The one step of a program. Raises Rejected for what the instrument cannot do: nothing has been sent then."""
    if len(program) != 1:
        raise Rejected(f"a program has one step, not {len(program)}")
    order = program[0]
    if not wire.is_name(order.key):
        advice = "letters, digits, dot, colon, hyphen, underscore; at most 80"
        raise Rejected(f"{order.key!r} cannot stand in a trigger model", advice=advice)
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: a source-measure unit has no impedance")
    _check_times(order)
    _check_voltages(order, model)
    _check_counts(order)
    _check_source(order, model)
    return order


def _check_times(order: StepOrder) -> None:
    if not order.sample_interval_s >= MIN_INTERVAL_S:
        raise Rejected(f"step {order.key}: a sample every {order.sample_interval_s} s is faster than {MIN_INTERVAL_S} s")
    shortest_s = min(order.limits.time_s, order.ends.time_s)
    if math.isnan(order.ends.time_s) or not order.sample_interval_s <= shortest_s < LONGEST_STEP_S:
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
    for name, value in named.items():
        if value is not None and not abs(value) <= model.voltage_V:
            raise Rejected(f"step {order.key}: {name} {value} V is outside a {model.name} (±{model.voltage_V:g} V)")
    if not limits.voltage_lower_V < limits.voltage_upper_V:
        raise Rejected(f"step {order.key}: the lower limit {limits.voltage_lower_V} V is not below the upper {limits.voltage_upper_V} V")


def _check_counts(order: StepOrder) -> None:
    named = {"charge": order.ends.charge_C, "charge limit": order.limits.charge_C, "taper current": order.ends.current_below_A}
    for name, value in named.items():
        if value is not None and not 0 < value < math.inf:
            raise Rejected(f"step {order.key}: {name} {value} is not a positive number")


def _check_source(order: StepOrder, model: Model) -> None:
    limits = order.limits
    most_A = min(model.current_A, limits.current_A)
    if order.mode is not Mode.REST and not model.least_limit_A <= limits.current_A <= model.current_A:
        raise Rejected(f"step {order.key}: the current limit {limits.current_A} A is outside a {model.name} (0..{model.current_A} A)")
    if order.mode is Mode.GALVANOSTATIC and (order.current_A is None or not model.least_limit_A <= abs(order.current_A) <= most_A):
        raise Rejected(f"step {order.key}: {order.current_A} A is not between 0 and {most_A} A (instrument and limit)")
    if order.mode is Mode.POTENTIOSTATIC:
        if order.voltage_V is None:
            raise Rejected(f"step {order.key}: no voltage")
        if not limits.voltage_lower_V <= order.voltage_V <= limits.voltage_upper_V:
            raise Rejected(f"step {order.key}: {order.voltage_V} V is outside its own limits")
