"""Impedance spectra: the default one, how long it takes, and what it is as a planned step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Mode
from orchestrator.plan.orders import PlannedStep
from orchestrator.plan.resolve import Unresolved
from orchestrator.plan.surroundings import LIST_FACTOR, SLACK_S, Surroundings

IMPEDANCE = ImpedanceOrder(frequency_start_Hz=1e5, frequency_end_Hz=0.1, points=37, amplitude_V=0.005)
"""inferred: what a lab takes for a coin-sized cell behind filters: six points a decade, 5 mV."""


def impedance_s(order: ImpedanceOrder) -> float:
    """How long an impedance spectrum takes; inferred: three periods or one second at each point, whichever is longer."""
    decades = math.log10(order.frequency_start_Hz / order.frequency_end_Hz)
    frequencies_Hz = (order.frequency_start_Hz / 10 ** (decades * k / max(order.points - 1, 1)) for k in range(order.points))
    return sum(max(3.0 / frequency_Hz, 1.0) for frequency_Hz in frequencies_Hz)


def impedance_order(settings: Mapping[str, Any]) -> ImpedanceOrder:
    """``frequency_Hz: [high, low]``, ``points``, ``amplitude_mA`` or ``amplitude_mV``; the default for what is not said."""
    high_Hz, low_Hz = sorted(settings.get("frequency_Hz", (IMPEDANCE.frequency_start_Hz, IMPEDANCE.frequency_end_Hz)), reverse=True)
    if low_Hz <= 0:
        raise Unresolved("an impedance spectrum needs frequencies above zero")
    current_mA, voltage_mV = settings.get("amplitude_mA"), settings.get("amplitude_mV")
    if current_mA is not None and voltage_mV is not None:
        raise Unresolved("an impedance spectrum has one amplitude", "amplitude_mA or amplitude_mV")
    return ImpedanceOrder(
        frequency_start_Hz=float(high_Hz),
        frequency_end_Hz=float(low_Hz),
        points=int(settings.get("points", IMPEDANCE.points)),
        amplitude_A=None if current_mA is None else current_mA * 1e-3,
        amplitude_V=None if current_mA is not None else IMPEDANCE.amplitude_V if voltage_mV is None else voltage_mV * 1e-3,
    )


def impedance_step(around: Surroundings, order: ImpedanceOrder, text: str, cycle: int, *, inside: bool = False) -> PlannedStep:
    """An impedance spectrum as a step of its own; ``inside``: its time is taken from the step it belongs to."""
    seconds = impedance_s(order)
    longest_s = seconds * LIST_FACTOR + SLACK_S
    return PlannedStep(
        index=0,
        key="",
        text=text,
        verb="eis",
        action="impedance",
        cycle=cycle,
        mode=Mode.IMPEDANCE,
        ends=EndConditions(time_s=longest_s),
        limits=around.limits(longest_s),
        impedance=order,
        sample=around.sample,
        longest_s=longest_s,
        expected_s=seconds,
        worst_s=seconds,
        settings={"inside": inside},
    )
