"""Rules over electrochemical observables: what the samples themselves say, and what follows. Pure.

``short_ratio`` = abs(E - I·R_lead) / (abs(I)·R_cell): near zero where the cell has become a wire. R_cell is the
resistance of the last impedance spectrum, or of the first minute under current, less R_lead. ``polarisation_ratio`` =
abs(E) / abs(E of the step's first sample under current). Both are a constant current's alone: without one, and where the voltage is
held, E is no answer of the cell. ``Re(Z) at 1000 Hz``: of the last impedance spectrum, as measured. ``plateau``: 1
while E over charge is flat, else 0; ``knees``: entries and exits so far in this step. Rules over spectra are not executed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drivers.base import ImpedanceSpectrum, Mode
from orchestrator.model.experiment import Predicate, Rule
from orchestrator.model.observables import frequency_of
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.interlocks.readings import least_current_A
from orchestrator.runner.interlocks.resistance import Resistance
from orchestrator.runner.trigger_kinds import Plateau
from orchestrator.runner.triggers import Sample

NEAR = 0.01
"""So much beyond its ends a spectrum still tells: instruments round their frequencies."""


@dataclass(slots=True)
class Seen:
    """What the observables are made of. ``least_A``: less current than that is none; infinite where none was asked for."""

    resistance: Resistance
    start_V: float | None = None
    wanted_A: float = 0.0
    least_A: float = math.inf
    plateau: Plateau = field(default_factory=Plateau)
    spectrum: ImpedanceSpectrum | None = None

    @property
    def on_plateau(self) -> float | None:
        """1 or 0; None while too little charge has passed in this step to say."""
        return None if self.plateau.on is None else float(self.plateau.on)

    def begin(self, planned: PlannedStep, *, first: bool) -> None:
        """A step (``first``), or a further part of it, begins."""
        self.wanted_A = planned.current_A or 0.0
        self.least_A = least_current_A(self.wanted_A) if planned.mode is Mode.GALVANOSTATIC else math.inf
        if first:
            self.start_V = None
            self.plateau = Plateau()

    def see(self, sample: Sample) -> None:
        """One sample."""
        if self.start_V is None and self.under_current(sample) and math.isfinite(sample.voltage_V):
            self.start_V = sample.voltage_V
        self.plateau.feed(sample.fraction, sample.voltage_V)

    def under_current(self, sample: Sample) -> bool:
        """True where E is the cell's answer to the current that was asked for."""
        return abs(sample.current_A) >= self.least_A

    @property
    def R_cell_ohm(self) -> float | None:
        """None until the first minute under current is over."""
        return self.resistance.R_cell_ohm

    def real_part_ohm(self, frequency_Hz: float) -> float | None:
        """Of the last spectrum, between its points by the logarithm of the frequency; None before the first, and outside of it."""
        if self.spectrum is None or not self.spectrum.frequency_Hz.size:
            return None
        order = np.argsort(self.spectrum.frequency_Hz)
        measured_Hz, real_ohm = self.spectrum.frequency_Hz[order], self.spectrum.impedance_ohm.real[order]
        if not measured_Hz[0] * (1 - NEAR) <= frequency_Hz <= measured_Hz[-1] * (1 + NEAR):
            return None
        return float(np.interp(math.log(frequency_Hz), np.log(measured_Hz), real_ohm))

    def short_ratio(self, sample: Sample) -> float | None:
        """None while no current flows or R_cell is not known."""
        R_cell_ohm = self.resistance.R_cell_ohm
        if R_cell_ohm is None or not self.under_current(sample):
            return None
        return abs(sample.voltage_V - sample.current_A * self.resistance.lead_ohm) / (abs(sample.current_A) * R_cell_ohm)

    def polarisation_ratio(self, sample: Sample) -> float | None:
        """None while no current flows, and where E was zero when it began."""
        return abs(sample.voltage_V) / abs(self.start_V) if self.start_V and self.under_current(sample) else None


def reader(observable: str) -> Callable[[Seen, Sample], float | None] | None:
    """How an observable is read off; None for one that samples and impedance do not tell."""
    frequency_Hz = frequency_of(observable)
    return OBSERVABLES.get(observable) if frequency_Hz is None else lambda seen, _: seen.real_part_ohm(frequency_Hz)


OBSERVABLES: dict[str, Callable[[Seen, Sample], float | None]] = {
    "voltage": lambda _, sample: sample.voltage_V,
    "current": lambda _, sample: sample.current_A,
    "short_ratio": Seen.short_ratio,
    "polarisation_ratio": Seen.polarisation_ratio,
    "R_cell": lambda seen, _: seen.R_cell_ohm,
    "plateau": lambda seen, _: seen.on_plateau,
    "knees": lambda seen, _: float(seen.plateau.passed),
}


class Firing(NamedTuple):
    """A rule that has seen what it waits for, the values that it saw, and the first of the samples that count."""

    rule: Rule
    values: dict[str, float]
    mono_ns: int
    first: Sample


def executable(rule: Rule) -> bool:
    """True for a rule that looks at electrochemistry alone."""
    predicates = (*rule.all_of, *rule.any_of)
    return rule.enabled and bool(predicates) and all(reader(one.observable) is not None and one.value is not None for one in predicates)


class _Standing:
    """One rule while the run goes on: how often in a row it was true, and whether it has said so."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.count = 0
        self.fired = False
        self.armed = False
        self.first: Sample | None = None

    def feed(self, sample: Sample, seen: Seen) -> Firing | None:
        """What it has seen, when it fires on this sample."""
        rule = self.rule
        if sample.elapsed_s < rule.not_after_edge_s or not self._arms(sample, seen):
            return None
        values: dict[str, float] = {}
        true = all(_true(one, sample, seen, values) for one in rule.all_of)
        true = true and (not rule.any_of or any(_true(one, sample, seen, values) for one in rule.any_of))
        self.count = self.count + 1 if true else 0
        self.first = sample if self.count == 1 or self.first is None else self.first
        self.fired = self.fired and true
        if self.fired or self.count < rule.for_count * rule.times:
            return None
        self.fired = True
        return Firing(rule, values, sample.mono_ns, self.first)

    def _arms(self, sample: Sample, seen: Seen) -> bool:
        """Arms at whichever comes first: E has the sign of the new current, or so long after the step's start."""
        if not self.armed:
            rule = self.rule
            waits = rule.armed_after_s is not None or rule.armed_on_new_sign
            late = rule.armed_after_s is not None and sample.elapsed_s >= rule.armed_after_s
            turned = rule.armed_on_new_sign and sample.voltage_V * seen.wanted_A > 0
            self.armed = not waits or late or turned
        return self.armed


def _true(predicate: Predicate, sample: Sample, seen: Seen, values: dict[str, float]) -> bool:
    read = reader(predicate.observable)
    value = None if read is None else read(seen, sample)
    if value is None or predicate.value is None or not math.isfinite(value):
        return False
    value = abs(value) if predicate.absolute else value
    values[predicate.observable] = value
    return value > predicate.value if predicate.test == "above" else predicate.test == "below" and value < predicate.value


class RuleEngine:
    """All rules of a run that look at samples. ``resistance``: where somebody else feeds it; else it is fed here."""

    def __init__(self, rules: Iterable[Rule], lead_ohm: float, resistance: Resistance | None = None) -> None:
        self._standing = [_Standing(rule) for rule in rules if executable(rule)]
        self._feeds = resistance is None
        self.seen = Seen(Resistance(lead_ohm) if resistance is None else resistance)

    def share(self, resistance: Resistance) -> None:
        """From now on somebody else feeds this one."""
        self._feeds, self.seen.resistance = False, resistance

    def begin(self, planned: PlannedStep, *, first: bool) -> None:
        """A step (``first``), or a further part of it, begins."""
        self.seen.begin(planned, first=first)
        if self._feeds:
            self.seen.resistance.begin(planned.key, planned.mode)
        for standing in self._standing:
            standing.count, standing.fired, standing.armed = 0, False, False

    def feed(self, sample: Sample) -> list[Firing]:
        """The rules that fire on one sample of a step."""
        if not self._standing:
            return []
        self.seen.see(sample)
        if self._feeds:
            self.seen.resistance.see(sample.mono_ns, sample.elapsed_s, sample.voltage_V, sample.current_A)
        fired = [standing.feed(sample, self.seen) for standing in self._standing]
        return [firing for firing in fired if firing is not None]

    def measured_impedance(self, spectrum: ImpedanceSpectrum) -> None:
        """A spectrum of the cell."""
        self.seen.spectrum = spectrum
        self.seen.resistance.measured(spectrum)
