"""The parameters of a cell of any two electrodes; every key of ``pair:`` in a twin's description.

An electrode is a ``foil`` (metal, or a bare collector when its thickness is 0) or an ``insertion`` host. What a cell is,
is said by its file alone: voltages, shares of phases and shifts are tables against composition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.sim.cell_parameters import COULOMB_PER_MAH, FARADAY_C_PER_MOL, SoftShort
from drivers.sim.table import Points, Table


@dataclass(frozen=True, slots=True)
class Voids:
    """The contact of a stripped face with a solid electrolyte: theta falls by ``loss`` a mAh/cm2 above ``above_mA_per_cm2``.

    Its resistance is R / theta**exponent; plated where j / theta exceeds ``filament_mA_per_cm2``, a filament grows.
    ``filament_share`` of the current goes into it and it conducts once it has crossed, ``filament_umol`` long (O14); 0: it grows by time
    alone and conducts from its first instant. Source: domain.md 5.1 C6 (inferred there, tuned to Rees 2021); exponent, share inferred.
    """

    resistance_ohm_cm2: float = 20.0
    exponent: float = 1.0
    loss_per_mAh_per_cm2: float = 0.09
    above_mA_per_cm2: float = 0.1
    least: float = 0.02
    filament_mA_per_cm2: float = 1.5
    filament_ohm: float = 1.0
    filament_umol: float = 0.005
    filament_share: float = 0.0

    @property
    def crossing_mol(self) -> float:
        """What a filament holds that reaches from face to face; infinite where length is no matter."""
        return 1e-6 * self.filament_umol if self.filament_share > 0.0 else math.inf


@dataclass(frozen=True, slots=True)
class Foil:
    """A metal electrode: dense metal, moss, dead metal and SEI, as in C1; ``bare_V``: where a bare collector floats.

    ``moss_fraction_charge_mAh_per_cm2`` of 0: everything that is plated is dense. ``across_fraction``: of the moss, what lies along the
    foil and not away from it, with a line of its own, ``moss_across`` (O10).
    """

    thickness_um: float = 380.0
    resistance_ohm_cm2: float = 0.0
    overpotential_scale_V: float = 0.0233
    j0_fresh_mA_per_cm2: float = 0.16
    j0_moss_gain: float = 1.9
    j0_moss_half_mAh_per_cm2: float = 0.2
    j0_ageing_per_mAh_per_cm2: float = 0.0
    nucleation_V: float = 0.0
    nucleation_s: float = 120.0
    nucleation_mA_per_cm2: float = 0.05
    moss_fraction_start: float = 0.5
    moss_fraction_charge_mAh_per_cm2: float = 0.5
    across_fraction: float = 0.0
    dead_fraction: float = 0.05
    plating_efficiency: float = 1.0
    bare_V: float = 0.0
    surface_F_per_cm2: float = 0.05
    voids: Voids | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.dead_fraction < 1.0 or not 0.0 < self.plating_efficiency <= 1.0:
            raise ValueError("dead_fraction must lie in [0, 1), plating_efficiency in (0, 1]")
        if min(self.overpotential_scale_V, self.j0_fresh_mA_per_cm2, self.surface_F_per_cm2) <= 0.0:
            raise ValueError("overpotential scale, j0 and surface capacity must be positive")


@dataclass(frozen=True, slots=True)
class Plating:
    """Metal on an insertion electrode below 0 V: its own branch beside insertion; it returns into the host in ``return_s``."""

    resistance_ohm_cm2: float = 20.0
    nucleation_V: float = 0.01
    nucleation_nmol: float = 5.0
    efficiency: float = 0.95
    dead_fraction: float = 0.05
    return_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Decay:
    """What is inserted above ``above_x`` is lost to SEI with ``tau_s`` (silicon: Li15+xSi4 to Li15Si4, O8)."""

    above_x: float = 1.0
    tau_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One environment of the host: which line, its share of what is inserted against x (none: the rest), its shift against x."""

    line: str
    share: Points = ()
    shift_ppm: Points = ()


@dataclass(frozen=True, slots=True)
class Insertion:
    """A host: x = inserted / capacity; open-circuit voltage against the metal over x, one lag for diffusion.

    ``diffusion_s``: how much dx/dt the surface leads by; ``lag_s``: how fast it gets there. For a sphere of radius R:
    R^2 / (15 D) and about a third of it.
    """

    capacity_mAh: float = 2.4
    x_start: float = 0.0
    ocv_V: Points = ((0.0, 1.0), (1.0, 0.0))
    resistance_ohm_cm2: float = 0.0
    overpotential_scale_V: float = 0.0514
    j0_mA_per_cm2: float = 1.0
    diffusion_s: float = 0.0
    lag_s: float = 60.0
    surface_F_per_cm2: float = 0.05
    phases: tuple[Phase, ...] = ()
    plating: Plating | None = None
    decay: Decay | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.x_start <= 1.0 or self.capacity_mAh <= 0.0 or self.j0_mA_per_cm2 <= 0.0:
            raise ValueError("x_start must lie in [0, 1]; capacity and j0 must be positive")
        Table(self.ocv_V)
        rests = [phase.line for phase in self.phases if not phase.share]
        if not self.phases or len(rests) != 1:
            raise ValueError("exactly one phase takes the rest: it has no `share`")
        shares = [Table(phase.share) for phase in self.phases if phase.share]
        for x in sorted({x for share in shares for x in share.knots}):
            if not -1e-9 <= sum(share.at(x) for share in shares) <= 1.0 + 1e-9:
                raise ValueError(f"the shares at x = {x:g} are below 0 or above 1")


@dataclass(frozen=True, slots=True)
class Side:
    """One electrode: a foil or a host, not both."""

    foil: Foil | None = None
    insertion: Insertion | None = None

    def __post_init__(self) -> None:
        if (self.foil is None) == (self.insertion is None):
            raise ValueError("an electrode is either a `foil` or an `insertion`")


@dataclass(frozen=True, slots=True)
class Transition:
    """Overpotential that rises with the microstructure, and what happens once it is too large (sodium, O17).

    ``start_V + per_mAh_V x (moss + dead of both electrodes)`` at ``nominal_mA_per_cm2``, linear in the current. Above
    ``at_V`` the electrolyte is eaten ``faster`` times as fast and moss and dead metal form ``moss_growth`` times as fast.
    Numbers are inferred in domain.md 5.1 C7; 0.15 V belongs to one electrolyte and current (practice.md 31).
    """

    start_V: float = 0.03
    per_mAh_per_cm2_V: float = 0.03
    nominal_mA_per_cm2: float = 1.0
    at_V: float = 0.15
    loss_nmol_per_h: float = 20.0
    faster: float = 20.0
    moss_growth: float = 5.0
    noise: float = 10.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """6Li and 7Li between metal and electrolyte at rest: parts of 7Li as built, and how fast they become equal (O28)."""

    metal_7Li: float = 0.05
    electrolyte_7Li: float = 0.924
    rate_per_h: float = 0.15


@dataclass(frozen=True, slots=True)
class Transport:
    """The salt between the electrodes as a profile (``drivers.sim.salt``), and when metal that grows dense turns into moss.

    That is where the plated face has no salt left (Sand), or after ``moss_after_mAh_per_cm2`` of one plating: the weaker law below
    the limiting current (domain.md 1 O13; that it goes by charge is inferred). 0: moss as the foil says, from the start.
    """

    diffusion_m2_per_s: float = 1e-10
    anion_number: float = 0.6
    gap_mm: float = 2.0
    moss_after_mAh_per_cm2: float = 0.0

    def __post_init__(self) -> None:
        if min(self.diffusion_m2_per_s, self.gap_mm) <= 0.0 or not 0.0 < self.anion_number < 1.0:
            raise ValueError("diffusion and gap must be positive, anion_number in (0, 1)")


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside the metal's ions: a solvent, an anion, another cation, water outside the cell. Its lines bear its name.

    ``umol`` as built; ``becomes``: the name of what it turns into, ``rate_per_h`` of what is left (domain.md 1 O23). ``shift_ppm``:
    against x of the working host (O25). ``displaced``: its room is the electrolyte's, from which moss and dead metal drive it out (O15).
    ``outside``: it lies outside the cell.
    """

    umol: float
    becomes: str = ""
    rate_per_h: float = 0.0
    shift_ppm: Points = ()
    displaced: bool = False
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A third electrode in the electrolyte that carries no current.

    ``share``: of the way from the working to the counter electrode at which it stands: so much of the ohmic drop is the working
    electrode's. ``potential_V``: its own, against the metal that the tables of both electrodes refer to.
    """

    share: float = 0.5
    potential_V: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError("share must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class PairParameters:
    """One cell; units in the names. ``spinning_kHz``: a jelly roll in a rotor at the magic angle (O26); 0: static."""

    working: Side = field(default_factory=lambda: Side(foil=Foil()))
    counter: Side = field(default_factory=lambda: Side(foil=Foil()))
    temperature_K: float = 298.0
    area_cm2: float = 0.785
    metal_density_g_per_cm3: float = 0.534
    metal_molar_mass_g_per_mol: float = 6.94
    R_ohm: float = 10.0
    lead_ohm: float = 2.0
    compliance_V: float = 10.0
    electrolyte_uL: float = 60.0
    salt_mol_per_L: float = 1.0
    other_umol: float = 0.0
    filament_s: float = 120.0
    slow_arc_s: float = 200.0
    fast_arc_s: float = 0.003
    fast_arc_exponent: float = 0.85
    soft_short: SoftShort = field(default_factory=lambda: SoftShort(enabled=False))
    transition: Transition | None = None
    exchange: Exchange | None = None
    transport: Transport | None = None
    beside: Mapping[str, Beside] = field(default_factory=dict)
    reference: Reference | None = None
    spinning_kHz: float = 0.0

    def __post_init__(self) -> None:
        if min(self.area_cm2, self.electrolyte_uL, self.salt_mol_per_L) <= 0.0:
            raise ValueError("area and electrolyte must be positive")
        if wrong := [one.becomes for one in self.beside.values() if one.becomes and one.becomes not in self.beside]:
            raise ValueError(f"`{wrong[0]}` is not beside: it has no entry of its own")

    @property
    def metal_mol_per_cm3(self) -> float:
        """Moles of metal in a cubic centimetre."""
        return self.metal_density_g_per_cm3 / self.metal_molar_mass_g_per_mol

    @property
    def salt_mol(self) -> float:
        """Moles of the ion in the fresh electrolyte."""
        return 1e-6 * self.electrolyte_uL * self.salt_mol_per_L

    def mol(self, mAh_per_cm2: float) -> float:
        """Moles of a charge per area."""
        return mAh_per_cm2 * COULOMB_PER_MAH * self.area_cm2 / FARADAY_C_PER_MOL
