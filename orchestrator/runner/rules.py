"""Rules over electrochemical observables: what the samples themselves say, and what follows. Pure.

``short_ratio`` = abs(E - I·R_lead) / (abs(I)·R_cell): near zero where the cell has become a wire. R_cell is the
resistance of the last impedance spectrum, or of the first minute under current, less R_lead. ``polarisation_ratio`` =
abs(E) / abs(E of the step's first sample under current). Both are a constant current's alone: without one, and where the voltage is
held, E is no answer of the cell. ``Re(Z) at 1000 Hz``: of the last impedance spectrum, as measured. ``plateau``: 1
while E over charge is flat, else 0; ``knees``: entries and exits so far in this step. A slope is by the charge of the step (1/mAh), over
its last 60 points, at least 1 s apart: none where no charge passes. ``step_start``: the first sample of the step under current, sign
and all. Rules over spectra are not executed here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drivers.base import ImpedanceSpectrum, Mode
from orchestrator.model.observables import frequency_of
from orchestrator.model.rule import Predicate, Rule
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.interlocks.readings import least_current_A
from orchestrator.runner.interlocks.resistance import Resistance
from orchestrator.runner.trigger_kinds import Plateau
from orchestrator.runner.triggers import Sample

STEP_START = "step_start"
SLOPE_FROM, SLOPE_OVER = 10, 60
SLOPE_APART_s = 1.0
"""A slope is that of so many points, so far apart: what it costs does not grow with the rate of sampling."""
NEAR = 0.01
"""So much beyond its ends a spectrum still tells: instruments round their frequencies."""


@dataclass(slots=True)
class Seen:
    """What the observables are made of. ``least_A``: less current than that is none; infinite where none was asked for."""

    resistance: Resistance
    start: Sample | None = None
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
            self.start = None
            self.plateau = Plateau()

    def see(self, sample: Sample) -> None:
        """One sample."""
        if self.start is None and self.under_current(sample) and math.isfinite(sample.voltage_V):
            self.start = sample
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
        start_V = 0.0 if self.start is None else self.start.voltage_V
        return abs(sample.voltage_V) / abs(start_V) if start_V and self.under_current(sample) else None


def reader(observable: str) -> Callable[[Seen, Sample], float | None] | None:
    """How an observable is read off; None for one that samples and impedance do not tell."""
    frequency_Hz = frequency_of(observable)
    return OBSERVABLES.get(observable) if frequency_Hz is None else lambda seen, _: seen.real_part_ohm(frequency_Hz)


OBSERVABLES: dict[str, Callable[[Seen, Sample], float | None]] = {
    "voltage": lambda _, sample: sample.voltage_V,
    "voltage_we": lambda _, sample: sample.we_V,
    "voltage_ce": lambda _, sample: sample.ce_V,
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
    return rule.enabled and bool(predicates) and all(reader(one.observable) is not None and _has_bound(one) for one in predicates)


def _has_bound(predicate: Predicate) -> bool:
    """A value, or the start of the step."""
    return predicate.value is not None or (predicate.reference or {}).get("of") == STEP_START


class _Slope:
    """The slope of one observable by the charge of the step."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=SLOPE_OVER)
        self._last_s = -math.inf
        self._slope: float | None = None

    def feed(self, sample: Sample, value: float | None) -> float | None:
        """In units of the observable for each mAh; None while there are too few points, or no charge between them."""
        if value is not None and math.isfinite(value) and sample.elapsed_s - self._last_s >= SLOPE_APART_s:
            self._last_s = sample.elapsed_s
            self._points.append((abs(sample.charge_C) / 3.6, value))
            self._slope = self._fitted()
        return self._slope

    def _fitted(self) -> float | None:
        if len(self._points) < SLOPE_FROM:
            return None
        count = len(self._points)
        mean_mAh, mean = (sum(column) / count for column in zip(*self._points, strict=True))
        spread = sum((charge - mean_mAh) ** 2 for charge, _ in self._points)
        return sum((charge - mean_mAh) * (one - mean) for charge, one in self._points) / spread if spread > 0 else None


class _Comparison:
    """One comparison of a rule, with what it must remember of the step."""

    def __init__(self, predicate: Predicate) -> None:
        self._predicate = predicate
        self._slope = _Slope() if predicate.test.startswith("slope") else None
        self._value: float | None = None

    def feed(self, sample: Sample, seen: Seen) -> None:
        """One sample, whether its rule is armed or not."""
        value = self._read(sample, seen)
        self._value = value if self._slope is None else self._slope.feed(sample, value)

    def true(self, seen: Seen, values: dict[str, float]) -> bool:
        """Does it hold for the newest sample? ``values``: what it has looked at is written there."""
        name, bound = self._predicate.observable, self._bound(seen)
        if self._value is None or bound is None or not math.isfinite(self._value):
            return False
        values[name if self._slope is None else f"slope({name})"] = self._value
        if self._predicate.value is None:
            values[f"{name}, bound"] = bound
        return self._value > bound if self._predicate.test.endswith("above") else self._value < bound

    def _read(self, sample: Sample, seen: Seen) -> float | None:
        read = reader(self._predicate.observable)
        value = None if read is None else read(seen, sample)
        return abs(value) if value is not None and self._predicate.absolute else value

    def _bound(self, seen: Seen) -> float | None:
        if self._predicate.value is not None:
            return self._predicate.value
        start = None if seen.start is None else self._read(seen.start, seen)
        return None if start is None else float((self._predicate.reference or {}).get("factor", 1.0)) * start


class _Standing:
    """One rule while the run goes on: how often in a row it was true, and whether it has said so."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.count = 0
        self.fired = False
        self.armed = False
        self.first: Sample | None = None
        self.begin(first=True)

    def begin(self, *, first: bool) -> None:
        """A step (``first``), or a further part of it, begins."""
        self.count, self.fired, self.armed = 0, False, False
        if first:
            self._all, self._any = ([_Comparison(one) for one in some] for some in (self.rule.all_of, self.rule.any_of))

    def feed(self, sample: Sample, seen: Seen) -> Firing | None:
        """What it has seen, when it fires on this sample."""
        rule = self.rule
        for one in (*self._all, *self._any):
            one.feed(sample, seen)
        if sample.elapsed_s < rule.not_after_edge_s or not self._arms(sample, seen):
            return None
        values: dict[str, float] = {}
        true = all(one.true(seen, values) for one in self._all)
        true = true and (not self._any or any(one.true(seen, values) for one in self._any))
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
            standing.begin(first=first)

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
