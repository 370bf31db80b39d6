"""Where what appears: windows and lines in ppm, per nucleus and chemistry, as tables that people may change (domain.md 4.4).

Where bulk and moss are told apart follows the electrode's angle to B0 (``model.metals``). Without the angle, or where both would
overlap, there is one metal window and no split.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.lines import Line
from orchestrator.model.metals import BULK_ppm, bulk_and_moss_ppm

FWHM_OF_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the axis with a name. ``metal``: its line may have the phase of a skin."""

    name: str
    low_ppm: float
    high_ppm: float
    metal: bool = False

    def __post_init__(self) -> None:
        if not self.low_ppm < self.high_ppm:
            raise ValueError(f"window {self.name} reaches from {self.low_ppm:g} to {self.high_ppm:g} ppm")

    def inside(self, axis_ppm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Bool (points,)."""
        found: NDArray[np.bool_] = (axis_ppm >= self.low_ppm) & (axis_ppm <= self.high_ppm)
        return found


TABLES: dict[str, dict[str, tuple[Window, ...]]] = {
    "7Li": {
        "any": (Window("electrolyte", -10.0, 10.0), Window("metal", 220.0, 310.0, metal=True)),
        "graphite": (Window("dilute", 10.0, 35.0), Window("LiC6", 35.0, 55.0)),
        "silicon": (Window("LixSi", 10.0, 20.0),),
        "germanium": (Window("LixGe", 10.0, 24.0),),
        "LCO": (Window("LCO", 10.0, 100.0),),
    },
    "23Na": {
        "any": (Window("electrolyte", -30.0, 40.0), Window("metal", 1105.0, 1150.0, metal=True)),
        "hard carbon": (Window("quasi-metal", 40.0, 1100.0),),
    },
}
"""Nucleus → chemistry → windows. Sources: domain.md 4.4; where two would overlap the narrower begins beside the other."""
TABLES["6Li"] = TABLES["7Li"]

CHEMISTRIES = {"graphite": "graphite", "silicon": "silicon", "si": "silicon", "ge": "germanium", "lco": "LCO", "licoo2": "LCO",
               "hard carbon": "hard carbon"}  # fmt: skip
"""What people call an electrode → the chemistry of the tables."""
METALS = frozenset({"li", "lithium", "na", "sodium"})


def chemistries(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """The chemistries of a cell record, by the names of its electrodes; ``metal`` among them where one is lithium or sodium."""
    names = " / ".join(str(cell.get(key) or "") for key in ("working", "counter", "positive", "negative")).casefold()
    words = frozenset(re.findall(r"[a-z0-9]+", names))
    found = [known for word, known in CHEMISTRIES.items() if (word in names if " " in word else word in words)]
    return tuple(dict.fromkeys([*(["metal"] if METALS & words else []), *found]))


def metal_windows(nucleus: str, normal_to_B0_deg: float | None) -> tuple[Window, ...]:
    """Bulk and moss where the angle tells them apart; else nothing (the whole metal window stands in the table)."""
    split = bulk_and_moss_ppm(nucleus, normal_to_B0_deg)
    if split is None:
        return ()
    bulk, moss = split
    return (Window("bulk", *bulk, metal=True), Window("moss", *moss, metal=True))


def windows_of(nucleus: str, cell: Mapping[str, Any], edits: Mapping[str, Sequence[float]] | None = None) -> tuple[Window, ...]:
    """The windows of a nucleus in a cell, of those that its ``environments`` name where it names any.

    ``edits``: name → [low, high] in ppm, instead of the table's or besides.
    """
    table = TABLES.get(nucleus, {})
    found = {window.name: window for name in ("any", *chemistries(cell)) for window in table.get(name, ())}
    found |= {window.name: window for window in metal_windows(nucleus, cell.get("electrode_normal_to_B0_deg"))}
    found = {name: window for name, window in found.items() if _has(cell, name)}
    for name, (low_ppm, high_ppm) in (edits or {}).items():
        found[name] = Window(name, float(low_ppm), float(high_ppm), metal=name in {"metal", "bulk", "moss"})
    return tuple(found.values())


def _one_line(nucleus: str, cell: Mapping[str, Any]) -> tuple[Line, ...]:
    """The metal of a cell without moss: one line, whose amplitude is the area whatever its phase."""
    window = next((one for one in windows_of(nucleus, cell) if one.name == "metal"), None)
    if window is None:
        return ()
    low_ppm, high_ppm = BULK_ppm.get(nucleus, (window.low_ppm, window.high_ppm))
    return (Line("metal", (window.low_ppm, window.high_ppm), 0.5 * (low_ppm + high_ppm), (100.0, 700.0, 4000.0)),)


def _has(cell: Mapping[str, Any], environment: str) -> bool:
    """True too where the cell names none."""
    named = cell.get("environments")
    return not named or environment in named


def lines_of(nucleus: str, cell: Mapping[str, Any]) -> tuple[Line, ...]:
    """The metal's lines for the fit: bulk and moss where the angle parts them, one where no moss is; none in a cell without metal.

    Widths [H] at 7 T: bulk Lorentzian 940 Hz; moss Gaussian 1354 Hz on a Lorentzian 560 Hz that is held, since both widths at
    once are not determined. The bulk's Gaussian 47 Hz does not show.
    """
    if "metal" not in chemistries(cell):
        return ()
    if not _has(cell, "moss"):
        return _one_line(nucleus, cell)
    if nucleus not in {"7Li", "6Li"}:
        return ()
    split = metal_windows(nucleus, cell.get("electrode_normal_to_B0_deg"))
    if not split:
        return ()
    bulk, moss = split
    gauss_Hz = 575.0 * FWHM_OF_SD
    return (
        Line("bulk", (bulk.low_ppm, bulk.high_ppm), bulk.low_ppm + 6.9, (300.0, 940.0, 3000.0)),
        Line("moss", (moss.low_ppm, moss.high_ppm), moss.low_ppm + 11.5, (560.0, 560.0, 560.0), (500.0, gauss_Hz, 4000.0), optional=True),
    )
