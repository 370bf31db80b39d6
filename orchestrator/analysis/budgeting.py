"""Where the lithium is, cycle by cycle, while the run goes on: half-cycles and areas in, the budget of each cycle out. Pure.

The area of a half-cycle is that of the first spectrum which begins in a step without current after it, always of one and the same
acquisition. The budget of a cycle is told with the area after its stripping, as soon as a cycle has given k (``battery.lithium_budget``);
those of the cycles before are told with it, under their own names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from orchestrator.analysis.battery import MG_PER_MAH, Budget, lithium_budget, metal_mass_mg
from orchestrator.analysis.findings import BUDGET, Told

PLATING = frozenset({"charge", "plate"})
STRIPPING = frozenset({"discharge", "strip"})


class Area(NamedTuple):
    """An area and its standard error; NaN where none was measured."""

    value: float = math.nan
    sd: float = math.nan


UNKNOWN = Area()


@dataclass(slots=True)
class Cycle:
    """Charges in mAh; areas at the end of plating and of stripping."""

    plated_mAh: float = math.nan
    stripped_mAh: float = math.nan
    charged: Area = UNKNOWN
    discharged: Area = UNKNOWN


class Budgeting:
    """Fed with steps and areas, in order. ``cycles``: those that give k, counted from 1 by their plating.

    ``acquisition``: the one whose areas give k, "" before the first.
    ``resting``: acquisitions that are asked for in rests; another's spectrum may only have come late. Empty: any.
    """

    def __init__(self, cycles: tuple[int, int], resting: frozenset[str] = frozenset()) -> None:
        self._k_from = cycles
        self._resting = resting
        self._cycles: list[Cycle] = []
        self._before: dict[str, Area] = {}
        self.acquisition = ""
        self._verb = ""
        self._after: dict[str, tuple[int, str]] = {}
        self._known = False
        self.mAh_per_area = UNKNOWN

    def started(self, data: Mapping[str, Any]) -> None:
        """A step begins."""
        self._verb = str(data.get("verb") or "")
        if self._verb in PLATING and not data.get("part"):
            self._cycles.append(Cycle())
        elif data["mode"] == "rest" and self._cycles:
            now = self._cycles[-1]
            self._after[str(data["key"])] = (len(self._cycles) - 1, "plated" if math.isnan(now.stripped_mAh) else "stripped")

    def ended(self, data: Mapping[str, Any]) -> None:
        """A step, or a part of it, is over: its charge so far."""
        if not self._cycles or self._verb not in PLATING | STRIPPING:
            return
        charge_mAh = abs(float(data["charge_C"])) / 3.6
        if self._verb in PLATING:
            self._cycles[-1].plated_mAh = charge_mAh
        else:
            self._cycles[-1].stripped_mAh = charge_mAh

    def area(self, acquisition: str, step_key: str, area: Area) -> list[Told]:
        """A spectrum's metal; what it lets us know."""
        if self._resting and acquisition not in self._resting:
            return []
        if not self._cycles:
            self._before[acquisition] = area
            return []
        index, half = self._after.get(step_key, (-1, ""))
        if index < 0 or self.acquisition not in {"", acquisition}:
            return []
        self.acquisition = acquisition
        cycle = self._cycles[index]
        if half == "plated" and math.isnan(cycle.charged.value):
            cycle.charged = area
        elif half == "stripped" and math.isnan(cycle.discharged.value):
            cycle.discharged = area
            return list(self._told(index))
        return []

    def mass(self, nucleus: str, area: Area) -> Iterator[Told]:
        """All metal that a spectrum shows, once a cycle has given k."""
        if nucleus in MG_PER_MAH and area.value > 0.0 and math.isfinite(self.mAh_per_area.value):
            mass_mg = metal_mass_mg(area.value, self.mAh_per_area.value, nucleus)
            sd = math.hypot(area.sd / area.value, self.mAh_per_area.sd / self.mAh_per_area.value)
            yield "metal_mass", mass_mg, mass_mg * sd, "mg", BUDGET

    def _told(self, last: int) -> Iterator[Told]:
        done = self._cycles[: last + 1]
        Q_c, Q_d, A_c, sd_c, A_d, sd_d = np.array([(one.plated_mAh, one.stripped_mAh, *one.charged, *one.discharged) for one in done]).T
        try:
            before = self._before.get(self.acquisition, (0.0, 0.0))
            budget = lithium_budget(Q_c, Q_d, A_c, sd_c, A_d, sd_d, cycles=self._k_from, before=before)
        except ValueError:
            return  # no cycle has given k yet
        self.mAh_per_area = Area(budget.mAh_per_area, budget.mAh_per_area_sd)
        yield "mAh_per_area", budget.mAh_per_area, budget.mAh_per_area_sd, "mAh", BUDGET
        if not self._known:
            for index in range(last):
                yield from _of_cycle(budget, index, f"(cycle {index + 1})")
        self._known = True
        yield from _of_cycle(budget, last, "(this cycle)")


def _of_cycle(budget: Budget, index: int, which: str) -> Iterator[Told]:
    yield f"dead_Li{which}", float(budget.dead_mAh[index]), float(budget.dead_sd_mAh[index]), "mAh", BUDGET
    yield f"SEI_Li{which}", float(budget.sei_mAh[index]), float(budget.sei_sd_mAh[index]), "mAh", BUDGET
    yield f"CE{which}", float(budget.CE[index]), None, "", BUDGET
    efficiency, sd = float(budget.plating_efficiency[index]), float(budget.plating_efficiency_sd[index])
    yield f"plating_efficiency{which}", efficiency, sd, "", BUDGET
    yield f"budget_closes{which}", float(budget.closes[index]), None, "", BUDGET
