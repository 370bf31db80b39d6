"""What would use the console better: scans that fill the interval of a trigger, intervals that the console can keep."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.plan.findings.timing import interval_s
from orchestrator.plan.instants import spoken
from orchestrator.plan.orders import Plan, PlannedAcquisition

WORTH = 1.1
"""A gain of less than a tenth more scans is not worth a sentence."""
FILL = 0.95
"""How much of an interval may be filled; the rest is the trigger's own jitter."""


def shortest_intervals_s(plan: Plan) -> dict[str, float]:
    """The shortest interval at which each acquisition is asked for, of those that never share a step with another."""
    shortest: dict[str, float] = {}
    shared = {t.acquisition for step in plan.steps if len({t.acquisition for t in step.triggers}) > 1 for t in step.triggers}
    for step in plan.steps:
        for trigger in step.triggers:
            every_s = interval_s(trigger, step, plan.capacity_C)
            if every_s and trigger.acquisition not in shared:
                shortest[trigger.acquisition] = min(every_s, shortest.get(trigger.acquisition, math.inf))
    return shortest


def scans_that_fit(one: PlannedAcquisition, every_s: float) -> int:
    """How many scans fill an interval; 0 where not even the dummies fit."""
    per_scan_s = one.recycle_s + one.acquisition_time_s
    around_s = one.duration_s - (one.scans + one.dummies) * per_scan_s
    return max(math.floor((every_s * FILL - around_s) / per_scan_s) - one.dummies, 0)


def advice(plan: Plan) -> Iterator[str]:
    """One sentence for each acquisition that could do better."""
    for name, every_s in shortest_intervals_s(plan).items():
        one = plan.acquisitions.get(name)
        if one is None or one.members or one.fids != 1 or "manual" in one.template:
            continue
        fit = scans_that_fit(one, every_s)
        if fit >= one.scans * WORTH:
            gain = math.sqrt(fit / one.scans) - 1
            yield f"`{name}`: {fit} scans instead of {one.scans} fit into {spoken(every_s)}, {gain:.0%} more signal to noise"
        elif 0 < fit < one.scans and one.duration_s > every_s:
            yield f"`{name}`: {fit} scans instead of {one.scans} would keep up with a trigger every {spoken(every_s)}"
