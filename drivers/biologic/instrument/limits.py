"""Tests of a limited step: which hold, and how soon one may. Pure.

Test_Config: bit 0 active, bit 1 AND with the next (else OR), bits 2-4 sign (0 below or equal, 1 above or equal), bits 5 and up the
variable (0 E, 1 AUX1, 2 AUX2, 3 I). A chain of ANDs holds when all of it does. Nothing hangs on the auxiliary inputs: they read 0 V.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

ACTIVE, AND = 1, 2
SIGN_SHIFT, SIGN_MASK, VARIABLE_SHIFT = 2, 7, 5
VARIABLES = ("E", "AUX1", "AUX2", "I")


class Test(NamedTuple):
    """One active test of a step."""

    variable: str
    above: bool
    value: float
    and_next: bool

    def holds(self, now: Mapping[str, float]) -> bool:
        """At these readings; a reading that is no number meets nothing."""
        found = now.get(self.variable, 0.0)
        return found >= self.value if self.above else found <= self.value


def tests(values: Mapping[str, list[Any]], step: int) -> Iterator[Test]:
    """The active ones of a step; a technique without limits has none."""
    for n in (1, 2, 3):
        config = int(values[f"Test{n}_Config"][step]) if f"Test{n}_Config" in values else 0
        if config & ACTIVE:
            variable = VARIABLES[(config >> VARIABLE_SHIFT) % len(VARIABLES)]
            above = bool((config >> SIGN_SHIFT) & SIGN_MASK)
            yield Test(variable, above, float(values[f"Test{n}_Value"][step]), bool(config & AND))


def met(values: Mapping[str, list[Any]], step: int, now: Mapping[str, float]) -> bool:
    """Does the step end on a limit at these readings?"""
    chain = True
    for test in tests(values, step):
        chain = chain and test.holds(now)
        if not test.and_next:
            if chain:
                return True
            chain = True
    return False


def soonest_s(values: Mapping[str, list[Any]], step: int, before: Mapping[str, float], now: Mapping[str, float], dt_s: float) -> float:
    """When the first test would hold if the readings went on as they do; infinity where none comes nearer."""
    soonest = float("inf")
    for test in tests(values, step):
        slope = (now.get(test.variable, 0.0) - before.get(test.variable, 0.0)) / dt_s if dt_s > 0 else 0.0
        way = test.value - now.get(test.variable, 0.0)
        if slope and way / slope > 0:
            soonest = min(soonest, way / slope)
    return soonest
