"""Metal gained per charge, live: dA/dQ of every metal area over the last spectra of a step. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.battery import slope
from orchestrator.analysis.findings import SLOPE, Told
from orchestrator.model.observables import base_name
from orchestrator.model.units import NOTHING_A

SLOPE_OVER = 12
SLOPE_FROM = 6
"""dA/dQ over so many spectra of a step, told from so many on: fewer are too noisy (practice.md, domain.md 3.9)."""


class Slopes:
    """Fed with what each spectrum tells, in order."""

    def __init__(self) -> None:
        self._slopes: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        self._steps: dict[tuple[str, str], str] = {}

    def of(self, told: Sequence[Told], acquisition: str, context: Mapping[str, Any]) -> list[Told]:
        """dA/dQ of every metal area over the last spectra of this step, where current flows."""
        if abs(context.get("current_A", 0.0)) < NOTHING_A or "charge_step_mAh" not in context:
            return []
        step_key = str(context["step_key"]).partition(".")[0]
        charge_mAh = abs(context["charge_step_mAh"])
        found: list[Told] = []
        for name, area, sd, _, _ in told:
            if base_name(name) != "area" or sd is None or not sd > 0 or name == "area(electrolyte)":
                continue
            history = self._slopes.setdefault((acquisition, name), [])
            if self._steps.get((acquisition, name)) != step_key:
                self._steps[acquisition, name] = step_key
                history.clear()
            history.append((charge_mAh, area, sd))
            del history[:-SLOPE_OVER]
            if len(history) >= SLOPE_FROM:
                line = slope(*np.array(history).T)
                found.append((f"slope{name.removeprefix('area')}", float(line.slope), float(line.slope_sd), "1/mAh", SLOPE))
        return found
