"""T2 is at most T1: every T2 that is told is held against it. Pure.

Domain.md fact 8; practice.md 26: what lies beyond by two standard errors is flagged, and nothing is ever clipped.
T1 is what this run has measured of the same window, else of the metal; of a metal nobody has measured, Korringa's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from orchestrator.analysis.findings import BOUND, Told
from orchestrator.analysis.relaxation import Bools, Floats, excess
from orchestrator.model.metals import Known, metal_T1

METALS = frozenset({"metal", "bulk", "moss", "electrode", "cluster"})
METAL = "metal"
BEYOND = 2.0
"""Standard errors."""


class Bound:
    """Fed with what each FID, array or map tells, in order. ``temperature_K``: of the cell."""

    def __init__(self, temperature_K: float) -> None:
        self._temperature_K = temperature_K
        self._measured: dict[tuple[str, str], Known] = {}

    def of(self, told: Iterable[Told], nucleus: str) -> Iterator[Told]:
        """``T2_excess`` of every T2: standard errors by which it lies above T1. A T1 is remembered."""
        for name, value, sd, _, _ in told:
            base, _, rest = name.partition("(")
            line = rest.removesuffix(")")
            if base == "T1":
                self._measured[nucleus, line] = Known(value, sd or 0.0)
            elif base == "T2" and sd is not None and (T1 := self.T1(nucleus, line)) is not None:
                yield f"T2_excess({line})", float(excess(np.float64(value), np.float64(sd), T1)), None, "", BOUND

    def T1(self, nucleus: str, line: str) -> Known | None:
        """Of a line or window; None where it is not known."""
        own = self._measured.get((nucleus, line))
        if own is not None or line not in METALS:
            return own
        return self._measured.get((nucleus, METAL)) or metal_T1(nucleus, self._temperature_K)

    def pixels(self, T2_s: Floats, T2_sd_s: Floats, determined: Bools, nucleus: str) -> Iterator[Told]:
        """How many pixels of a map lie beyond: of an honest one a fortieth at most."""
        T1 = self.T1(nucleus, METAL)
        if T1 is not None:
            beyond = excess(T2_s[determined], T2_sd_s[determined], T1) > BEYOND
            yield "pixels(beyond_T1)", float(beyond.sum()), None, "", BOUND
