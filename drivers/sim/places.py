"""What lies where between and on two discs: planes, layers and blocks along z (the stack), with what the salt and the moss do. Pure numpy.

The working electrode lies at positive z. A foil shows its faces, a host its thickness; electrolyte fills the gap as its salt lies, less
what moss at either face displaces; water outside lies beyond the working electrode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim.nuclei import Amount
from drivers.sim.salt import Salt

Floats = NDArray[np.float64]
LAYERS = 128
OUTSIDE_mm = (1.0, 3.0)
"""From the separator's face: where water outside the cell lies (inferred)."""


@dataclass(frozen=True, slots=True)
class Body:
    """Of the two discs: their radius, how thick each is, how long a short takes to grow, and what a mole of metal fills.

    ``crossing_mol``: of a filament that reaches from face to face; infinite where it grows by time alone.
    """

    radius_mm: float
    working_mm: float
    counter_mm: float
    filament_s: float
    working_host: bool = False
    counter_host: bool = False
    mm_per_mol: float = 0.0
    crossing_mol: float = math.inf

    def thick_mm(self, side: str) -> float:
        """Of an electrode."""
        return self.working_mm if side == "working" else self.counter_mm

    def is_host(self, side: str) -> bool:
        """Is it filled, and not a metal of which only skins are seen?"""
        return self.working_host if side == "working" else self.counter_host


def body_of(cell: Any, host_mm: float = 0.0) -> Body:
    """Of a cell's parameters: of C1, or of any pair of electrodes; a host is ``host_mm`` thick."""
    radius_mm = 10.0 * math.sqrt(cell.area_cm2 / math.pi)
    mm_per_mol = 10.0 / cell.metal_mol_per_cm3 / cell.area_cm2
    if hasattr(cell, "foil_thickness_um"):
        foil_mm = 1e-3 * cell.foil_thickness_um
        return Body(radius_mm, foil_mm, foil_mm, cell.filament_s, mm_per_mol=mm_per_mol)
    sides = (cell.working, cell.counter)
    thick = [host_mm if side.foil is None else 1e-3 * side.foil.thickness_um for side in sides]
    hosts = [side.foil is None and host_mm > 0.0 for side in sides]
    crossing_mol = min((side.foil.voids.crossing_mol for side in sides if side.foil and side.foil.voids), default=math.inf)
    return Body(radius_mm, thick[0], thick[1], cell.filament_s, hosts[0], hosts[1], mm_per_mol, crossing_mol)


class Filling(NamedTuple):
    """Of the gap: the salt's modes, and how thick a layer of moss at each face drives electrolyte out, and how much of it there."""

    salt: Salt = Salt()
    working_mm: float = 0.0
    counter_mm: float = 0.0
    porosity: float = 1.0


def filling_of(body: Body, state: Any, porosity: float, *, displaced: bool) -> Filling:
    """In one state of the cell; rounded, so that what hardly changes is computed once."""
    salt = Salt(*(round(mode, 5) for mode in getattr(state, "salt", None) or Salt()))
    if not displaced:
        return Filling(salt)
    layers = [round(body.mm_per_mol * (half.moss_mol + half.dead_mol) / (1.0 - porosity), 5) for half in (state.working, state.counter)]
    return Filling(salt, layers[0], layers[1], porosity)


def filled(z_mm: Floats, gap_mm: float, filling: Filling) -> Floats:
    """float64 (n,): how much electrolyte lies at each z, 1 where it is fresh."""
    u = 0.5 - z_mm / gap_mm
    inside = np.abs(z_mm) < gap_mm / 2.0
    left = np.where(u * gap_mm < filling.working_mm, filling.porosity, 1.0) * np.where(
        (1.0 - u) * gap_mm < filling.counter_mm, filling.porosity, 1.0
    )
    return np.asarray(inside * left * filling.salt.profile(np.clip(u, 0.0, 1.0)), dtype=np.float64)


def faces_mm(body: Body, gap_mm: float, side: str) -> tuple[float, ...]:
    """Where the skins of an electrode lie."""
    sign = 1.0 if side == "working" else -1.0
    return tuple(dict.fromkeys((sign * gap_mm / 2.0, sign * (gap_mm / 2.0 + body.thick_mm(side)))))


def along_mm(body: Body, gap_mm: float, place: str, filling: Filling) -> tuple[Floats, Floats]:
    """float64 (n,), (n,): places along z and how a signal of 1 lies over them."""
    if place in {"working", "counter"} and not body.is_host(place):
        z_mm = np.array(faces_mm(body, gap_mm, place))
        return z_mm, np.full(z_mm.size, 1.0 / z_mm.size)
    low_mm, high_mm = _edges_mm(body, gap_mm, place)
    z_mm = low_mm + (np.arange(LAYERS) + 0.5) * (high_mm - low_mm) / LAYERS
    shown = filled(z_mm, gap_mm, filling) if place == "between" else np.ones(LAYERS)
    return z_mm, shown / shown.sum()


def _edges_mm(body: Body, gap_mm: float, place: str) -> tuple[float, float]:
    half = gap_mm / 2.0
    match place:
        case "working":
            return half, half + body.working_mm
        case "counter":
            return -half - body.counter_mm, -half
        case "outside":
            return half + OUTSIDE_mm[0], half + OUTSIDE_mm[1]
        case _:
            return -half, half


def place_of(amount: Amount) -> str:
    """Where the nuclei of a line lie: on the ``working`` or ``counter`` electrode, in the ``cluster``, ``between`` or ``outside``."""
    return "cluster" if amount.environment == "filament" else amount.side or "between"
