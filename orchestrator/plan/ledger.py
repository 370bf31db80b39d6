"""Charge bookkeeping along a plan: how long each step will probably last, and how long its limits let it last.

Worst case of a galvanostatic step: the smallest of its time limit, its charge limit (ring 2) over its current, and its
``until`` charge over its current; of a potentiostatic one: its time limit, or the charge limit over its final current.

Expected, by these rules of thumb: an ``until`` charge or time is reached when it is the only end, or beside voltage ends.
A step that ends on a voltage alone passes back what went the other way since the run began, if anything did; otherwise
what is missing to the capacity that C-rates refer to. ``abs(E)`` ends mean a fault and are not expected. A potentiostatic
step lasts as long as it may, and adds what the step before it left missing to the capacity. All of these never pass the
worst case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.model.protocol import Verb


class Bound(NamedTuple):
    """What a step may at most do, and will probably do."""

    expected_s: float
    worst_s: float
    expected_C: float = 0.0
    worst_C: float = 0.0


class Asked(NamedTuple):
    """A galvanostatic or potentiostatic step's own ends, in SI: None where not written."""

    limit_C: float
    time_s: float | None = None
    charge_C: float | None = None
    taper_A: float | None = None
    to_voltage: bool = False


@dataclass(slots=True)
class _Passed:
    verb: Verb
    sign: int
    expected_C: float
    worst_C: float


@dataclass(slots=True)
class Ledger:
    """What has passed so far in this plan; ``capacity_C`` None where x has no meaning."""

    capacity_C: float | None
    passed: list[_Passed] = field(default_factory=list)
    cycle: int = 0
    first_sign: int = 0

    @property
    def balance_C(self) -> float:
        """Expected net charge since the run began, signed."""
        return sum(one.sign * one.expected_C for one in self.passed)

    @property
    def last_sign(self) -> int:
        """Sign of the last current; 0 before the first."""
        return self.passed[-1].sign if self.passed else 0

    def turn(self, sign: int) -> int:
        """Count the cycle that a current of this sign belongs to: a new one whenever the first direction comes back."""
        if not self.first_sign:
            self.first_sign, self.cycle = sign, 1
        elif sign == self.first_sign and self.last_sign == -sign:
            self.cycle += 1
        return self.cycle

    def note(self, verb: Verb, sign: int, bound: Bound) -> None:
        """A step of this verb is planned."""
        self.passed.append(_Passed(verb, sign, bound.expected_C, bound.worst_C))

    def room_C(self, sign: int) -> float | None:
        """What a step towards a cut-off voltage will probably pass; None where nothing is known of it."""
        balance = self.balance_C
        if balance * sign < 0:
            return abs(balance)
        return None if self.capacity_C is None else max(self.capacity_C - abs(balance), 0.0)

    def had(self, verb: Verb) -> bool:
        """True when a step of this verb has been planned."""
        return any(one.verb is verb for one in self.passed)

    def earlier_C(self, sign: int) -> tuple[float, float]:
        """Expected and worst charge in this direction since the last step in the other; potentiostatic steps included."""
        expected = worst = 0.0
        for one in reversed(self.passed):
            if one.sign == -sign:
                break
            expected, worst = expected + one.expected_C, worst + one.worst_C
        return expected, worst

    def galvanostatic(self, current_A: float, asked: Asked) -> Bound:
        """Bounds of a step at constant current."""
        magnitude_A, sign = abs(current_A), 1 if current_A > 0 else -1
        worst_s = min(_known(asked.time_s, asked.limit_C / magnitude_A, _over(asked.charge_C, magnitude_A)))
        room_C = self.room_C(sign) if asked.to_voltage and asked.charge_C is None else None
        expected_s = min(_known(worst_s, _over(room_C, magnitude_A)))
        return Bound(expected_s, worst_s, expected_s * magnitude_A, worst_s * magnitude_A)

    def potentiostatic(self, asked: Asked) -> Bound | None:
        """Bounds of a step at constant voltage; None when nothing bounds its time."""
        known = _known(asked.time_s, _over(asked.limit_C, asked.taper_A))
        if not known:
            return None
        worst_C = min(_known(asked.limit_C, asked.charge_C))
        missing_C = self.room_C(self.last_sign) if self.last_sign and self.balance_C * self.last_sign > 0 else 0.0
        return Bound(min(known), min(known), min(missing_C or 0.0, worst_C), worst_C)


def _over(charge_C: float | None, current_A: float | None) -> float | None:
    return charge_C / current_A if charge_C is not None and current_A else None


def _known(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]
