"""Ions that hop: a line that narrows as they do, and lines that change into each other while magnetisation is stored. Pure numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BOLTZMANN_eV_per_K = 8.617333e-5


@dataclass(frozen=True, slots=True)
class Hopping:
    """Hops of an ion into a vacancy beside it: attempt x v (1 - v) x exp(-barrier / kT), v = ``vacant`` part of the sites.

    Mean-field blocking: who hops has to be there, and where to has to be empty.
    """

    attempt_per_s: float = 1e13
    barrier_eV: float = 0.3
    vacant: float = 0.5

    def __post_init__(self) -> None:
        if self.attempt_per_s <= 0.0 or not 0.0 <= self.vacant <= 1.0:
            raise ValueError("attempt_per_s must be positive, vacant in [0, 1]")

    def rate_per_s(self, temperature_K: float) -> float:
        """Of one ion."""
        return self.attempt_per_s * self.vacant * (1.0 - self.vacant) * math.exp(-self.barrier_eV / (BOLTZMANN_eV_per_K * temperature_K))


@dataclass(frozen=True, slots=True)
class Exchanging:
    """Two lines whose ions change places, slowly against their distance.

    ``per_s``: both ways together; each way as detailed balance has it.
    """

    between: tuple[str, ...]
    per_s: float

    def __post_init__(self) -> None:
        if len(self.between) != 2 or self.per_s < 0.0:
            raise ValueError("`between` names two lines, per_s is not negative")


def narrowed(t_s: Floats, sd_Hz: float, rate_per_s: float) -> Floats:
    """float64 (n,): decay of a line of Gaussian spread ``sd_Hz`` whose ions hop to any other frequency (Anderson and Weiss 1953; Kubo)."""
    kt = rate_per_s * t_s
    spread = (2.0 * math.pi * sd_Hz) ** 2
    if rate_per_s * float(t_s[-1]) < 1e-4:
        return np.exp(-0.5 * spread * t_s**2)
    return np.asarray(np.exp(-spread / rate_per_s**2 * (np.expm1(-kt) + kt)), dtype=np.float64)


def stored(modulation: Floats, amounts: Sequence[float], names: Sequence[str], pairs: Sequence[Exchanging], mixing_s: float) -> Floats:
    """float64 (n,): what each line shows after mixing, from how each was labelled before (both per amount); nothing else is lost."""
    found = np.array(modulation, dtype=np.float64)
    for pair in pairs:
        there = [[n for n, name in enumerate(names) if name == side] for side in pair.between]
        sums = [sum(amounts[n] for n in side) for side in there]
        if min(sums) <= 0.0:
            continue
        labels = [sum(amounts[n] * found[n] for n in side) / total for side, total in zip(there, sums, strict=True)]
        common = (labels[0] * sums[0] + labels[1] * sums[1]) / sum(sums)
        reached = -math.expm1(-pair.per_s * mixing_s)
        for side, own in zip(there, labels, strict=True):
            found[side] += reached * (common - own)
    return found
