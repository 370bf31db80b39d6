"""Where the ions of a ``Pair`` are, and which lines they make: every area is traceable to moles."""

from __future__ import annotations

import math
from typing import NamedTuple

from drivers.sim.electrodes import FoilLaw, Half, InsertionLaw, Law
from drivers.sim.nuclei import FILAMENTS, Amount, Nuclei, skin_depth_um
from drivers.sim.pair import Pair, PairState
from drivers.sim.pair_parameters import PairParameters, Side
from drivers.sim.table import Table

SIDES = frozenset({"working", "counter"})


class Place(NamedTuple):
    """One environment of one electrode: moles, and its shift where composition moves it."""

    environment: str
    side: str
    mol: float
    shift_ppm: float | None = None


def names_of(pair: PairParameters) -> tuple[str, ...]:
    """Every environment that a cell can have."""
    found = dict.fromkeys(("electrolyte", "other", *pair.beside))
    for side in (pair.working, pair.counter):
        found |= dict.fromkeys(_names(side))
    return tuple(found)


def _names(side: Side) -> list[str]:
    if side.foil is not None:
        across = ["moss_across"] if side.foil.across_fraction else []
        return ["bulk", "filament" if side.foil.voids else "moss", *across, "dead", "sei"]
    assert side.insertion is not None
    metal = ["plated", "dead"] if side.insertion.plating else []
    return [*(phase.line for phase in side.insertion.phases), *metal, "sei"]


def places(cell: Pair, state: PairState) -> list[Place]:
    """Electrolyte first, then working, then counter; always as many, in the same order."""
    p = cell.parameters
    found = [Place("electrolyte", "", state.salt_mol), Place("other", "", 1e-6 * p.other_umol)]
    for side, law, half in (("working", cell.working, state.working), ("counter", cell.counter, state.counter)):
        found += _of(law, half, side)
    return found


def _of(law: Law, half: Half, side: str) -> list[Place]:
    if isinstance(law, FoilLaw):
        moss = "filament" if law.foil.voids else "moss"
        across, moles = law.foil.across_fraction, [("bulk", half.bulk_mol), (moss, (1.0 - law.foil.across_fraction) * half.moss_mol)]
        moles += [("moss_across", across * half.moss_mol)] if across else []
        return [Place(name, side, mol) for name, mol in (*moles, ("dead", half.dead_mol), ("sei", half.sei_mol))]
    assert isinstance(law, InsertionLaw)
    metal = [Place("plated", side, half.moss_mol), Place("dead", side, half.dead_mol)] if law.host.plating else []
    return [*_phases(law, half, side), *metal, Place("sei", side, half.sei_mol)]


def _phases(law: InsertionLaw, half: Half, side: str) -> list[Place]:
    x = law.x(half)
    rest = 1.0 - sum(share.at(x) for _, share, _ in law.phases if share is not None)
    return [
        Place(line, side, (rest if share is None else share.at(x)) * half.inserted_mol, None if shift is None else shift.at(x))
        for line, share, shift in law.phases
    ]


def neighbours(cell: Pair, state: PairState) -> list[Place]:
    """What lies beside the metal's ions; not in their balance."""
    beside, found = cell.parameters.beside, []
    hours = state.t_s / 3600.0
    left = {name: one.umol * math.exp(-one.rate_per_h * hours) for name, one in beside.items()}
    for name, one in beside.items():
        made = sum(other.umol - left[of] for of, other in beside.items() if other.becomes == name)
        umol = (left[name] + made) * (1.0 - displaced(cell, state) if one.displaced else 1.0)
        shift_ppm = Table(one.shift_ppm).at(_x_working(cell, state)) if one.shift_ppm else None
        found.append(Place(name, "outside" if one.outside else "", 1e-6 * umol, shift_ppm))
    return found


def displaced(cell: Pair, state: PairState) -> float:
    """The part of the electrolyte's room that moss and dead metal have taken."""
    metal_mol = sum(half.moss_mol + half.dead_mol for half in (state.working, state.counter))
    return min(1.0, 1e3 * metal_mol / cell.parameters.metal_mol_per_cm3 / cell.parameters.electrolyte_uL)


def _x_working(cell: Pair, state: PairState) -> float:
    return cell.working.x(state.working) if isinstance(cell.working, InsertionLaw) else 0.0


def pair_populations_mol(cell: Pair, state: PairState) -> dict[str, float]:
    """Moles by ``environment_side``; their sum never changes."""
    found: dict[str, float] = {}
    for place in places(cell, state):
        name = f"{place.environment}_{place.side}".rstrip("_")
        found[name] = found.get(name, 0.0) + place.mol
    return found


def pair_amounts(cell: Pair, state: PairState, nuclei: Nuclei, nucleus: str, frequency_MHz: float) -> list[Amount]:
    """The lines of a nucleus in one state of the cell; what has no line under this nucleus is not seen by it."""
    lines, geometry, found = nuclei.nucleus[nucleus].lines, nuclei.geometry, []
    for place in (*places(cell, state), *neighbours(cell, state)):
        line = lines.get(place.environment)
        if line is None:
            continue
        part = line.observed * _isotope_part(cell, state, place, nucleus)
        shift_ppm = line.shift_ppm if place.shift_ppm is None else place.shift_ppm
        shift_ppm += geometry.turned_ppm(line)
        if place.side in SIDES:
            shift_ppm += line.shift_ppm_per_mAh_per_cm2 * getattr(state, place.side).throughput_mol / cell.parameters.mol(1.0)
        if place.environment == "bulk":
            found.append(_foil(cell.parameters, place, nuclei, frequency_MHz, shift_ppm, part))
            continue
        seen = geometry.moss_visible_fraction if place.environment in FILAMENTS - {"filament"} else 1.0
        found.append(Amount(place.environment, 1e6 * part * seen * place.mol, shift_ppm, side=place.side))
    return found


def _foil(pair: PairParameters, place: Place, nuclei: Nuclei, frequency_MHz: float, shift_ppm: float, part: float) -> Amount:
    """A foil as its faces: umol of one skin depth on all of them, and how many skin depths there are (one face where bare)."""
    foil = getattr(pair, place.side).foil
    faces = nuclei.geometry.faces_per_electrode if foil.thickness_um > 0.0 else 1
    delta_cm = skin_depth_um(nuclei.geometry.metal_resistivity_nohm_m, frequency_MHz) * 1e-4
    face_umol = 1e6 * pair.area_cm2 * delta_cm * pair.metal_mol_per_cm3
    return Amount("bulk", part * faces * face_umol, shift_ppm, place.mol * 1e6 / face_umol / faces, place.side)


def _isotope_part(cell: Pair, state: PairState, place: Place, nucleus: str) -> float:
    """The part of a place that is this isotope; 1 where the cell does not tell isotopes apart."""
    if cell.parameters.exchange is None or place.environment in cell.parameters.beside:
        return 1.0
    isotopes = state.isotopes
    if place.side:
        whole, seven = getattr(state, place.side).moles, getattr(isotopes, f"{place.side}_mol")
    else:
        whole, seven = state.salt_mol, isotopes.electrolyte_mol
    part: float = seven / whole if whole > 0.0 else 0.0
    return part if nucleus == "7Li" else 1.0 - part
