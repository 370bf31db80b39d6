"""A map of T2 of a metal in less time: recycle delay by T1, echo times and scans by the Cramér-Rao bound, at equal error of T2.

Spin echoes of 90 and 180 degrees with crushers, complex data, one amplitude and one rate a pixel. What stays is the error of T2 where it
is expected; a metal's T2 is at most its T1, and a dendrite's was found there (Rees 2021), so T1 is what is expected. Pure arithmetic.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

RECYCLES = tuple(0.25 * 1.2**n for n in range(24))
"""Recycle delays that are tried, in T1."""
LATER = tuple(0.1 * n for n in range(3, 31))
"""How much later the second echo is, in T2."""
SHARES = tuple(0.05 * n for n in range(1, 20))


SIGNALS = (0.5, 1.0, 2.0)
"""How much of the signal that was planned for there may turn out to be."""
UNDERSAMPLED = {48: 3.0, 32: 8.4}
"""Of 64 phase encodes: scatter of the cluster's T2 over that of all encodes, at equal time (``benchmarks/undersampling.py``)."""


class Way(NamedTuple):
    """How a map is measured: echo times, recycle delay and acquisition in seconds, and how the scans are shared out."""

    echo_s: tuple[float, ...]
    recycle_s: float
    acquisition_s: float
    share: tuple[float, ...]

    @property
    def scan_s(self) -> float:
        """A mean scan."""
        return sum(part * (self.recycle_s + self.acquisition_s + echo_s) for part, echo_s in zip(self.share, self.echo_s, strict=True))


def even(echo_s: Sequence[float], recycle_s: float, acquisition_s: float) -> Way:
    """As many scans at each echo time."""
    return Way(tuple(echo_s), recycle_s, acquisition_s, (1.0 / len(echo_s),) * len(echo_s))


def recovered(way: Way, echo_s: float, T1_s: float) -> float:
    """Longitudinal magnetisation before each excitation, of what there is at rest: the second pulse inverts what had come back."""
    half = -math.expm1(-0.5 * echo_s / T1_s)
    turned = 1.0 - (1.0 + half) * math.exp(-0.5 * echo_s / T1_s)
    return 1.0 - (1.0 - turned) * math.exp(-(way.recycle_s + way.acquisition_s) / T1_s)


def variance_of_T2(way: Way, T1_s: float, T2_s: float) -> float:
    """(sd of T2 / T2)^2 of one scan at an amplitude of the noise's size; of n scans, the n-th part. Raises ValueError."""
    whole = first = second = 0.0
    for part, echo_s in zip(way.share, way.echo_s, strict=True):
        weight = part * (recovered(way, echo_s, T1_s) * math.exp(-echo_s / T2_s)) ** 2
        whole, first, second = whole + weight, first + weight * echo_s, second + weight * echo_s**2
    determinant = whole * second - first**2
    if determinant <= 1e-9 * whole * second:
        raise ValueError("T2 needs two echo times")
    return T2_s**2 * whole / determinant


def times_as_long(way: Way, than: Way, T1_s: float, T2_s: float) -> float:
    """Time that a way takes, over that of another, for the same error of T2."""
    return variance_of_T2(way, T1_s, T2_s) * way.scan_s / (variance_of_T2(than, T1_s, T2_s) * than.scan_s)


def recycled(way: Way, T1_s: float, T2_s: float) -> Way:
    """The same echoes with the recycle delay that costs least."""
    tried = (way._replace(recycle_s=each * T1_s) for each in RECYCLES)
    return min(tried, key=lambda one: times_as_long(one, way, T1_s, T2_s))


def echoed(way: Way, T1_s: float, T2_s: float) -> Way:
    """Two echo times, the shortest as it is, and the scans shared out so that the bound of T2's error costs least."""
    shortest_s = min(way.echo_s)
    tried = (
        way._replace(echo_s=(shortest_s, shortest_s + later * T2_s), share=(1.0 - part, part))
        for later, part in itertools.product(LATER, SHARES)
    )
    return min(tried, key=lambda one: times_as_long(one, way, T1_s, T2_s))


def both(way: Way, T1_s: float, T2_s: float) -> Way:
    """Recycle delay and echoes, each for the other's sake."""
    found = echoed(recycled(way, T1_s, T2_s), T1_s, T2_s)
    for _ in range(3):
        found = echoed(recycled(found, T1_s, T2_s), T1_s, T2_s)
    return found


def in_passes_h(planned_h: float, signal: float, pass_h: float) -> float:
    """Hours until the error is what was planned for, in whole passes: they go with the inverse square of the signal."""
    return math.ceil(planned_h / signal**2 / pass_h - 1e-9) * pass_h
