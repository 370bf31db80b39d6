"""The parameters of one metal|metal cell; every key of ``cell:`` in a twin's description."""

from __future__ import annotations

from dataclasses import dataclass, field

FARADAY_C_PER_MOL = 96485.33212
COULOMB_PER_MAH = 3.6


@dataclass(frozen=True, slots=True)
class SoftShort:
    """The leak of the reference run: at ``worst_at_charge_mAh`` of one-way deposit it is worst, then it heals.

    It begins ``ramp_h`` at ``nominal_mA`` before that charge; conductance rises as (time / ramp)**exponent.
    """

    enabled: bool = True
    worst_at_charge_mAh: float = 9.4
    nominal_mA: float = 0.4
    ramp_h: float = 3.0
    ramp_exponent: float = 1.33
    worst_ohm: float = 180.0
    hold_h: float = 0.5
    heal_h: float = 2.0
    healed_ohm: float = 350.0

    @property
    def onset_C(self) -> float:
        """Deposit at which it begins, in coulomb."""
        return (self.worst_at_charge_mAh - self.nominal_mA * self.ramp_h) * COULOMB_PER_MAH

    def conductance_S(self, age_s: float) -> float:
        """Siemens, ``age_s`` after it began."""
        if age_s <= 0.0:
            return 0.0
        worst, healed, hours = 1.0 / self.worst_ohm, 1.0 / self.healed_ohm, age_s / 3600.0
        if hours < self.ramp_h:
            return float(worst * (hours / self.ramp_h) ** self.ramp_exponent)
        healing = min(1.0, max(0.0, hours - self.ramp_h - self.hold_h) / self.heal_h)
        return worst + (healed - worst) * healing


@dataclass(frozen=True, slots=True)
class CellParameters:
    """One metal|metal cell; units in the names. Defaults: domain.md 5.1 C1."""

    temperature_K: float = 298.0
    area_cm2: float = 0.4
    foil_thickness_um: float = 380.0
    metal_density_g_per_cm3: float = 0.534
    metal_molar_mass_g_per_mol: float = 6.94
    R_ohm: float = 10.0
    lead_ohm: float = 2.0
    open_circuit_V: float = 0.0005
    compliance_V: float = 10.0
    overpotential_scale_V: float = 0.0233
    j0_fresh_mA_per_cm2: float = 0.16
    j0_moss_gain: float = 1.9
    j0_moss_half_mAh_per_cm2: float = 0.2
    j0_ageing_per_mAh_per_cm2: float = 0.17
    nucleation_V: float = 0.060
    nucleation_s: float = 120.0
    nucleation_mA_per_cm2: float = 0.05
    moss_fraction_start: float = 0.5
    moss_fraction_charge_mAh_per_cm2: float = 0.5
    dead_fraction: float = 0.05
    filament_s: float = 120.0
    electrolyte_uL: float = 60.0
    salt_mol_per_L: float = 1.0
    broad_umol: float = 8.0
    sodium_umol: float = 30.0
    slow_arc_s: float = 200.0
    fast_arc_s: float = 0.003
    fast_arc_exponent: float = 0.85
    soft_short: SoftShort = field(default_factory=SoftShort)

    def __post_init__(self) -> None:
        if not 0.0 <= self.dead_fraction < 1.0:
            raise ValueError("dead_fraction must lie in [0, 1)")
        if min(self.area_cm2, self.foil_thickness_um, self.overpotential_scale_V, self.j0_fresh_mA_per_cm2) <= 0.0:
            raise ValueError("area, foil thickness, overpotential scale and j0 must be positive")

    @property
    def metal_mol_per_cm3(self) -> float:
        """Moles of metal in a cubic centimetre."""
        return self.metal_density_g_per_cm3 / self.metal_molar_mass_g_per_mol

    @property
    def foil_mol(self) -> float:
        """Moles of metal in one fresh electrode."""
        return self.area_cm2 * self.foil_thickness_um * 1e-4 * self.metal_mol_per_cm3

    def mol(self, mAh_per_cm2: float) -> float:
        """Moles of a charge per area."""
        return mAh_per_cm2 * COULOMB_PER_MAH * self.area_cm2 / FARADAY_C_PER_MOL
