"""The three instruments and what each can do; what a step may ask of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import Capabilities, Mode, StepOrder
from drivers.errors import Rejected
from drivers.keithley import wire
from drivers.stream import checks

MIN_INTERVAL_S = 0.1
MAKE_SAFE_S = 5.0
WATCHDOG_S = 120.0
SHORTEST_WATCHDOG_S = 20.0
LINES = range(1, 7)
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
    ``trigger_out_line``, ``trigger_in_line``: digital lines, 1 to 6, that a step raises and waits for.
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
    trigger_out_line: int = 1
    trigger_in_line: int = 2

    @classmethod
    def of(cls, options: Mapping[str, Any], instrument: str) -> Options:
        """From a rig's ``options``. Raises Rejected with the name of what cannot be."""
        known = checks.known_options(cls.__slots__, options, instrument)
        known["model"] = str(known.get("model", "2450"))
        made = cls(**known)
        made._check(instrument)
        return made

    def _check(self, instrument: str) -> None:
        allowed = (
            ("topology", self.topology, TOPOLOGIES),
            ("sense", self.sense, (2, 4)),
            ("terminals", self.terminals, ("", "front", "rear")),
            ("model", self.model, tuple(MODELS)),
            ("trigger_out_line", self.trigger_out_line, tuple(LINES)),
            ("trigger_in_line", self.trigger_in_line, tuple(line for line in LINES if line != self.trigger_out_line)),
        )
        for name, value, values in allowed:
            if value not in values:
                raise checks.bad_rig(instrument, f"option {name}: {value!r}", f"one of {', '.join(str(one) for one in values if one)}")
        if self.contact_check and self.model != "2461":
            raise checks.bad_rig(instrument, "option contact_check: only a 2461 has it", "write model: 2461 beside it, if it is one")
        if self.watchdog_s != 0 and not SHORTEST_WATCHDOG_S <= self.watchdog_s < math.inf:
            raise checks.bad_rig(instrument, f"option watchdog_s: {self.watchdog_s}", f"{SHORTEST_WATCHDOG_S:g} or more, or 0 for none")


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
        watchdog_off=options.watchdog_s == 0,
        buffered=True,
        ttl=True,
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
    order = checks.one_step(program, "a trigger model")
    if order.mode is Mode.IMPEDANCE:
        raise Rejected(f"step {order.key}: a source-measure unit has no impedance")
    checks.check_step(order, capabilities_of(model, Options()), f"a {model.name}", least_A=model.least_limit_A)
    return order
