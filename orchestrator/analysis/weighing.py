"""What an area weighs: by a foil of known mass, measured in the same coil with the same pulse (``foil:`` of a cell record). Pure.

It holds for metal without a skin: moss, thin deposits. Of a thick plate only the skin is seen (domain.md 4.12).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from orchestrator.analysis.battery import MG_PER_MAH, HALF_TURN_deg, seen_share
from orchestrator.analysis.findings import FOIL, Told

THIN = "moss"


class ByFoil(NamedTuple):
    """Milligrams of metal in one unit of area, and their standard error; how much of the foil the coil saw."""

    mg_per_area: float
    sd: float
    seen: float


def by_foil(foil: Mapping[str, Any], nucleus: str, reference_MHz: float, tip_deg: float) -> ByFoil | None:
    """None where the nucleus is no metal's, and where a thick foil's skin is not known for this pulse."""
    if nucleus not in MG_PER_MAH:
        return None
    seen, thickness_um = 1.0, foil.get("thickness_um")
    if thickness_um:
        if not 0.0 < tip_deg < HALF_TURN_deg:
            return None
        seen = seen_share(thickness_um, nucleus, reference_MHz, tip_deg)
    value = foil["mass_mg"] * seen / foil["area"]
    return ByFoil(value, value * (foil.get("area_sd") or 0.0) / foil["area"], seen)


def weighed(told: Iterable[Told], k: ByFoil) -> Iterator[Told]:
    """The mass of moss in a spectrum, by its area; the foil's error goes with it."""
    for name, area, sd, _, _ in told:
        if name == f"area({THIN})" and area > 0.0:
            mass_mg = k.mg_per_area * area
            yield f"mass({THIN})", mass_mg, mass_mg * math.hypot((sd or 0.0) / area, k.sd / k.mg_per_area), "mg", FOIL
