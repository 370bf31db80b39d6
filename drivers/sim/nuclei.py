"""What a pulse makes of the nuclei: lines, skin depth, excitation, saturation. Pure numpy, no state.

Every line is a set of nodes: places that see their own tip angle and their own phase. Foil: depths below the surface
(transmission and reception each cost exp(-(1+i) z/delta), domain.md 4.12); moss and dead metal: depths inside a thin
filament, lit from both sides (practice.md 24: its diameter counts, the phase stays near 0); the rest: one node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim.cell import State
from drivers.sim.cell_parameters import CellParameters
from drivers.sim.hopping import Exchanging, Hopping
from drivers.sim.sequences import Times

MU0 = 4e-7 * math.pi
FOIL_DEPTHS = 14.0  # in skin depths: exp(-14) is nothing
ENVIRONMENTS = ("bulk", "moss", "dead", "electrolyte", "broad", "sodium")
FILAMENTS = frozenset({"moss", "moss_across", "dead", "plated", "filament"})


@dataclass(frozen=True, slots=True)
class LineParameters:
    """One line at this field: Lorentzian half width at half height and Gaussian standard deviation in Hz.

    ``T2_s`` (and its standard deviation over places): of an echo, not of the width. ``observed``: the part of the moles
    that this line shows (0.4 for the central line of spin 3/2 whose satellites are lost). ``bms_ppm``: how much further the
    shift lies with the electrode's normal across the field (bulk susceptibility, domain.md 4.13: measured, not computed).
    ``Cq_kHz``: the line is a powder pattern of spin 3/2, satellites and all (then ``observed`` stays 1). ``anisotropy_ppm`` of the shift
    (its largest principal value less the mean) and ``asymmetry``: sidebands of a spinning sample. ``hopping``: the Gaussian part narrows.
    """

    shift_ppm: float
    lorentz_half_width_Hz: float
    gauss_sd_Hz: float
    T1_s: float
    shift_ppm_per_mAh_per_cm2: float = 0.0
    T2_s: float = 0.01
    T2_sd_s: float = 0.0
    observed: float = 1.0
    bms_ppm: float = 0.0
    Cq_kHz: float = 0.0
    diffusion_m2_per_s: float = 0.0
    anisotropy_ppm: float = 0.0
    asymmetry: float = 0.0
    hopping: Hopping | None = None

    @property
    def times(self) -> Times:
        """All relaxation times; T2* from the widths of both kinds."""
        dephased = 2.0 * math.pi * self.lorentz_half_width_Hz + math.sqrt(2.0) * math.pi * self.gauss_sd_Hz
        return Times(self.T1_s, self.T2_s, 1.0 / dephased if dephased > 0 else self.T2_s, self.diffusion_m2_per_s)

    def __post_init__(self) -> None:
        if min(self.T1_s, self.T2_s) <= 0.0 or not 0.0 < self.observed <= 1.0:
            raise ValueError("T1 and T2 must be positive, observed in (0, 1]")
        if not 0.0 <= self.asymmetry <= 1.0:
            raise ValueError("asymmetry lies in [0, 1]")


@dataclass(frozen=True, slots=True)
class NucleusParameters:
    """One nucleus: MHz of 0 ppm per tesla, counts per umol and scan after a 90 degree pulse, noise per scan.

    ``noise_counts``: standard deviation of the real (and of the imaginary) part at ``noise_at_spectral_width_Hz``. ``exchanging``: lines
    whose ions change places while magnetisation is stored.
    """

    MHz_per_T: float
    counts_per_umol: float
    noise_counts: float
    lines: dict[str, LineParameters]
    noise_at_spectral_width_Hz: float = 93458.0
    exchanging: tuple[Exchanging, ...] = ()

    def __post_init__(self) -> None:
        if wrong := [name for pair in self.exchanging if pair for name in pair.between if name not in self.lines]:
            raise ValueError(f"`{wrong[0]}` exchanges and has no line")


def _lithium() -> NucleusParameters:
    return NucleusParameters(
        16.546,
        50.0,
        82.0,
        {
            "bulk": LineParameters(246.9, 470.0, 20.0, 0.148, T2_s=0.01, bms_ppm=30.0),
            "moss": LineParameters(267.5, 280.0, 575.0, 0.148, -0.0625, T2_s=0.01),
            "dead": LineParameters(261.0, 280.0, 575.0, 0.148, T2_s=0.01),
            "electrolyte": LineParameters(-0.8, 60.0, 150.0, 1.5, T2_s=0.5),
            "broad": LineParameters(1.3, 100.0, 350.0, 0.5, T2_s=0.005),
        },
    )


def _sodium() -> NucleusParameters:
    return NucleusParameters(11.262, 17.0, 82.0, {"sodium": LineParameters(-2.0, 25.0, 30.0, 0.02, T2_s=0.012)})


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the metal lies in the coil. ``bulk_phase_deg``: None = from the skin depth; a number replaces that phase.

    ``electrode_normal_to_B0_deg``: 0 = the plate lies across the field, 90 = along it; moves every line by its ``bms_ppm``.
    """

    faces_per_electrode: int = 2
    metal_resistivity_nohm_m: float = 92.8
    moss_filament_um: float = 1.5
    moss_visible_fraction: float = 0.45
    bulk_phase_deg: float | None = None
    electrode_normal_to_B0_deg: float = 0.0

    def turned_ppm(self, line: LineParameters) -> float:
        """What the orientation adds to a line's shift: a thin plate's demagnetising factor goes with cos^2 of the angle."""
        return line.bms_ppm * math.sin(math.radians(self.electrode_normal_to_B0_deg)) ** 2


@dataclass(frozen=True, slots=True)
class Nuclei:
    """All nuclei of the cell."""

    geometry: Geometry = field(default_factory=Geometry)
    nucleus: dict[str, NucleusParameters] = field(default_factory=lambda: {"7Li": _lithium(), "23Na": _sodium()})


class Amount(NamedTuple):
    """One line now: what the coil could see of it (umol), where it lies, how far down the foil goes (skin depths), where."""

    environment: str
    umol: float
    shift_ppm: float
    depth: float = math.inf
    side: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """``reach`` float64 (n,): field of the coil relative to free space; ``weight`` complex128 (n,): amount and phase."""

    reach: NDArray[np.float64]
    weight: NDArray[np.complex128]


def skin_depth_um(resistivity_nohm_m: float, frequency_MHz: float) -> float:
    """Skin depth (domain.md 4.11)."""
    return math.sqrt(resistivity_nohm_m * 1e-9 / (math.pi * MU0 * frequency_MHz * 1e6)) * 1e6


_gauss = cache(np.polynomial.legendre.leggauss)


@lru_cache(maxsize=64)
def foil_nodes(depth: float) -> Nodes:
    """One face of a foil ``depth`` skin depths thick; weights sum to depth in units of the skin depth without shielding."""
    end = min(depth, FOIL_DEPTHS)
    roots, weights = _gauss(48)
    z = 0.5 * end * (roots + 1.0)
    reach = np.exp(-z)
    return Nodes(reach, 0.5 * end * weights * reach * np.exp(-2j * z))


@lru_cache(maxsize=64)
def filament_nodes(diameter: float) -> Nodes:
    """A slab ``diameter`` skin depths thick in the same field on both sides; weights sum to nearly 1."""
    k = 1.0 + 1.0j
    roots, weights = _gauss(4)
    field_inside = np.cosh(k * 0.25 * diameter * (roots + 1.0)) / np.cosh(k * 0.5 * diameter)
    return Nodes(np.abs(field_inside), 0.5 * weights * np.abs(field_inside) * np.exp(2j * np.angle(field_inside)))


FREE = Nodes(np.ones(1), np.ones(1, dtype=np.complex128))


def nodes_of(amount: Amount, geometry: Geometry, frequency_MHz: float) -> Nodes:
    """The places of one line, weights for one umol of it (foil: for one skin depth of metal)."""
    if amount.environment == "bulk":
        return foil_nodes(round(min(amount.depth, FOIL_DEPTHS), 3))
    if amount.environment in FILAMENTS:
        return filament_nodes(geometry.moss_filament_um / skin_depth_um(geometry.metal_resistivity_nohm_m, frequency_MHz))
    return FREE


def amounts(state: State, cell: CellParameters, nuclei: Nuclei, nucleus: str, frequency_MHz: float) -> list[Amount]:
    """The lines of a nucleus in one state of the cell."""
    geometry, found = nuclei.geometry, []
    delta_cm = skin_depth_um(geometry.metal_resistivity_nohm_m, frequency_MHz) * 1e-4
    face_umol = 1e6 * cell.area_cm2 * delta_cm * cell.metal_mol_per_cm3
    seen = geometry.moss_visible_fraction * 1e6
    free = {"electrolyte": cell.electrolyte_uL * cell.salt_mol_per_L, "broad": cell.broad_umol, "sodium": cell.sodium_umol}
    for name, line in nuclei.nucleus[nucleus].lines.items():
        if name in free:
            found.append(Amount(name, line.observed * free[name], line.shift_ppm))
            continue
        for side, electrode in (("working", state.working), ("counter", state.counter)):
            shift_ppm = line.shift_ppm + line.shift_ppm_per_mAh_per_cm2 * electrode.throughput_mol / cell.mol(1.0)
            shift_ppm += geometry.turned_ppm(line)
            if name == "bulk":
                depth = electrode.bulk_mol * 1e6 / face_umol / geometry.faces_per_electrode
                found.append(Amount(name, geometry.faces_per_electrode * face_umol, shift_ppm, depth, side))
            else:
                found.append(Amount(name, seen * (electrode.moss_mol if name == "moss" else electrode.dead_mol), shift_ppm, side=side))
    return found


def excite(tip_rad: NDArray[np.float64], pulse_s: float, offset_Hz: float) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """(n,) complex transverse part (on resonance real) and (n,) longitudinal part after a rectangular pulse (domain.md 4.10)."""
    turn = 2.0 * math.pi * offset_Hz * pulse_s
    total = np.hypot(tip_rad, turn)
    total = np.where(total == 0.0, 1e-300, total)
    n_x, n_z = tip_rad / total, turn / total
    return n_x * np.sin(total) + 1j * n_x * n_z * (1.0 - np.cos(total)), n_z**2 + n_x**2 * np.cos(total)


def saturate(
    before: NDArray[np.float64], kept: NDArray[np.float64], recovery: float, dummies: int, scans: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) mean longitudinal magnetisation before the counted pulses, and (n,) what is left after the last pulse.

    ``before``: before the first pulse (dummies first); ``kept``: part that survives a pulse; ``recovery`` = exp(-TR/T1).
    """
    factor = kept * recovery
    steady = (1.0 - recovery) / (1.0 - factor)
    away = before - steady
    geometric = factor**dummies * (1.0 - factor**scans) / (1.0 - factor)
    last = steady + away * factor ** (dummies + scans - 1)
    return steady + away * geometric / scans, last * kept
