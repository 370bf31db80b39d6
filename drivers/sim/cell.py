"""Cell C1 of the digital twin: lithium against lithium (or any metal against itself), in closed form between instants.

A state is a tuple of numbers, exact at its instant; ``Cell.advance`` carries it on under an unchanged drive. Charge that
crosses an electrode turns into moss, dense metal and dead metal by integrals in closed form, so nothing depends on the
step except the current of a short or of a held voltage, which is solved at the middle of each step.

    E = I R_lead + E_cell,   E_cell = R_ohm I_F + eta_w + eta_c + nucleation,   I = I_F + E_cell / R_short
    eta = overpotential_scale asinh(j / (2 j0)),  j0 = j0_fresh (1 + gain m/(m + m_half)) / (1 + ageing Q)

Plating: fraction of moss f_m = 1 - (1 - f0) exp(-q / q0) of the present deposit q. Stripping: moss first, a fraction
lambda of the moss that vanishes stays behind as dead metal; then the foil. Source: domain.md 5.1 row C1, [H].
"""

from __future__ import annotations

import math
from typing import NamedTuple

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL, CellParameters
from drivers.sim.faults import Faults
from drivers.sim.shorts import short_S

NOTHING_MOL = 1e-15  # what rounding leaves of an electrode


class Electrode(NamedTuple):
    """Moles on one electrode; ``deposit`` = net plated since foil, ``throughput`` = all that ever crossed."""

    bulk_mol: float
    moss_mol: float = 0.0
    dead_mol: float = 0.0
    deposit_mol: float = 0.0
    throughput_mol: float = 0.0


class State(NamedTuple):
    """The cell at one instant, and what drives it from there on (``off``, ``current`` in A, ``voltage`` in V)."""

    t_s: float
    drive: str
    value: float
    working: Electrode
    counter: Electrode
    charge_C: float = 0.0
    sign: int = 0
    nucleated_s: float = 0.0
    soft_short_s: float | None = None
    hard_short_s: float | None = None
    hard_short_ohm: float = 1.0


class Leads(NamedTuple):
    """What the leads carry, free of noise; ``faradaic_A`` is what crosses the electrodes."""

    voltage_V: float
    current_A: float
    faradaic_A: float


class Cell:
    """The laws of one cell; holds no state."""

    lives_at_rest = False

    def __init__(self, parameters: CellParameters, faults: Faults) -> None:
        self.parameters = parameters
        self.faults = faults
        p = parameters
        self._q0_mol = p.mol(p.moss_fraction_charge_mAh_per_cm2)
        self._half_mol = p.mol(p.j0_moss_half_mAh_per_cm2)
        self._ageing_per_mol = p.j0_ageing_per_mAh_per_cm2 / p.mol(1.0)
        self._fresh_A = 2e-3 * p.j0_fresh_mA_per_cm2 * p.area_cm2
        self._nucleation_A = 1e-3 * p.nucleation_mA_per_cm2 * p.area_cm2
        self._onset_mol = p.soft_short.onset_C / FARADAY_C_PER_MOL

    def fresh(self) -> State:
        """Two fresh foils, disconnected."""
        foil = Electrode(self.parameters.foil_mol)
        return State(0.0, "off", 0.0, foil, foil)

    def populations_mol(self, state: State) -> dict[str, float]:
        """Moles of lithium in every environment."""
        p = self.parameters
        found = {"electrolyte": 1e-6 * p.electrolyte_uL * p.salt_mol_per_L, "broad": 1e-6 * p.broad_umol}
        for side, electrode in (("working", state.working), ("counter", state.counter)):
            for name in ("bulk", "moss", "dead"):
                found[f"{name}_{side}"] = getattr(electrode, f"{name}_mol")
        return found

    def noise_factor(self, state: State) -> float:  # noqa: ARG002
        """How much more the voltage scatters than the electronics alone."""
        return 1.0

    # --------------------------------------------------------------------------------------------------- what drives it

    def driven(self, state: State, drive: str, value: float) -> State:
        """The same cell under a new drive; a new direction of current nucleates, and may wake a filament."""
        sign = self._direction(drive, value)
        if sign in (0, state.sign):
            return state._replace(drive=drive, value=value)
        hard_s, hard_ohm = state.hard_short_s, state.hard_short_ohm
        armed = next(self.faults.active("hard_short_on_reversal", state.t_s), None)
        if armed is not None and state.sign and hard_s is None:
            hard_s, hard_ohm = state.t_s, armed.size
        return state._replace(drive=drive, value=value, sign=sign, nucleated_s=state.t_s, hard_short_s=hard_s, hard_short_ohm=hard_ohm)

    def _direction(self, drive: str, value: float) -> int:
        push = {"off": 0.0, "current": value, "voltage": value - self.parameters.open_circuit_V}[drive]
        return (push > 0) - (push < 0)

    # ------------------------------------------------------------------------------------------------------- the leads

    def short_S(self, state: State, t_s: float) -> float:
        """Conductance of whatever shorts the cell at ``t_s``, in siemens."""
        return short_S(state, self.parameters.soft_short, self.parameters.filament_s, self.faults, t_s)

    def leads(self, state: State, t_s: float) -> Leads:
        """Voltage and current at ``t_s`` (the electrodes as in ``state``)."""
        if state.drive == "off":
            return Leads(self.parameters.open_circuit_V, 0.0, 0.0)
        if self.faults.listed and self.faults.any("contact_loss", t_s):
            return self._hanging(state)
        short_S = self.short_S(state, t_s)
        if state.drive == "voltage":
            return self._held(state, t_s, state.value, short_S)
        faradaic_A = state.value if short_S == 0.0 else self._solve(state, t_s, 1.0, short_S, state.value)
        voltage_V = self._voltage_V(state, t_s, state.value, faradaic_A, short_S)
        if abs(voltage_V) > self.parameters.compliance_V:
            return self._held(state, t_s, math.copysign(self.parameters.compliance_V, state.value), short_S)
        return Leads(voltage_V, state.value, faradaic_A)

    def _hanging(self, state: State) -> Leads:
        """Nothing flows; a current source runs to its compliance."""
        if state.drive == "voltage":
            return Leads(state.value, 0.0, 0.0)
        return Leads(math.copysign(self.parameters.compliance_V, state.value) if state.value else 0.0, 0.0, 0.0)

    def _held(self, state: State, t_s: float, voltage_V: float, short_S: float) -> Leads:
        p = self.parameters
        push_V = voltage_V - p.open_circuit_V
        if self._exhausted(state, push_V):
            return Leads(voltage_V, push_V * short_S / (1.0 + p.lead_ohm * short_S), 0.0)
        faradaic_A = self._solve(state, t_s, p.lead_ohm, 1.0 + p.lead_ohm * short_S, push_V)
        cell_V = push_V if p.lead_ohm == 0.0 else self._cell_V(state, t_s, faradaic_A)[0]
        return Leads(voltage_V, faradaic_A + cell_V * short_S, faradaic_A)

    def _voltage_V(self, state: State, t_s: float, current_A: float, faradaic_A: float, short_S: float) -> float:
        p = self.parameters
        if self._exhausted(state, current_A):
            return math.copysign(math.inf, current_A)
        cell_V = self._cell_V(state, t_s, faradaic_A)[0] if short_S == 0.0 else (current_A - faradaic_A) / short_S
        return p.open_circuit_V + current_A * p.lead_ohm + cell_V

    def _exhausted(self, state: State, push: float) -> bool:
        """No metal left where the push would strip."""
        electrode = state.working if push > 0 else state.counter
        return push != 0.0 and electrode.bulk_mol + electrode.moss_mol < NOTHING_MOL

    def _exchange_A(self, electrode: Electrode) -> float:
        """Twice the exchange current of an electrode, in ampere."""
        p = self.parameters
        moss = electrode.moss_mol
        gain = 1.0 + p.j0_moss_gain * moss / (moss + self._half_mol)
        return self._fresh_A * gain / (1.0 + self._ageing_per_mol * electrode.throughput_mol)

    def _cell_V(self, state: State, t_s: float, faradaic_A: float) -> tuple[float, float]:
        """Voltage across the cell without leads, and its slope in ohm; odd and monotone in the current."""
        p = self.parameters
        scale_V = p.overpotential_scale_V
        working_A, counter_A = self._exchange_A(state.working), self._exchange_A(state.counter)
        crest_V = p.nucleation_V * math.exp(-(t_s - state.nucleated_s) / p.nucleation_s) if state.sign else 0.0
        lean = math.tanh(faradaic_A / self._nucleation_A)
        voltage_V = (
            p.R_ohm * faradaic_A + scale_V * (math.asinh(faradaic_A / working_A) + math.asinh(faradaic_A / counter_A)) + crest_V * lean
        )
        slope_ohm = (
            p.R_ohm
            + scale_V * (1.0 / math.hypot(faradaic_A, working_A) + 1.0 / math.hypot(faradaic_A, counter_A))
            + crest_V * (1.0 - lean * lean) / self._nucleation_A
        )
        return voltage_V, slope_ohm

    def _solve(self, state: State, t_s: float, weight_current: float, weight_voltage: float, target: float) -> float:
        """Faradaic current x with weight_current x + weight_voltage E_cell(x) = target.

        The left side is odd and concave for positive x, so Newton's steps from zero never overshoot.
        """
        goal, current_A = abs(target), 0.0
        for _ in range(60):
            voltage_V, slope_ohm = self._cell_V(state, t_s, current_A)
            step_A = (goal - weight_current * current_A - weight_voltage * voltage_V) / (weight_current + weight_voltage * slope_ohm)
            current_A += step_A
            if step_A <= 1e-14 * current_A:
                break
        return math.copysign(current_A, target)

    # ----------------------------------------------------------------------------------------------------- time goes on

    def advance(self, state: State, t_s: float) -> State:
        """The cell at ``t_s`` under an unchanged drive."""
        span_s = t_s - state.t_s
        if state.drive == "off" or span_s <= 0.0:
            return state._replace(t_s=t_s)
        current_A, faradaic_A = self._currents_A(state, state.t_s + 0.5 * span_s)
        asked_mol = abs(faradaic_A) * span_s / FARADAY_C_PER_MOL
        stripped, plated = (state.working, state.counter) if faradaic_A > 0 else (state.counter, state.working)
        moved_mol = min(asked_mol, stripped.bulk_mol + (1.0 - self.parameters.dead_fraction) * stripped.moss_mol)
        passed_C = current_A * span_s - math.copysign((asked_mol - moved_mol) * FARADAY_C_PER_MOL, faradaic_A)
        stripped, plated = self._strip(stripped, moved_mol), self._plate(plated, moved_mol)
        working, counter = (stripped, plated) if faradaic_A > 0 else (plated, stripped)
        short_s = state.soft_short_s
        if short_s is None and self.parameters.soft_short.enabled and plated.deposit_mol >= self._onset_mol:
            short_s = t_s
        return State(
            t_s, state.drive, state.value, working, counter, state.charge_C + passed_C, state.sign, state.nucleated_s,
            short_s, state.hard_short_s, state.hard_short_ohm,
        )  # fmt: skip

    def _currents_A(self, state: State, t_s: float) -> tuple[float, float]:
        """Current in the leads and across the electrodes; spares the voltage where a sound cell simply takes its current."""
        if state.drive == "current" and not self.faults.listed and state.soft_short_s is None and state.hard_short_s is None:
            ohmic_V = abs(state.value) * (self.parameters.R_ohm + self.parameters.lead_ohm)
            if ohmic_V < 0.5 * self.parameters.compliance_V and not self._exhausted(state, state.value):
                return state.value, state.value
        leads = self.leads(state, t_s)
        return leads.current_A, leads.faradaic_A

    def _plate(self, electrode: Electrode, mol: float) -> Electrode:
        bulk, moss, dead, deposit, throughput = electrode
        dense_start = 1.0 - self.parameters.moss_fraction_start
        dense = -dense_start * self._q0_mol * math.exp(-deposit / self._q0_mol) * math.expm1(-mol / self._q0_mol)
        return Electrode(bulk + dense, moss + (mol - dense), dead, deposit + mol, throughput + mol)

    def _strip(self, electrode: Electrode, mol: float) -> Electrode:
        bulk, moss, dead, deposit, throughput = electrode
        kept = 1.0 - self.parameters.dead_fraction
        from_moss = min(mol, kept * moss)
        left = from_moss / kept - from_moss
        moss_left = max(0.0, moss - from_moss - left) if from_moss < kept * moss else 0.0
        dead_gained = left if from_moss < kept * moss else moss - from_moss
        from_bulk = mol - from_moss
        return Electrode(max(0.0, bulk - from_bulk), moss_left, dead + dead_gained, max(0.0, deposit - mol), throughput + mol)

    # ----------------------------------------------------------------------------------------------------- small signals

    def resistances_ohm(self, state: State, t_s: float) -> tuple[float, float]:
        """Small-signal resistance without lead and R_ohm, at the present current, and at the cell's nominal 1 mA/cm2.

        inferred: the arc that impedance sees above 0.1 Hz stays near the second; the rest of the first relaxes slower.
        """
        p = self.parameters
        nominal_A = 1e-3 * p.area_cm2
        quiet = state._replace(nucleated_s=-math.inf)
        slope_ohm = self._cell_V(quiet, t_s, self.leads(state, t_s).faradaic_A)[1] - p.R_ohm
        chord_ohm = self._cell_V(quiet, t_s, nominal_A)[0] / nominal_A - p.R_ohm
        return slope_ohm, chord_ohm
