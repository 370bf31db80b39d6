"""What would use the console better: scans that fill an interval, intervals that it can keep, maps of T2 in fewer hours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.model.metals import metal_T1, on_metal
from orchestrator.plan import faster
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
    yield from _filled(plan)
    for one in plan.acquisitions.values():
        yield from _mapped(one)


class MapWay(NamedTuple):
    """One way to a map of a metal's T2 at the same error of T2 where T2 is T1: how, and in how many hours; None: not proposed."""

    acquisition: str
    way: str
    recycle_s: float
    echo_s: tuple[float, ...]
    late_share: float
    hours: float | None


def map_hours(plan: Plan) -> Iterator[MapWay]:
    """The table of hours of each map of a metal's T2 that can be had in fewer: as planned first, then one change on top of the other.

    Passes are adaptive averaging, with so many times the signal that was planned for; fewer encodes are reconstructed (``_undersampled``).
    """
    for one in plan.acquisitions.values():
        if (found := _faster(one)) is None:
            continue
        hours, best = found.hours, found.both
        yield _way(one, "as planned", found.now, hours)
        yield _way(one, "recycle delay by T1", found.recycled, hours * found.ratio(found.recycled))
        planned_h = hours * found.ratio(best)
        yield _way(one, "+ echoes by Cramér-Rao", best, planned_h)
        for signal in faster.SIGNALS:
            passes_h = faster.in_passes_h(planned_h, signal, planned_h / PASSES)
            yield _way(one, f"+ passes, {signal:g} x the signal", best, passes_h)
        for views in faster.UNDERSAMPLED:
            yield _way(one, f"+ {views} of 64 encodes", best, None)


def _way(one: PlannedAcquisition, way: str, how: faster.Way, hours: float | None) -> MapWay:
    return MapWay(one.name, way, how.recycle_s, how.echo_s, how.share[-1], hours)


class _Faster(NamedTuple):
    """A map as planned, with another recycle delay, and with other echo times too; T1 of its metal and its hours."""

    now: faster.Way
    recycled: faster.Way
    both: faster.Way
    T1_s: float
    hours: float

    def ratio(self, way: faster.Way) -> float:
        """Time of a way over that of the plan."""
        return faster.times_as_long(way, self.now, self.T1_s, self.T1_s)


def _faster(one: PlannedAcquisition) -> _Faster | None:
    """Nothing where it is no map of a metal's T2, or none that could be had in a tenth less."""
    echo_ms = one.per_block.values if one.kind == "se2d_T2map" and one.per_block is not None and one.per_block.name == "TE_ms" else ()
    if one.prepares or len(set(echo_ms)) < 2 or not on_metal(one.nucleus, float(one.template.get("carrier_ppm") or 0.0)):
        return None
    T1 = metal_T1(one.nucleus)
    if T1 is None:
        return None
    T1_s = T1.value_s
    now = faster.even([1e-3 * each for each in echo_ms], one.recycle_s, one.acquisition_time_s)
    found = _Faster(now, faster.recycled(now, T1_s, T1_s), faster.both(now, T1_s, T1_s), T1_s, one.duration_s / 3600.0)
    return None if found.ratio(found.both) * WORTH > 1.0 else found


def _mapped(one: PlannedAcquisition) -> Iterator[str]:
    """For a map of a metal's T2: the same error of T2 where T2 is T1, by another recycle delay, other echo times, other scans."""
    if (found := _faster(one)) is None:
        return
    best, hours = found.both, found.hours
    early, late = (f"{1e3 * each:.3g}" for each in best.echo_s)
    alone = f"{found.ratio(found.recycled) * hours:.1f} h by a recycle delay of {1e3 * found.recycled.recycle_s:.3g} ms alone"
    yield (
        f"`{one.name}`: a T2 of {1e3 * found.T1_s:.3g} ms (the metal's T1 at 298 K) is known as well in "
        f"{found.ratio(best) * hours:.1f} h instead of {hours:.1f} h: recycle delay {1e3 * best.recycle_s:.3g} ms, "
        f"echo times {early} and {late} ms with {best.share[1]:.0%} of the scans at the later ({alone}); "
        "two echo times show no second T2, and the duty of gradients and amplifier is for the site to allow"
    )
    yield _in_passes(one, found.ratio(best) * hours)
    yield _undersampled(one)


PASSES = 8


def _in_passes(one: PlannedAcquisition, planned_h: float) -> str:
    """Adaptive averaging of a map, after the other two."""
    pass_h = planned_h / PASSES
    told = [f"{faster.in_passes_h(planned_h, signal, pass_h):.1f} h with {signal:g} times the signal" for signal in faster.SIGNALS]
    return (
        f"`{one.name}`: adaptive averaging: an eighth of those scans in each acquisition, asked for `continuously` at rest, and "
        f"`stop_when` a rule `when: T2_error(cluster) < 5 %`: {', '.join(told)} that was planned for"
    )


def _undersampled(one: PlannedAcquisition) -> str:
    """What was tried and is no gain."""
    worse = ", ".join(f"{scatter:g} times with {views} of 64 encodes" for views, scatter in faster.UNDERSAMPLED.items())
    return (
        f"`{one.name}`: undersampled k-space is not proposed: at equal time the cluster's T2 scattered {worse} as without (on the twin, "
        "Lustig 2007 by PyLops), and no time was found at which it is known as well"
    )


def _filled(plan: Plan) -> Iterator[str]:
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
