"""When a step ends by itself (ring 1), in SI and as the instrument reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from drivers.base import CE, CELL, ElectrodeBounds
from orchestrator.model.protocol import Step, Verb
from orchestrator.model.units import Quantity
from orchestrator.plan.orders import ChargeOfEarlier
from orchestrator.plan.resolve import Unresolved, charge_C, current_A, direction, process_so_far
from orchestrator.plan.surroundings import Surroundings


class ChargeEnd(NamedTuple):
    """The ``until`` charge of a step: at worst, as expected, and the rule it follows where it depends on earlier steps."""

    worst_C: float | None = None
    expected_C: float | None = None
    earlier: ChargeOfEarlier | None = None


class Sides(NamedTuple):
    """Lower and upper end voltage."""

    lower_V: float | None = None
    upper_V: float | None = None


def _smallest(values: Iterable[float]) -> float | None:
    return min(values, default=None)


def time_s(step: Step) -> float | None:
    """The shortest time that is written."""
    return _smallest(end.quantity.value for end in step.ends if end.kind == "time")


def taper_A(step: Step, around: Surroundings) -> float | None:
    """The smallest final current that is written, as a magnitude."""
    return _smallest(abs(current_A(around.cell, end.quantity)) for end in step.ends if end.kind == "current")


def charge_end(step: Step, around: Surroundings, sign: int = 0) -> ChargeEnd:
    """The ``until`` charge; ``sign``: of the step's own current."""
    written = [end.quantity for end in step.ends if end.kind == "charge"]
    relative = next((quantity for quantity in written if process_so_far(quantity)), None)
    if relative is None:
        fixed_C = _smallest(abs(charge_C(around.cell, quantity)) for quantity in written)
        return ChargeEnd(fixed_C, fixed_C)
    if len(written) > 1:
        raise Unresolved("a step that ends on earlier charge cannot end on another charge as well", "keep one of them")
    return _of_earlier(relative, step, around, sign)


def _of_earlier(quantity: Quantity, step: Step, around: Surroundings, sign: int) -> ChargeEnd:
    """``110 % of the sodiation so far``; never more than ring 2 allows."""
    process = process_so_far(quantity)
    assert process is not None
    factor = _further(quantity, process, step.verb)
    expected_C, worst_C = around.ledger.earlier_C(direction(around.cell, process, step.electrode) or sign)
    if worst_C == 0 or not around.ledger.had(process):
        raise Unresolved(f"{quantity}: nothing before this step is a {process.value}", "name a charge in mAh, or in % of an electrode")
    return ChargeEnd(min(factor * worst_C, around.charge_limit_C), factor * expected_C, ChargeOfEarlier(factor=factor, verb=process.value))


def _further(quantity: Quantity, process: Verb, verb: Verb) -> float:
    """In a sodiation, ``110 % of the sodiation so far`` is a tenth more; in another direction the percentage itself."""
    factor = quantity.value / 100.0
    if process is not verb:
        return factor
    if factor <= 1:
        raise Unresolved(f"{quantity} has passed already", "a step of the same kind goes on to more than 100 %")
    return factor - 1.0


def sides(step: Step, around: Surroundings, sign: int) -> Sides:
    """End voltages of the cell. abs(E) ends on both sides; another on the side that a current of this sign drives E to."""
    return _sides(step, CELL, sign, around.turned)


def electrode_sides(step: Step, sign: int) -> tuple[ElectrodeBounds, ...]:
    """Those of single electrodes against the reference: what raises E_we lowers E_ce."""
    named = dict.fromkeys(end.voltage_name for end in step.ends if end.kind == "voltage" and end.voltage_name != CELL)
    return tuple(ElectrodeBounds(name, *_sides(step, name, -sign if name == CE else sign)) for name in named)


def _sides(step: Step, name: str, sign: int, turned: int = 1) -> Sides:
    lower: list[float] = []
    upper: list[float] = []
    for end in (end for end in step.ends if end.kind == "voltage" and end.voltage_name == name):
        if end.absolute:
            lower.append(-abs(end.quantity.value))
            upper.append(abs(end.quantity.value))
        elif sign:
            (upper if sign > 0 else lower).append(turned * end.quantity.value)
        else:
            raise Unresolved(
                f"until {end.quantity.value:g} V: from which side?", "no current has passed before this rest, so it must end on a time"
            )
    return Sides(max(lower, default=None), min(upper, default=None))
