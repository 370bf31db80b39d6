"""How long the salt at a plated face lasts: limiting current and Sand's time of a cell, from what its record says. Pure.

Above 2 D c0 F / (t_a L) the salt at the face is gone after π D (c0 F / (2 j t_a))², with t_a = 1 - t_plus; then deposits are dendritic,
below mossy (domain.md 4.9 [K: Bai 2016, Chang 2015]). D is that of the salt between the electrodes, separator included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FARADAY_C_PER_mol = 96485.33212


def sand_time_s(D_cm2_per_s: float, concentration_mol_per_L: float, current_mA_per_cm2: float, t_anion: float) -> float:
    """Sand's time π D (c0 F / (2 j t_a))²."""
    j_A_per_cm2 = abs(current_mA_per_cm2) * 1e-3
    return math.pi * D_cm2_per_s * (concentration_mol_per_L * 1e-3 * FARADAY_C_PER_mol / (2.0 * j_A_per_cm2 * t_anion)) ** 2


@dataclass(frozen=True, slots=True)
class SaltBetween:
    """The salt between two electrodes of one area."""

    diffusion_cm2_per_s: float
    mol_per_L: float
    t_plus: float
    gap_mm: float
    area_cm2: float

    @classmethod
    def of(cls, cell: Mapping[str, Any]) -> SaltBetween | None:
        """Of a cell record as plain data; None where it does not say (``unknown``)."""
        if unknown(cell):
            return None
        return cls(**{name: float(value) for name, value in cell["salt"].items()}, area_cm2=float(cell["area_cm2"]))

    @property
    def limiting_mA_per_cm2(self) -> float:
        """The current that the salt bears for ever: 2 D c0 F / (t_a L)."""
        carried_C_per_cm3 = self.mol_per_L * 1e-3 * FARADAY_C_PER_mol
        return 2e3 * self.diffusion_cm2_per_s * carried_C_per_cm3 / ((1.0 - self.t_plus) * 0.1 * self.gap_mm)

    def lasts_s(self, current_A: float) -> float:
        """Sand's time of a current; inf up to the limiting one."""
        current_mA_per_cm2 = abs(current_A) * 1e3 / self.area_cm2
        if current_mA_per_cm2 <= self.limiting_mA_per_cm2:
            return math.inf
        return sand_time_s(self.diffusion_cm2_per_s, self.mol_per_L, current_mA_per_cm2, 1.0 - self.t_plus)


def unknown(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that Sand's time still needs of a cell record."""
    return tuple(name for name in ("salt", "area_cm2") if not cell.get(name))
