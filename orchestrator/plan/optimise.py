"""What would use the console better: scans that fill an interval, intervals that it can keep, maps of T2 in fewer hours."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.plan import faster
from orchestrator.plan.findings.timing import interval_s
from orchestrator.plan.instants import spoken
from orchestrator.plan.orders import Plan, PlannedAcquisition

WORTH = 1.1
"""A gain of less than a tenth more scans is not worth a sentence."""
METALS_ppm = {"7Li": (220.0, 310.0), "23Na": (1050.0, 1200.0)}
"""Where a carrier is on the metal."""
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


def _mapped(one: PlannedAcquisition) -> Iterator[str]:
    """For a map of a metal's T2: the same error of T2 where T2 is T1, by another recycle delay, other echo times, other scans."""
    echo_ms = one.per_block.values if one.kind == "se2d_T2map" and one.per_block is not None and one.per_block.name == "TE_ms" else ()
    low_ppm, high_ppm = METALS_ppm.get(one.nucleus, (0.0, 0.0))
    carrier_ppm = float(one.template.get("carrier_ppm") or 0.0)
    if one.prepares or len(set(echo_ms)) < 2 or not low_ppm < carrier_ppm < high_ppm:
        return
    T1_s, hours = faster.KORRINGA_s[one.nucleus], one.duration_s / 3600.0
    now = faster.even([1e-3 * each for each in echo_ms], one.recycle_s, one.acquisition_time_s)
    ways = {"recycle delay alone": faster.recycled(now, T1_s, T1_s), "both": faster.both(now, T1_s, T1_s)}
    ratios = {name: faster.times_as_long(way, now, T1_s, T1_s) for name, way in ways.items()}
    if ratios["both"] * WORTH > 1.0:
        return
    best = ways["both"]
    early, late = (f"{1e3 * each:.3g}" for each in best.echo_s)
    alone = (
        f"{ratios['recycle delay alone'] * hours:.1f} h by a recycle delay of {1e3 * ways['recycle delay alone'].recycle_s:.3g} ms alone"
    )
    yield (
        f"`{one.name}`: a T2 of {1e3 * T1_s:.3g} ms (the metal's T1 at 298 K) is known as well in "
        f"{ratios['both'] * hours:.1f} h instead of {hours:.1f} h: recycle delay {1e3 * best.recycle_s:.3g} ms, "
        f"echo times {early} and {late} ms with {best.share[1]:.0%} of the scans at the later ({alone}); "
        "two echo times show no second T2, and the duty of gradients and amplifier is for the site to allow"
    )
    yield _in_passes(one, ratios["both"] * hours)
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
