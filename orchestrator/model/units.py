"""Quantities as people write them, kept in one canonical unit a kind."""

from __future__ import annotations

from dataclasses import dataclass

FARADAY_C_per_mol = 96485.33212
COULOMB_PER_mAh = 3.6
NOTHING_A = 1e-9
"""A current below this is none."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its canonical unit.

    Time ``s``; voltage ``V``; current ``A``, ``A/cm2`` or ``C`` (multiples of the C-rate: C/5 is 0.2); charge ``mAh``,
    ``mAh/cm2`` or ``%`` (of the capacity that ``of`` names); temperature ``K``; resistance ``ohm``; shift ``ppm``.
    ``of``: the electrode, or "the sodiation so far" style reference, that a percentage is of; "" = the C-rate electrode.
    """

    value: float
    unit: str
    of: str = ""

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        return f"{self.value:g} {self.unit}{of}"
