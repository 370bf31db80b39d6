"""Triggers in SI units: what ``every 1 %`` is in this cell, and when log-spaced acquisitions come."""

from __future__ import annotations

from orchestrator.model.acquisition import NmrTrigger, TriggerKind
from orchestrator.model.cell import Cell
from orchestrator.model.units import Quantity
from orchestrator.plan.orders import TriggerOrder
from orchestrator.plan.resolve import Unresolved, capacity_C, charge_C

GUARD_S = 5.0
LOG_POINTS = 16
PERIODIC = frozenset(
    {
        TriggerKind.EVERY_TIME,
        TriggerKind.EVERY_CHARGE,
        TriggerKind.EVERY_X,
        TriggerKind.EVERY_VOLTAGE,
        TriggerKind.CONTINUOUSLY,
        TriggerKind.AT_X,
        TriggerKind.KNEE,
    }
)
"""Kinds that wait for the guard time after an edge: what a quantum or a crossing sees there is the edge itself."""
NEEDS_CAPACITY = frozenset({TriggerKind.EVERY_X, TriggerKind.AT_X})


def order(trigger: NmrTrigger, cell: Cell, expected_s: float, acquisition_s: float) -> TriggerOrder:
    """One trigger of a step that is expected to last ``expected_s``; its acquisition takes ``acquisition_s``.

    Raises Unresolved where the cell gives a quantity no meaning.
    """
    if trigger.kind in NEEDS_CAPACITY or (trigger.condition is not None and trigger.condition.of == "x"):
        capacity_C(cell)
    every = _interval(trigger, cell)
    return TriggerOrder(
        acquisition=trigger.acquisition,
        kind=trigger.kind,
        every=every,
        count=trigger.count,
        from_start=trigger.from_start,
        times_s=_times_s(trigger, expected_s, acquisition_s),
        x=trigger.x,
        condition=trigger.condition,
        guard_s=_guard_s(trigger),
        hysteresis_V=_hysteresis_V(trigger, every),
        text=trigger.text or trigger.kind.value,
    )


def _guard_s(trigger: NmrTrigger) -> float:
    if trigger.guard_s is not None:
        return trigger.guard_s
    return GUARD_S if trigger.kind in PERIODIC else 0.0


def _hysteresis_V(trigger: NmrTrigger, every: float | None) -> float:
    if trigger.kind is not TriggerKind.EVERY_VOLTAGE or every is None:
        return 0.0
    return every / 4 if trigger.hysteresis_V is None else trigger.hysteresis_V


def _interval(trigger: NmrTrigger, cell: Cell) -> float | None:
    """``every`` in s, C, fraction of x or V; None for the kinds without an interval."""
    if trigger.every is None:
        if trigger.kind.value.startswith("every"):
            raise Unresolved(f"`{trigger.kind.value}` of {trigger.acquisition} says no interval")
        return None
    if trigger.every.value <= 0:
        raise Unresolved(f"{trigger.acquisition} every {trigger.every}: an interval is more than zero")
    if trigger.kind is TriggerKind.EVERY_CHARGE:
        return charge_C(cell, trigger.every)
    if trigger.kind is TriggerKind.EVERY_X:
        return _fraction(cell, trigger.every)
    return trigger.every.value


def _fraction(cell: Cell, every: Quantity) -> float:
    """A percentage as a fraction of the capacity that x refers to, whichever electrode it was written of."""
    return charge_C(cell, every) / capacity_C(cell)


def _times_s(trigger: NmrTrigger, expected_s: float, acquisition_s: float) -> tuple[float, ...]:
    """Instants after the step's start of TIMES and LOG_SPACED, known beforehand; the last fits into the step."""
    latest_s = max(expected_s - acquisition_s, 0.0)
    if trigger.kind is TriggerKind.TIMES and not trigger.from_start:
        count = trigger.count or 1
        return tuple(min(k * expected_s / count, latest_s) for k in range(count))
    if trigger.kind is TriggerKind.LOG_SPACED:
        return _log_spaced(trigger, expected_s, latest_s)
    return ()


def _log_spaced(trigger: NmrTrigger, expected_s: float, latest_s: float) -> tuple[float, ...]:
    first_s, last_s = trigger.first_s, trigger.last_s if trigger.last_s is not None else expected_s
    count = trigger.count or LOG_POINTS
    if first_s is None or not 0 < first_s < last_s or count < 2:
        raise Unresolved(f"log-spaced {trigger.acquisition} needs a first time above zero, a later last time and at least 2 points")
    ratio = (last_s / first_s) ** (1 / (count - 1))
    instants = (first_s * ratio**k for k in range(count))
    return tuple(round(min(t, latest_s), 3) for t in instants if t <= expected_s * (1 + 1e-9))
