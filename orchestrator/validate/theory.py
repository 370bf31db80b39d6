"""Figures of domain.md 7 that the analysis itself computes: what its formulae give, with nothing measured."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from orchestrator.analysis.battery import excitation, metal_face, skin_depth_um
from orchestrator.model.salt import sand_time_s

GAMMA_MHz_per_T = {"7Li": 16.546, "23Na": 11.262}


def _skin_um(nucleus: str, field_T: float) -> float:
    return skin_depth_um(nucleus, GAMMA_MHz_per_T[nucleus] * field_T)


def _best_tip_deg() -> float:
    return float(max(range(60, 181), key=lambda tip_deg: abs(metal_face(tip_deg))))


FIGURES: dict[str, Callable[[], float]] = {
    "skin depth 23Na 9.4 T": lambda: _skin_um("23Na", 9.4),
    "skin depth 7Li 9.4 T": lambda: _skin_um("7Li", 9.4),
    "tip of the strongest metal line": _best_tip_deg,
    "metal face at 123 deg": lambda: abs(metal_face(123.0)),
    "metal face at 90 deg": lambda: abs(metal_face(90.0)),
    "metal phase at 123 deg": lambda: math.degrees(cmath.phase(metal_face(123.0))),
    "Sand's time at 5.66 mA/cm2": lambda: sand_time_s(1e-6, 1.0, 5.66, 0.6),
    "excitation midway of both 23Na lines": lambda: float(excitation(0.5 * 1126.0 * GAMMA_MHz_per_T["23Na"] * 9.4, 5.0, 90.0)[0]),
}
