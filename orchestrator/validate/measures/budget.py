"""Where the charge of a cycle goes: metal that comes back, metal that is left, and the rest, which is called SEI."""

from __future__ import annotations

import math

from orchestrator.validate.compare import Found, mean, ratio
from orchestrator.validate.measures.series import Point, series
from orchestrator.validate.measures.words import Runs, Words, measure


def _apart(later: Point, earlier: Point) -> Found:
    return Found(later.value - earlier.value, math.hypot(later.sigma, earlier.sigma))


def _passed_mAh(later: Point, earlier: Point) -> float:
    return abs(later.place.charge_mAh - earlier.place.charge_mAh)


def _per_area(points: list[Point], first: int, last: int) -> Found:
    """MAh of a unit of area, by stripping in these cycles; ``points``: before, then end of charge and end of discharge of each cycle."""
    each = [
        ratio(Found(_passed_mAh(points[2 * n], points[2 * n - 1]), 0.0), _apart(points[2 * n - 1], points[2 * n]))
        for n in range(first, last + 1)
    ]
    return mean(each)


@measure
def budget(words: Words, runs: Runs) -> Found:
    """``budget: sei | dead``: of the charge of the ``cycles`` [first, last]; ``closes``: charge for an area there, over that of ``by``.

    ``metal``: a series of areas, of one spectrum before the first charge, then one at each end of charge and of discharge. What an area
    is worth (k) is told from stripping in the cycles ``by``, never from plating (practice.md 15).
    """
    points = series(words["metal"], runs)
    by_first, by_last = (int(each) for each in words.get("by", [2, 4]))
    first, last = (int(each) for each in words["cycles"])
    k = _per_area(points, by_first, by_last)
    if words["budget"] == "closes":
        return ratio(_per_area(points, first, last), k)
    before, after = points[2 * first - 2], points[2 * last]
    charged_mAh = sum(_passed_mAh(points[2 * n - 1], points[2 * n - 2]) for n in range(first, last + 1))
    left = _apart(after, before)
    if words["budget"] == "dead":
        return Found(k.value * left.value / charged_mAh, math.hypot(k.sigma * left.value, k.value * left.sigma) / charged_mAh)
    gains = [_apart(points[2 * n - 1], points[2 * n - 2]) for n in range(first, last + 1)]
    gained, sd = sum(one.value for one in gains), math.hypot(*(one.sigma for one in gains))
    return Found(1.0 - k.value * gained / charged_mAh, math.hypot(k.sigma * gained, k.value * sd) / charged_mAh)
