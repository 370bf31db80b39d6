"""What an instrument is told to test while a step runs: ring 1 where it is asked for, ring 2 elsewhere. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers.base import Mode, Reason, StepOrder
from drivers.errors import Rejected

OFF_SIDE_V = 0.0005
"""A limit on the side that the current moves away from is tested so much further out: a step that starts at it does not end at once."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Something that is tested: what it means when it was met, and what stands behind it."""

    value: float
    reason: Reason


def acting_on(order: StepOrder, name: str) -> StepOrder:
    """The same step as an instrument sees it whose E is that of one electrode: its ends and limits stand where the cell's stood.

    Raises Rejected where that electrode has no limit on both sides: the instrument would keep none.
    """
    ends, limits = order.ends.bounds(name), order.limits.bounds(name)
    if limits.lower_V is None or limits.upper_V is None:
        raise Rejected(f"step {order.key}: no limit of E_{name}, on which the instrument acts", advice=f"limit `E_{name}_V` beside `E_V`")
    return replace(
        order,
        ends=replace(order.ends, voltage_lower_V=ends.lower_V, voltage_upper_V=ends.upper_V),
        limits=replace(
            order.limits,
            voltage_lower_V=limits.lower_V,
            voltage_upper_V=limits.upper_V,
            voltage_lower_armed_above_V=order.limits.voltage_lower_armed_above_V if order.limits.voltage_name == name else None,
            voltage_name=name,
        ),
    )


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step as the instrument will run it: how long at most, up to which charge, between which voltages, down to which current.

    ``upper``, ``lower`` None: the instrument does not test it, and the host alone keeps it.
    """

    order: StepOrder
    duration: Bound
    charge: Bound
    upper: Bound | None = None
    lower: Bound | None = None
    taper_A: float | None = None

    @property
    def duration_s(self) -> float:
        """How long the instrument runs it at most."""
        return self.duration.value


def plan_of(order: StepOrder) -> StepPlan:
    """Where the instrument tests all that there is to test."""
    return StepPlan(order, duration_bound(order), charge_bound(order), upper_bound(order), lower_bound(order), taper_of(order))


def time_bound(order: StepOrder) -> Bound:
    """The shorter of its two times."""
    return min(Bound(order.ends.time_s, Reason.TIME), Bound(order.limits.time_s, Reason.SAFETY), key=lambda bound: bound.value)


def duration_bound(order: StepOrder) -> Bound:
    """The shortest of its times; charge at constant current is a time."""
    bounds = [time_bound(order)]
    if order.mode is Mode.GALVANOSTATIC and order.current_A:
        charge = charge_bound(order)
        bounds.append(Bound(charge.value / abs(order.current_A), charge.reason))
    return min(bounds, key=lambda bound: bound.value)


def charge_bound(order: StepOrder) -> Bound:
    """In coulomb, absolute."""
    asked_C, most = order.ends.charge_C, Bound(order.limits.charge_C, Reason.SAFETY)
    return most if asked_C is None or asked_C > most.value else Bound(asked_C, Reason.CHARGE)


def upper_bound(order: StepOrder) -> Bound:
    """In volt; a rest has no word for a cut-off."""
    limit, end = Bound(order.limits.voltage_upper_V, Reason.SAFETY), order.ends.voltage_upper_V
    return limit if end is None or end > limit.value or order.mode is Mode.REST else Bound(end, Reason.V_UPPER)


def lower_bound(order: StepOrder) -> Bound | None:
    """In volt; None where the limit is armed later, which no instrument's test can be: the host keeps it."""
    limit, end = Bound(order.limits.voltage_lower_V, Reason.SAFETY), order.ends.voltage_lower_V
    if end is not None and end >= limit.value and order.mode is not Mode.REST:
        return Bound(end, Reason.V_LOWER)
    return None if order.limits.voltage_lower_armed_above_V is not None else limit


def taper_of(order: StepOrder) -> float | None:
    """The current below which a held voltage is over."""
    return order.ends.current_below_A if order.mode is Mode.POTENTIOSTATIC else None
