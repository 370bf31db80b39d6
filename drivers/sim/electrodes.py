"""The two kinds of electrode of a ``Pair``: what potential they have under a current, and what a current does to them.

Currents are oxidation positive *at this electrode*, potentials against the bare metal. Charge that nothing else can take
(a collector without metal, a host that is full or empty) stands in the surface's capacity: no mole moves with it, the
potential runs straight to the step's limit and no further than that within one sample.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from drivers.sim.cell_parameters import COULOMB_PER_MAH, FARADAY_C_PER_MOL
from drivers.sim.pair_parameters import Foil, Insertion, PairParameters
from drivers.sim.table import Table

REST_V = 0.1  # at this potential plated metal returns with ``return_s``


class Half(NamedTuple):
    """One electrode: moles by place, surface charge, lead of the surface composition, contact with a solid electrolyte."""

    bulk_mol: float = 0.0
    moss_mol: float = 0.0
    dead_mol: float = 0.0
    sei_mol: float = 0.0
    inserted_mol: float = 0.0
    deposit_mol: float = 0.0
    throughput_mol: float = 0.0
    surface_C: float = 0.0
    lead_x: float = 0.0
    contact: float = 1.0

    @property
    def moles(self) -> float:
        """All of the ion or metal in it."""
        return self.bulk_mol + self.moss_mol + self.dead_mol + self.sei_mol + self.inserted_mol


class Law(Protocol):
    """What a ``Pair`` asks of an electrode."""

    def fresh(self) -> Half:
        """As built."""

    def potential(self, half: Half, current_A: float, crest: float) -> tuple[float, float]:
        """Volts and slope in ohm under a current; ``crest``: how much of the nucleation is left."""

    def passed(self, half: Half, current_A: float, span_s: float, worse: float) -> Half:
        """After a current for a time; ``worse``: how much faster moss and dead metal form."""

    def drift_ohm(self, half: Half, span_s: float) -> float:
        """How far the potential moves in half that time, per ampere: makes held voltages stable in long steps."""

    def left_C(self, half: Half, current_A: float) -> float:
        """Charge in the direction of a current until something else must carry it: surface, metal or host are spent."""


def uncharged(half: Half, charge_C: float) -> tuple[Half, float]:
    """The surface gives back what it holds before anything else reacts; what is left of the charge."""
    held_C = half.surface_C
    if held_C == 0.0 or held_C * charge_C >= 0.0:
        return half, charge_C
    if abs(charge_C) < abs(held_C):
        return half._replace(surface_C=held_C + charge_C), 0.0
    return half._replace(surface_C=0.0), charge_C + held_C


def _held_C(half: Half, current_A: float) -> float:
    """What the surface gives back first; 0 where it does not."""
    return abs(half.surface_C) if half.surface_C * current_A < 0.0 else 0.0


class FoilLaw:
    """A metal foil, or a bare collector; the laws of C1, with SEI from the charge that plating loses."""

    def __init__(self, foil: Foil, pair: PairParameters) -> None:
        self.foil = foil
        self._area_cm2 = pair.area_cm2
        self._q0_mol = pair.mol(foil.moss_fraction_charge_mAh_per_cm2)
        self._half_mol = pair.mol(foil.j0_moss_half_mAh_per_cm2)
        self._ageing_per_mol = foil.j0_ageing_per_mAh_per_cm2 / pair.mol(1.0)
        self._fresh_A = 2e-3 * foil.j0_fresh_mA_per_cm2 * pair.area_cm2
        self._nucleation_A = 1e-3 * foil.nucleation_mA_per_cm2 * pair.area_cm2
        self._surface_F = foil.surface_F_per_cm2 * pair.area_cm2
        self._ohm = foil.resistance_ohm_cm2 / pair.area_cm2
        self._metal_mol = pair.area_cm2 * foil.thickness_um * 1e-4 * pair.metal_mol_per_cm3
        self._mol_per_contact = pair.mol(1.0 / foil.voids.loss_per_mAh_per_cm2) if foil.voids else math.inf
        self._voids_ohm = foil.voids.resistance_ohm_cm2 / pair.area_cm2 if foil.voids else 0.0

    def fresh(self) -> Half:
        """As built: metal, or a collector that floats at ``bare_V``."""
        return Half(self._metal_mol, surface_C=self.foil.bare_V * self._surface_F if self._metal_mol == 0.0 else 0.0)

    def potential(self, half: Half, current_A: float, crest: float) -> tuple[float, float]:
        """Surface charge, films, contact, charge transfer and nucleation."""
        foil, ohm = self.foil, self._ohm
        if foil.voids is not None:
            ohm += self._voids_ohm / half.contact**foil.voids.exponent
        gain = 1.0 + foil.j0_moss_gain * half.moss_mol / (half.moss_mol + self._half_mol)
        exchange_A = self._fresh_A * gain / (1.0 + self._ageing_per_mol * half.throughput_mol)
        volts = half.surface_C / self._surface_F + ohm * current_A + foil.overpotential_scale_V * math.asinh(current_A / exchange_A)
        slope = ohm + foil.overpotential_scale_V / math.hypot(current_A, exchange_A)
        if current_A < 0.0 and crest > 0.0 and foil.nucleation_V > 0.0:
            lean = math.tanh(current_A / self._nucleation_A)
            volts += foil.nucleation_V * crest * lean
            slope += foil.nucleation_V * crest * (1.0 - lean * lean) / self._nucleation_A
        return volts, slope

    def drift_ohm(self, half: Half, span_s: float) -> float:
        """A bare surface charges; metal does not drift."""
        bare = half.bulk_mol + half.moss_mol <= 0.0 or half.surface_C != 0.0
        return 0.5 * span_s / self._surface_F if bare else 0.0

    def left_C(self, half: Half, current_A: float) -> float:
        """The surface's charge; then all metal that can be stripped, or no end of plating."""
        if held_C := _held_C(half, current_A):
            return held_C
        metal_mol = half.bulk_mol + (1.0 - self.foil.dead_fraction) * half.moss_mol
        return metal_mol * FARADAY_C_PER_MOL if current_A > 0.0 and metal_mol > 0.0 else math.inf

    def passed(self, half: Half, current_A: float, span_s: float, worse: float) -> Half:
        """Strip moss, then foil, then charge the surface; plate dense metal and moss, a part of the charge makes SEI."""
        half, charge_C = uncharged(half, current_A * span_s)
        mol = abs(charge_C) / FARADAY_C_PER_MOL
        if mol == 0.0:
            return half
        return self._stripped(half, mol, span_s, worse) if charge_C > 0.0 else self._plated(half, mol, worse)

    def _plated(self, half: Half, mol: float, worse: float) -> Half:
        foil = self.foil
        metal = mol * foil.plating_efficiency
        dense = metal if self._q0_mol <= 0.0 else self._dense(half.deposit_mol, metal, worse)
        return half._replace(
            bulk_mol=half.bulk_mol + dense,
            moss_mol=half.moss_mol + (metal - dense),
            sei_mol=half.sei_mol + (mol - metal),
            deposit_mol=half.deposit_mol + metal,
            throughput_mol=half.throughput_mol + mol,
            contact=min(1.0, half.contact + mol / self._mol_per_contact),
        )

    def _dense(self, deposit_mol: float, metal_mol: float, worse: float) -> float:
        """What grows dense of a metal that is plated on a deposit (domain.md 5.1 C1)."""
        start, q0 = 1.0 - (1.0 - self.foil.moss_fraction_start) / worse, self._q0_mol
        return -(1.0 - start) * q0 * math.exp(-deposit_mol / q0) * math.expm1(-metal_mol / q0)

    def _stripped(self, half: Half, mol: float, span_s: float, worse: float) -> Half:
        kept = 1.0 - min(0.9, self.foil.dead_fraction * worse)
        from_moss = min(mol, kept * half.moss_mol)
        gone = from_moss < kept * half.moss_mol
        dead = from_moss / kept - from_moss if gone else half.moss_mol - from_moss
        from_bulk = min(mol - from_moss, half.bulk_mol)
        moved = from_moss + from_bulk
        return half._replace(
            bulk_mol=half.bulk_mol - from_bulk,
            moss_mol=max(0.0, half.moss_mol - from_moss - dead) if gone else 0.0,
            dead_mol=half.dead_mol + dead,
            deposit_mol=max(0.0, half.deposit_mol - moved),
            throughput_mol=half.throughput_mol + moved,
            surface_C=half.surface_C + (mol - moved) * FARADAY_C_PER_MOL,
            contact=self._lost_contact(half.contact, mol, span_s),
        )

    def _lost_contact(self, contact: float, mol: float, span_s: float) -> float:
        voids = self.foil.voids
        if voids is None or mol * FARADAY_C_PER_MOL / span_s <= 1e-3 * voids.above_mA_per_cm2 * self._area_cm2:
            return contact
        return max(voids.least, contact - mol / self._mol_per_contact)


class InsertionLaw:
    """A host with an open-circuit voltage over composition, a surface that leads, and metal that plates on it below 0 V."""

    def __init__(self, host: Insertion, pair: PairParameters) -> None:
        self.host = host
        self.capacity_mol = host.capacity_mAh * COULOMB_PER_MAH / FARADAY_C_PER_MOL
        self._ocv = Table(host.ocv_V)
        self.phases = [
            (phase.line, Table(phase.share) if phase.share else None, Table(phase.shift_ppm) if phase.shift_ppm else None)
            for phase in host.phases
        ]
        self._exchange_A = 2e-3 * host.j0_mA_per_cm2 * pair.area_cm2
        self._ohm = host.resistance_ohm_cm2 / pair.area_cm2
        self._surface_F = host.surface_F_per_cm2 * pair.area_cm2
        self._plating_S = pair.area_cm2 / host.plating.resistance_ohm_cm2 if host.plating else 0.0

    def fresh(self) -> Half:
        """As built."""
        return Half(inserted_mol=self.host.x_start * self.capacity_mol)

    def x(self, half: Half) -> float:
        """Composition."""
        return half.inserted_mol / self.capacity_mol

    def _surface(self, half: Half) -> tuple[float, float, float]:
        """Voltage of the surface, its slope over x, and the exchange current there."""
        x = min(1.0, max(0.0, half.inserted_mol / self.capacity_mol + half.lead_x))
        volts, slope = self._ocv.at_with_slope(x)
        return volts + half.surface_C / self._surface_F, slope, self._exchange_A * (0.2 + 1.6 * math.sqrt(x * (1.0 - x)))

    def potential(self, half: Half, current_A: float, crest: float) -> tuple[float, float]:  # noqa: ARG002
        """Insertion alone, or shared with plating."""
        volts, _, exchange_A = self._surface(half)
        scale_V = self.host.overpotential_scale_V
        alone_V = volts + scale_V * math.asinh(current_A / exchange_A)
        if self.host.plating is None or (half.moss_mol <= 0.0 and alone_V >= 0.0):
            return alone_V + self._ohm * current_A, self._ohm + scale_V / math.hypot(current_A, exchange_A)
        shared_V, slope_S = self._shared(half, current_A, volts, exchange_A, alone_V)
        return shared_V + self._ohm * current_A, self._ohm + 1.0 / slope_S

    def _metal_A(self, half: Half, volts: float) -> tuple[float, float]:
        """Current of the metal's branch and its slope in siemens."""
        plating = self.host.plating
        assert plating is not None
        onset_V = -plating.nucleation_V * math.exp(-half.moss_mol / (plating.nucleation_nmol * 1e-9))
        if volts < onset_V:
            return (volts - onset_V) * self._plating_S, self._plating_S
        if volts > 0.0 and half.moss_mol > 0.0:
            strip_S = half.moss_mol * FARADAY_C_PER_MOL / (plating.return_s * REST_V)
            return volts * strip_S, strip_S
        return 0.0, 0.0

    def _shared(self, half: Half, current_A: float, volts: float, exchange_A: float, alone_V: float) -> tuple[float, float]:
        """The one potential at which insertion and plating together carry the current, and their slope in siemens."""
        scale_V, low_V, high_V = self.host.overpotential_scale_V, min(alone_V, 0.0), max(alone_V, 0.0)
        found_V = alone_V
        slope_S = 1.0
        for _ in range(50):
            reach = max(-40.0, min(40.0, (found_V - volts) / scale_V))
            metal_A, metal_S = self._metal_A(half, found_V)
            off_A = exchange_A * math.sinh(reach) + metal_A - current_A
            slope_S = exchange_A * math.cosh(reach) / scale_V + metal_S
            if off_A > 0.0:
                high_V = found_V
            else:
                low_V = found_V
            step_V = off_A / slope_S
            next_V = found_V - step_V
            found_V = next_V if low_V <= next_V <= high_V else 0.5 * (low_V + high_V)
            if abs(step_V) <= 1e-13:
                break
        return found_V, slope_S

    def drift_ohm(self, half: Half, span_s: float) -> float:
        """The host's own voltage moves with composition; a full or empty one only charges its surface."""
        _, slope, _ = self._surface(half)
        if half.surface_C != 0.0 or not 0.0 < half.inserted_mol < self.capacity_mol:
            return 0.5 * span_s / self._surface_F
        reached = -math.expm1(-0.5 * span_s / self.host.lag_s) * self.host.diffusion_s
        return max(0.0, -slope) * (0.5 * span_s + reached) / (self.capacity_mol * FARADAY_C_PER_MOL)

    def left_C(self, half: Half, current_A: float) -> float:
        """The surface's charge; then the host's ions, or its room (metal has its own end, and a host beside it)."""
        if held_C := _held_C(half, current_A):
            return held_C
        mol = half.inserted_mol if current_A > 0.0 else self.capacity_mol - half.inserted_mol
        return mol * FARADAY_C_PER_MOL if mol > 0.0 else math.inf

    def passed(self, half: Half, current_A: float, span_s: float, worse: float) -> Half:  # noqa: ARG002
        """Insert, plate, return, decay: every mole that leaves one place arrives in another."""
        half, charge_C = uncharged(half, current_A * span_s)
        metal_C = 0.0
        if self.host.plating is not None:
            volts, _, exchange_A = self._surface(half)
            alone_V = volts + self.host.overpotential_scale_V * math.asinh(charge_C / span_s / exchange_A)
            if half.moss_mol > 0.0 or alone_V < 0.0:
                shared_V, _ = self._shared(half, charge_C / span_s, volts, exchange_A, alone_V)
                metal_C = self._metal_A(half, shared_V)[0] * span_s
        half, metal_C = self._inserted(half, charge_C - metal_C, metal_C, span_s)
        if metal_C:
            half = self._metal(half, metal_C)
        return self._decayed(half, span_s) if self.host.decay is not None else half

    def _inserted(self, half: Half, host_C: float, metal_C: float, span_s: float) -> tuple[Half, float]:
        """Move ``host_C`` out of the host as far as it can; what it cannot goes to the metal or to the surface."""
        kept_C = 0.0
        if metal_C > 0.0 and self.host.plating is not None:
            most_C = half.moss_mol * (1.0 - self.host.plating.dead_fraction) * FARADAY_C_PER_MOL
            host_C += max(0.0, metal_C - most_C)
            metal_C = min(metal_C, most_C)
        wanted = half.inserted_mol - host_C / FARADAY_C_PER_MOL
        inserted = min(self.capacity_mol, max(0.0, wanted))
        over_C = (inserted - wanted) * FARADAY_C_PER_MOL
        if over_C < 0.0 and self.host.plating is not None:
            metal_C += over_C
        else:
            kept_C = over_C
        rate = (inserted - half.inserted_mol) / self.capacity_mol / span_s
        goal = rate * self.host.diffusion_s
        lead = goal + (half.lead_x - goal) * math.exp(-span_s / self.host.lag_s)
        return half._replace(inserted_mol=inserted, lead_x=lead, surface_C=half.surface_C + kept_C), metal_C

    def _metal(self, half: Half, metal_C: float) -> Half:
        plating = self.host.plating
        assert plating is not None
        mol = abs(metal_C) / FARADAY_C_PER_MOL
        if metal_C < 0.0:
            metal = mol * plating.efficiency
            return half._replace(moss_mol=half.moss_mol + metal, sei_mol=half.sei_mol + (mol - metal))
        dead = min(half.moss_mol - mol, mol * plating.dead_fraction / (1.0 - plating.dead_fraction))
        return half._replace(moss_mol=max(0.0, half.moss_mol - mol - dead), dead_mol=half.dead_mol + dead)

    def _decayed(self, half: Half, span_s: float) -> Half:
        decay = self.host.decay
        assert decay is not None
        excess = half.inserted_mol - decay.above_x * self.capacity_mol
        if excess <= 0.0:
            return half
        lost = -math.expm1(-span_s / decay.tau_s) * excess
        return half._replace(inserted_mol=half.inserted_mol - lost, sei_mol=half.sei_mol + lost)
