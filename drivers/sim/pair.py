"""A cell of any two electrodes (C2 to C8 of domain.md 5.1 and more): the same contract as ``Cell`` of C1.

    E = I R_lead + E_cell,  E_cell = phi_working(I_F) - phi_counter(-I_F) + R I_F,  I = I_F + E_cell / R_short

A state is a tuple of numbers, exact at its instant; ``advance`` carries it on under an unchanged drive, at open circuit
too (returning metal, decay, exchange, a short that discharges). The current of a held voltage or of a short is solved once
a step, with half of what the potentials will drift in that step, so that long steps are stable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from drivers.sim.cell import Leads
from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.electrodes import FoilLaw, Half, InsertionLaw, Law
from drivers.sim.faults import Faults
from drivers.sim.isotopes import Isotopes, exchanged, natural
from drivers.sim.pair_parameters import PairParameters, Side, Voids
from drivers.sim.salt import Salt, concentration_V, diffused
from drivers.sim.shorts import short_S

NO_GRADIENT = Salt()
ALL_MOSS = 1e9
"""By so much more of it grows as moss where the salt is gone: nothing grows dense."""
PARTS = 64
"""Into so many parts a step is cut at most, however often its electrodes run out."""


class PairState(NamedTuple):
    """The cell at one instant, and what drives it from there on (``off``, ``current`` in A, ``voltage`` in V).

    ``voltage_we``: the working electrode's, against the reference.
    """

    t_s: float
    drive: str
    value: float
    working: Half
    counter: Half
    salt_mol: float
    isotopes: Isotopes
    charge_C: float = 0.0
    sign: int = 0
    nucleated_s: float = 0.0
    soft_short_s: float | None = None
    hard_short_s: float | None = None
    hard_short_ohm: float = 1.0
    worse_s: float | None = None
    salt: Salt = NO_GRADIENT
    moss_s: float | None = None


def _law(side: Side, pair: PairParameters) -> Law:
    if side.foil is not None:
        return FoilLaw(side.foil, pair)
    assert side.insertion is not None
    return InsertionLaw(side.insertion, pair)


def _with(state: PairState, side: str, half: Half) -> PairState:
    return state._replace(working=half) if side == "working" else state._replace(counter=half)


class Pair:
    """The laws of one cell; holds no state."""

    lives_at_rest = True

    def __init__(self, parameters: PairParameters, faults: Faults) -> None:
        self.parameters = p = parameters
        self.faults = faults
        self.working, self.counter = _law(p.working, p), _law(p.counter, p)
        self._nucleation_s = {side: law.foil.nucleation_s for side, law in self._sides() if isinstance(law, FoilLaw)}
        self._onset_mol = p.soft_short.onset_C / FARADAY_C_PER_MOL
        self._transition_ohm_per_V = 1e3 / (p.transition.nominal_mA_per_cm2 * p.area_cm2) if p.transition else 0.0

    def _sides(self) -> tuple[tuple[str, Law], tuple[str, Law]]:
        return ("working", self.working), ("counter", self.counter)

    def fresh(self) -> PairState:
        """As built, disconnected."""
        p = self.parameters
        return PairState(0.0, "off", 0.0, self.working.fresh(), self.counter.fresh(), p.salt_mol, natural(p))

    # --------------------------------------------------------------------------------------------------- what drives it

    def driven(self, state: PairState, drive: str, value: float) -> PairState:
        """The same cell under a new drive; a new direction of current nucleates, and may wake a filament."""
        push = {"off": 0.0, "current": value}.get(drive)
        if push is None:
            push = value - self._at_rest_V(state, drive)
        sign = int(push > 0) - int(push < 0)
        if sign in (0, state.sign):
            return state._replace(drive=drive, value=value)
        hard_s, hard_ohm = state.hard_short_s, state.hard_short_ohm
        armed = next(self.faults.active("hard_short_on_reversal", state.t_s), None)
        if armed is not None and state.sign and hard_s is None:
            hard_s, hard_ohm = state.t_s, armed.size
        return state._replace(drive=drive, value=value, sign=sign, nucleated_s=state.t_s, hard_short_s=hard_s, hard_short_ohm=hard_ohm)

    def _at_rest_V(self, state: PairState, drive: str) -> float:
        leads = self.leads(state._replace(drive="off"), state.t_s)
        return self.working_V(state, state.t_s, leads) if drive == "voltage_we" else leads.voltage_V

    # ------------------------------------------------------------------------------------------------------- the leads

    def short_S(self, state: PairState, t_s: float) -> float:
        """Conductance of whatever shorts the cell at ``t_s``, in siemens."""
        return short_S(state, self.parameters.soft_short, self.parameters.filament_s, self.faults, t_s)

    def leads(self, state: PairState, t_s: float) -> Leads:
        """Voltage and current at ``t_s`` (the electrodes as in ``state``)."""
        return self._leads(state, t_s, 0.0)

    def _leads(self, state: PairState, t_s: float, drift_ohm: float) -> Leads:
        p, short_S = self.parameters, self.short_S(state, t_s)
        hanging = bool(self.faults.listed) and self.faults.any("contact_loss", t_s)
        if state.drive == "off" or hanging:
            faradaic_A = self._solved(state, t_s, 1.0, short_S, 0.0, drift_ohm) if short_S else 0.0
            open_V = self._cell_V(state, t_s, faradaic_A)[0]
            if state.drive == "off":
                return Leads(open_V, 0.0, faradaic_A)
            wanted_V = state.value if state.drive == "voltage" else math.copysign(p.compliance_V, state.value) if state.value else open_V
            return Leads(wanted_V, 0.0, faradaic_A)
        if state.drive == "voltage":
            return self._held(state, t_s, state.value, short_S, drift_ohm)
        if state.drive == "voltage_we":
            return self._held_working(state, t_s, short_S, drift_ohm)
        faradaic_A = self._solved(state, t_s, 1.0, short_S, state.value, drift_ohm) if short_S else state.value
        voltage_V = state.value * p.lead_ohm + self._cell_V(state, t_s, faradaic_A)[0]
        if abs(voltage_V) > p.compliance_V:
            return self._held(state, t_s, math.copysign(p.compliance_V, voltage_V), short_S, drift_ohm)
        return Leads(voltage_V, state.value, faradaic_A)

    def _held(self, state: PairState, t_s: float, voltage_V: float, short_S: float, drift_ohm: float) -> Leads:
        lead_ohm = self.parameters.lead_ohm
        faradaic_A = self._solved(state, t_s, lead_ohm, 1.0 + lead_ohm * short_S, voltage_V, drift_ohm)
        cell_V = self._cell_V(state, t_s, faradaic_A)[0] + drift_ohm * faradaic_A if short_S else 0.0
        return Leads(voltage_V, faradaic_A + cell_V * short_S, faradaic_A)

    def _held_working(self, state: PairState, t_s: float, short_S: float, drift_ohm: float) -> Leads:
        """The current that brings the working electrode to its potential; no further than the compliance of the whole cell."""
        faradaic_A = self._root(lambda amps: self._working_V(state, t_s, amps), 0.0, 1.0, state.value, drift_ohm)
        cell_V = self._cell_V(state, t_s, faradaic_A)[0]
        current_A = faradaic_A + cell_V * short_S
        voltage_V = cell_V + current_A * self.parameters.lead_ohm
        if abs(voltage_V) > self.parameters.compliance_V:
            return self._held(state, t_s, math.copysign(self.parameters.compliance_V, voltage_V), short_S, drift_ohm)
        return Leads(voltage_V, current_A, faradaic_A)

    def working_V(self, state: PairState, t_s: float, leads: Leads) -> float:
        """Of the working electrode against the reference; the counter's is that less the cell's voltage."""
        return self._working_V(state, t_s, leads.faradaic_A)[0]

    def _working_V(self, state: PairState, t_s: float, faradaic_A: float) -> tuple[float, float]:
        """The same, and its slope in ohm: its own potential, and its share of what lies in series. Leads are the counter's side."""
        p, reference = self.parameters, self.parameters.reference
        assert reference is not None
        own_V, own_ohm = self.working.potential(state.working, faradaic_A, self._crest("working", t_s - state.nucleated_s))
        apart_V = 0.0 if p.transport is None else concentration_V(p.transport, state.salt, p.temperature_K)
        ohm = reference.share * self._series_ohm(state)
        return own_V + ohm * faradaic_A + reference.share * apart_V - reference.potential_V, own_ohm + ohm

    def _series_ohm(self, state: PairState) -> float:
        """Electrolyte, the more the less is left of it, and what microstructure adds."""
        p = self.parameters
        ohm = p.R_ohm
        if p.transition is not None:
            ohm *= (p.salt_mol / max(state.salt_mol, 1e-3 * p.salt_mol)) ** 2
            grown_V = p.transition.per_mAh_per_cm2_V * self.microstructure_mAh_per_cm2(state)
            ohm += (p.transition.start_V + grown_V) * self._transition_ohm_per_V
        return ohm

    def microstructure_mAh_per_cm2(self, state: PairState) -> float:
        """Moss and dead metal of both electrodes, as charge per area."""
        found = sum(half.moss_mol + half.dead_mol for half in (state.working, state.counter))
        return found / self.parameters.mol(1.0)

    def _cell_V(self, state: PairState, t_s: float, faradaic_A: float) -> tuple[float, float]:
        """Voltage across the cell without leads, and its slope in ohm; rises with the current."""
        p, since_s = self.parameters, t_s - state.nucleated_s
        ohm = self._series_ohm(state)
        working_V, working_ohm = self.working.potential(state.working, faradaic_A, self._crest("working", since_s))
        counter_V, counter_ohm = self.counter.potential(state.counter, -faradaic_A, self._crest("counter", since_s))
        apart_V = 0.0 if p.transport is None else concentration_V(p.transport, state.salt, p.temperature_K)
        return working_V - counter_V + ohm * faradaic_A + apart_V, working_ohm + counter_ohm + ohm

    def _crest(self, side: str, since_s: float) -> float:
        tau_s = self._nucleation_s.get(side)
        return math.exp(-since_s / tau_s) if tau_s else 0.0

    def _solved(self, state: PairState, t_s: float, ohm: float, part: float, goal: float, drift_ohm: float) -> float:
        """Faradaic current x with ohm x + part (E_cell(x) + drift x) = goal."""
        return self._root(lambda amps: self._cell_V(state, t_s, amps), ohm, part, goal, drift_ohm)

    @staticmethod
    def _root(volts_of: Callable[[float], tuple[float, float]], ohm: float, part: float, goal: float, drift_ohm: float) -> float:
        """Current x with ohm x + part (volts(x) + drift x) = goal: Newton inside a bracket that closes."""
        low_A, high_A, found_A = -math.inf, math.inf, 0.0
        for _ in range(80):
            volts, slope_ohm = volts_of(found_A)
            off = ohm * found_A + part * (volts + drift_ohm * found_A) - goal
            if off > 0.0:
                high_A = found_A
            else:
                low_A = found_A
            step_A = off / (ohm + part * (slope_ohm + drift_ohm))
            next_A = found_A - step_A
            found_A = next_A if low_A <= next_A <= high_A else 0.5 * (low_A + high_A)
            if abs(step_A) <= 1e-13 * abs(found_A) + 1e-18:
                break
        return found_A

    # ----------------------------------------------------------------------------------------------------- time goes on

    def advance(self, state: PairState, t_s: float) -> PairState:
        """The cell at ``t_s`` under an unchanged drive."""
        least_s = (t_s - state.t_s) / PARTS
        while state.t_s < t_s:
            state = self._lived(state, t_s, least_s)
        return state

    def _lived(self, state: PairState, t_s: float, least_s: float) -> PairState:
        """At ``t_s``, or earlier, where a current that was solved for would go on through the end of an electrode's metal or charge.

        Such a current belongs to the electrode as it is: on a bare surface it would drive a cell of millifarads to hundreds of volts, and
        back in the next step.
        """
        span_s = t_s - state.t_s
        current_A, faradaic_A = self._currents_A(state, span_s)
        if state.drive != "current" or faradaic_A != state.value:
            spent_s = state.t_s + max(least_s, self._lasts_s(state, faradaic_A))
            if state.t_s < spent_s < t_s:
                t_s, span_s = spent_s, spent_s - state.t_s
        worse = self._worse(state)
        working = self.working.passed(state.working, faradaic_A, span_s, worse)
        counter = self.counter.passed(state.counter, -faradaic_A, span_s, worse)
        stored_C = working.surface_C - state.working.surface_C + counter.surface_C - state.counter.surface_C
        salt_mol = state.salt_mol - stored_C / FARADAY_C_PER_MOL
        after = PairState(
            t_s, state.drive, state.value, working, counter, salt_mol, state.isotopes, state.charge_C + current_A * span_s,
            state.sign, state.nucleated_s, state.soft_short_s, state.hard_short_s, state.hard_short_ohm, state.worse_s,
            state.salt if self.parameters.transport is None else diffused(self.parameters, state.salt, faradaic_A, span_s), state.moss_s,
        )  # fmt: skip
        after = self._happened(state, after, faradaic_A, span_s)
        return after if self.parameters.exchange is None else after._replace(isotopes=exchanged(self.parameters, state, after, span_s))

    def _lasts_s(self, state: PairState, faradaic_A: float) -> float:
        """How long both electrodes can go on with a current as they do; infinite for none."""
        if faradaic_A == 0.0:
            return math.inf
        return min(self.working.left_C(state.working, faradaic_A), self.counter.left_C(state.counter, -faradaic_A)) / abs(faradaic_A)

    def _worse(self, state: PairState) -> float:
        """How much faster moss forms than the foil alone says."""
        if state.moss_s is not None:
            return ALL_MOSS
        transition = self.parameters.transition
        return transition.moss_growth if transition is not None and state.worse_s is not None else 1.0

    def _currents_A(self, state: PairState, span_s: float) -> tuple[float, float]:
        """Current in the leads and across the electrodes; spares the voltage where a sound cell simply takes its current."""
        sound = not self.faults.listed and state.soft_short_s is None and state.hard_short_s is None
        if sound and state.drive == "off":
            return 0.0, 0.0
        drift_ohm = self.working.drift_ohm(state.working, span_s) + self.counter.drift_ohm(state.counter, span_s)
        if sound and state.drive == "current":
            cell_V, _ = self._cell_V(state, state.t_s, state.value)
            if abs(cell_V) + abs(state.value) * (2.0 * drift_ohm + self.parameters.lead_ohm) < self.parameters.compliance_V:
                return state.value, state.value
        leads = self._leads(state, state.t_s + 0.5 * span_s, drift_ohm)
        return leads.current_A, leads.faradaic_A

    def _happened(self, before: PairState, after: PairState, faradaic_A: float, span_s: float) -> PairState:
        """What this step set off: a soft short by charge, a filament by local current, the eating of the electrolyte."""
        p = self.parameters
        if p.soft_short.enabled and after.soft_short_s is None:
            deposit_mol = max(after.working.deposit_mol, after.counter.deposit_mol)
            after = after._replace(soft_short_s=after.t_s if deposit_mol >= self._onset_mol else None)
        after = self._filament(before, after, faradaic_A)
        after = self._mossy(after, faradaic_A) if p.transport is not None else after
        return self._eaten(before, after, faradaic_A, span_s) if p.transition is not None else after

    def _filament(self, before: PairState, after: PairState, faradaic_A: float) -> PairState:
        """A face with little contact that is plated on grows one filament into the solid electrolyte."""
        name, law = ("counter", self.counter) if faradaic_A > 0.0 else ("working", self.working)
        if not isinstance(law, FoilLaw) or law.foil.voids is None:
            return after
        voids, half = law.foil.voids, getattr(before, name)
        local_A = 1e-3 * voids.filament_mA_per_cm2 * self.parameters.area_cm2 * half.contact
        grown: Half = getattr(after, name)
        if voids.filament_share > 0.0:
            return (
                self._crossing(after, name, voids, faradaic_A, after.t_s - before.t_s)
                if half.moss_mol > 0.0 or abs(faradaic_A) > local_A
                else after
            )
        if after.hard_short_s is None and abs(faradaic_A) > local_A:
            after = after._replace(hard_short_s=before.t_s, hard_short_ohm=voids.filament_ohm)
        if after.hard_short_s is None:
            return after
        wanted_mol = -1e-6 * voids.filament_umol * math.expm1(-(after.t_s - after.hard_short_s) / self.parameters.filament_s)
        moved_mol = min(grown.bulk_mol, max(0.0, wanted_mol - grown.moss_mol))
        return _with(after, name, grown._replace(bulk_mol=grown.bulk_mol - moved_mol, moss_mol=grown.moss_mol + moved_mol))

    def _crossing(self, after: PairState, name: str, voids: Voids, faradaic_A: float, span_s: float) -> PairState:
        """A part of what is plated lengthens the filament; a short it is from face to face."""
        grown: Half = getattr(after, name)
        plated_mol = voids.filament_share * abs(faradaic_A) * span_s / FARADAY_C_PER_MOL
        moved_mol = max(0.0, min(grown.bulk_mol, plated_mol, voids.crossing_mol - grown.moss_mol))
        grown = grown._replace(bulk_mol=grown.bulk_mol - moved_mol, moss_mol=grown.moss_mol + moved_mol)
        if after.hard_short_s is None and grown.moss_mol >= (1.0 - 1e-9) * voids.crossing_mol:
            after = after._replace(hard_short_s=after.t_s, hard_short_ohm=voids.filament_ohm)
        return _with(after, name, grown)

    def _mossy(self, after: PairState, faradaic_A: float) -> PairState:
        """Where the plated face has no salt left, or so much was plated, what grows from then on is moss."""
        transport = self.parameters.transport
        assert transport is not None
        if faradaic_A == 0.0 or after.moss_s is not None or transport.moss_after_mAh_per_cm2 <= 0.0:
            return after
        half, face = (after.counter, after.salt.faces[1]) if faradaic_A > 0.0 else (after.working, after.salt.faces[0])
        mossy = face <= 0.0 or half.deposit_mol >= self.parameters.mol(transport.moss_after_mAh_per_cm2)
        return after._replace(moss_s=after.t_s) if mossy else after

    def _eaten(self, before: PairState, after: PairState, faradaic_A: float, span_s: float) -> PairState:
        """Electrolyte becomes SEI on whichever electrode is plated; much faster above the transition."""
        transition = self.parameters.transition
        assert transition is not None
        worse_s = before.worse_s
        if worse_s is None and abs(faradaic_A) * self._series_ohm(before) > transition.at_V:
            worse_s = before.t_s
        faster = 1.0 if worse_s is None else transition.faster
        lost_mol = min(after.salt_mol, 1e-9 * transition.loss_nmol_per_h * faster * span_s / 3600.0) if faradaic_A else 0.0
        name = "counter" if faradaic_A > 0.0 else "working"
        half: Half = getattr(after, name)
        eaten = _with(after, name, half._replace(sei_mol=half.sei_mol + lost_mol))
        return eaten._replace(salt_mol=after.salt_mol - lost_mol, worse_s=worse_s)

    # ----------------------------------------------------------------------------------------------------- small signals

    def noise_factor(self, state: PairState) -> float:
        """How much more the voltage scatters than the electronics alone."""
        transition = self.parameters.transition
        return transition.noise if transition is not None and state.worse_s is not None else 1.0

    def resistances_ohm(self, state: PairState, t_s: float) -> tuple[float, float]:
        """Small-signal resistance without lead and R_ohm, at the present current, and at the cell's nominal 1 mA/cm2."""
        p, quiet = self.parameters, state._replace(nucleated_s=-math.inf)
        slope_ohm = self._cell_V(quiet, t_s, self.leads(state, t_s).faradaic_A)[1] - p.R_ohm
        nominal_A = 1e-3 * p.area_cm2
        chord_V = self._cell_V(quiet, t_s, nominal_A)[0] - self._cell_V(quiet, t_s, 0.0)[0]
        return slope_ohm, chord_V / nominal_A - p.R_ohm
