"""Rules over spectra: what findings of the analysis say, against numbers, blanks, means and earlier cycles. Pure.

A rule is asked once for every spectrum, with all that was found in it. Its references are made of the findings of earlier
spectra of the same acquisition: ``blank`` = before the first charge passed; ``mean`` = all earlier ones, or those of a range of x;
``same_half_cycle`` = the same direction of current in given cycles, each at the charge nearest to the present one. A factor
is compared as a ratio to its reference, so that it means the same while an area falls (practice.md 14). A spectrum that began
before ``not_after_edge_s`` were over, or before its rule was armed in this step, is not asked about, but serves as a reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from orchestrator.model.observables import base_name, declared, window_name
from orchestrator.model.rule import Predicate, Rule
from orchestrator.model.units import NOTHING_A
from orchestrator.runner.observed import Observed
from orchestrator.runner.rules import Firing
from orchestrator.runner.triggers import Sample

LEAST_REFERENCE = 3
"""A mean of fewer spectra is no reference."""
LEAST_BLANKS = 1
REFERENCE_SIGMAS = 3.0
"""So far from zero must a reference lie that others are divided by."""
BESIDE = frozenset({"reflected_power"})
"""What the rig itself measures beside a spectrum, and tells before the analysis has looked at it."""
WAITING = 100
"""So many spectra that nobody has analysed yet may have something beside them."""
OF_SAMPLES = {"voltage": "voltage_V", "current": "current_A"}
"""Electrochemistry that a rule over spectra may ask for besides: as it was at the middle of the acquisition."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One spectrum: value and standard error of each observable by name, and what the cell did meanwhile."""

    acquisition: str
    key: str
    values: Mapping[str, tuple[float, float]]
    context: Mapping[str, object]

    def number(self, name: str) -> float:
        """A number of the context; NaN where it has none."""
        value = self.context.get(name)
        return float(value) if isinstance(value, int | float) else math.nan

    @property
    def step_key(self) -> str:
        """The step it was measured in; empty where none ran."""
        return str(self.context.get("step_key") or "")

    @property
    def direction(self) -> int:
        """Sign of the current."""
        current_A = self.number("current_A")
        return 0 if not abs(current_A) >= NOTHING_A else 1 if current_A > 0 else -1

    @property
    def sample(self) -> Sample:
        """The cell at the middle of the acquisition."""
        number = self.number
        charge_C = 3.6 * number("charge_step_mAh")
        return Sample(int(number("mono_ns") if "mono_ns" in self.context else 0), 0.0, charge_C, number("voltage_V"),
                      number("current_A"), number("x"), None, number("voltage_we_V"), number("voltage_ce_V"))  # fmt: skip


def spectra_of(found: Iterable[Observed]) -> list[Seen]:
    """Findings by spectrum, in their order."""
    keys: dict[str, list[Observed]] = {}
    for one in found:
        keys.setdefault(one.key, []).append(one)
    seen = []
    for key, rows in keys.items():
        context = next((row.context for row in rows if row.context), {})
        values = {row.name: (row.value, row.error or 0.0) for row in rows}
        seen.append(Seen(str(context.get("acquisition") or ""), key, values, context))
    return seen


def executable(rule: Rule) -> bool:
    """True for a rule that looks at spectra."""
    predicates = (*rule.all_of, *rule.any_of)
    sources = [known.source for one in predicates if (known := declared(one.observable)) is not None]
    return rule.enabled and "spectra" in sources and all(_known(one) for one in predicates)


def _known(predicate: Predicate) -> bool:
    known = declared(predicate.observable)
    return known is not None and (known.source == "spectra" or (predicate.observable in OF_SAMPLES and predicate.value is not None))


def name_of(predicate: Predicate) -> str:
    """The observable that a comparison looks at: ``slope(moss)``, ``area(240..290 ppm)``."""
    base, line = base_name(predicate.observable), predicate.observable.partition("(")[2]
    base = "slope" if predicate.test.startswith("slope") else base
    if predicate.window_ppm is not None:
        return f"{base}({window_name(*predicate.window_ppm)})"
    return f"{base}({line}" if line else base


class Compared(NamedTuple):
    """What came of one comparison: ``true`` None = it could not be made."""

    true: bool | None
    values: dict[str, float]


class _History:
    """All values of one observable in the spectra of one acquisition: (value, error, spectrum)."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, Seen]] = []

    def add(self, value: float, error: float, seen: Seen) -> None:
        self._rows.append((value, error, seen))

    def blank(self) -> list[tuple[float, float]]:
        return [(value, error) for value, error, seen in self._rows if seen.number("blank") == 1]

    def mean(self, over: Sequence[float] | None) -> list[tuple[float, float]]:
        low, high = over or (-math.inf, math.inf)
        return [(value, error) for value, error, seen in self._rows if over is None or low <= seen.number("x") <= high]

    def same_half_cycle(self, now: Seen, cycles: Sequence[int]) -> list[tuple[float, float]]:
        nearest: dict[int, tuple[float, float, float]] = {}
        for value, error, seen in self._rows:
            cycle = int(seen.number("cycle")) if "cycle" in seen.context else -1
            if not cycles[0] <= cycle <= cycles[-1] or cycle >= now.number("cycle") or seen.direction != now.direction:
                continue
            away = abs(abs(seen.number("charge_step_mAh")) - abs(now.number("charge_step_mAh")))
            if cycle not in nearest or away < nearest[cycle][0]:
                nearest[cycle] = (away, value, error)
        return [(value, error) for _, value, error in nearest.values()]


@dataclass(slots=True)
class _Standing:
    """One rule while the run goes on."""

    rule: Rule
    histories: dict[tuple[str, str], _History] = field(default_factory=dict)
    step_key: str = ""
    count: int = 0
    quiet: int = 0
    fired: bool = False
    first: Seen | None = None
    armed: bool = False

    def feed(self, seen: Seen) -> Firing | None:
        """Ask the rule about one spectrum; what it has seen, when it fires."""
        rule = self.rule
        if rule.acquisition is not None and seen.acquisition != rule.acquisition:
            return None
        compared = [self._compare(one, seen) for one in (*rule.all_of, *rule.any_of)]
        self._enter(seen)
        if not self._asks(seen) or not self._holds(seen):
            return None
        every, some = compared[: len(rule.all_of)], compared[len(rule.all_of) :]
        true = all(one.true for one in every) and (not some or any(one.true for one in some))
        return self._counted(seen, {name: value for one in compared for name, value in one.values.items()}, true=true)

    def _holds(self, seen: Seen) -> bool:
        """Does the spectrum say what the rule looks at: all of ``all``, and one of ``any``?"""
        every, some = (self._told(these, seen) for these in (self.rule.all_of, self.rule.any_of))
        return all(every) and (any(some) or not some)

    @staticmethod
    def _told(these: Iterable[Predicate], seen: Seen) -> list[bool]:
        return [name_of(one) in seen.values for one in these if one.observable not in OF_SAMPLES]

    def _enter(self, seen: Seen) -> None:
        if seen.step_key != self.step_key:
            self.step_key, self.count, self.quiet, self.fired, self.armed = seen.step_key, 0, 0, False, False

    def _asks(self, seen: Seen) -> bool:
        """Did it begin long enough after the edge, and is the rule armed: E of the new sign, or so long after the edge, what is first?"""
        rule, since_edge_s = self.rule, seen.number("elapsed_s")
        if rule.not_after_edge_s and not since_edge_s >= rule.not_after_edge_s:
            return False
        waits = rule.armed_after_s is not None or rule.armed_on_new_sign
        late = rule.armed_after_s is not None and since_edge_s >= rule.armed_after_s
        turned = rule.armed_on_new_sign and seen.number("voltage_V") * seen.direction > 0
        self.armed = self.armed or not waits or late or turned
        return self.armed

    def _counted(self, seen: Seen, values: dict[str, float], *, true: bool) -> Firing | None:
        """So many in a row within one step; it counts again only after as many that were not so."""
        needed = self.rule.for_count * self.rule.times
        self.count, self.quiet = (self.count + 1, 0) if true else (0, self.quiet + 1)
        self.first = seen if self.count == 1 else self.first
        self.fired = self.fired and self.quiet < needed
        if self.fired or self.count < needed or self.first is None:
            return None
        self.fired = True
        return Firing(self.rule, values | {"spectra": float(needed)}, seen.sample.mono_ns, self.first.sample)

    def _compare(self, predicate: Predicate, seen: Seen) -> Compared:
        name = name_of(predicate)
        if predicate.observable in OF_SAMPLES:
            value, error = seen.number(OF_SAMPLES[predicate.observable]), 0.0
        elif name in seen.values:
            value, error = seen.values[name]
        else:
            return Compared(None, {})
        value = abs(value) if predicate.absolute else value
        history = self.histories.setdefault((seen.acquisition, name), _History())
        bound = _bound(predicate, history, seen)
        history.add(value, error, seen)
        told = {name: value} | ({f"{name} SE": error} if error else {})
        if bound is None:
            return Compared(None, told)
        value, error = bound.apply(value, error)
        if bound.factor is not None:
            told |= {f"{name} ratio": value, f"{name} ratio SE": error}
        told |= {f"{name} {word}": number for word, number in bound.told.items()}
        margin = (self.rule.confidence_SE or 0.0) * error
        true = value - margin > bound.value if predicate.test.endswith("above") else value + margin < bound.value
        return Compared(true, told)


@dataclass(frozen=True, slots=True)
class _Bound:
    """What is compared with: ``factor`` of a reference (``value`` then is the factor), or a number."""

    value: float
    told: Mapping[str, float]
    factor: tuple[float, float] | None = None

    def apply(self, value: float, error: float) -> tuple[float, float]:
        """Value and error as they are compared: divided by the reference where there is a factor."""
        if self.factor is None:
            return value, error
        reference, reference_sd = self.factor
        ratio = value / reference
        return ratio, math.hypot(error / reference, ratio * reference_sd / reference)


def _bound(predicate: Predicate, history: _History, seen: Seen) -> _Bound | None:
    """The bound of a comparison; None while its reference cannot be made."""
    reference = predicate.reference
    if reference is None:
        return None if predicate.value is None else _Bound(predicate.value, {"bound": predicate.value})
    values = _population(reference, history, seen)
    if values is None:
        return None
    mean, mean_sd, scatter = _weighed(values)
    told = {"reference": mean, "reference SE": mean_sd, "reference spectra": float(len(values))}
    if (n_sd := reference.get("n_sd")) is not None:
        bound = mean + (n_sd if predicate.test.endswith("above") else -n_sd) * scatter
        return _Bound(bound, told | {"bound": bound, "reference sd": scatter})
    factor = float(reference.get("factor") or 1.0)
    if abs(mean) <= REFERENCE_SIGMAS * mean_sd:
        return None
    return _Bound(factor, told | {"bound": factor}, (mean, mean_sd))


def _population(reference: Mapping[str, object], history: _History, seen: Seen) -> list[tuple[float, float]] | None:
    over = reference.get("over")
    match reference["of"]:
        case "blank":
            values = history.blank()
            return values if len(values) >= LEAST_BLANKS and seen.number("blank") == 0 else None
        case "mean":
            x = over["x"] if isinstance(over, Mapping) else None
            if x is not None and min(x) <= seen.number("x") <= max(x):
                return None  # still being made
            values = history.mean(x)
            return values if len(values) >= LEAST_REFERENCE else None
        case "same_half_cycle":
            cycles = reference.get("cycles") or (1, 10**9)
            assert isinstance(cycles, Sequence)
            if not seen.direction or not seen.number("cycle") > 1:
                return None
            return history.same_half_cycle(seen, cycles) or None
        case _:
            return None


def _weighed(values: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Mean, its standard error, and the standard deviation of one (at least what is stated for one)."""
    n = len(values)
    mean = sum(value for value, _ in values) / n
    stated = math.sqrt(sum(error**2 for _, error in values) / n)
    scatter = math.sqrt(sum((value - mean) ** 2 for value, _ in values) / (n - 1)) if n > 1 else 0.0
    sd = max(stated, scatter)
    return mean, sd / math.sqrt(n), sd


class SpectralRules:
    """All rules of a run that look at spectra."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._standing = [_Standing(rule) for rule in rules if executable(rule)]
        self._beside: dict[str, dict[str, tuple[float, float]]] = {}

    def feed(self, found: Sequence[Observed]) -> list[tuple[Firing, Seen]]:
        """The rules that fire on these findings, each with the spectrum that completed it."""
        if not self._standing:
            return []
        spectra = [whole for seen in spectra_of(found) if (whole := self._whole(seen)) is not None]
        fired = [(standing.feed(seen), seen) for seen in spectra for standing in self._standing]
        return [(firing, seen) for firing, seen in fired if firing is not None]

    def _whole(self, seen: Seen) -> Seen | None:
        """A spectrum with what was measured beside it; None while there is nothing else of it."""
        if seen.values.keys() <= BESIDE:
            self._beside.setdefault(seen.key, {}).update(seen.values)
            if len(self._beside) > WAITING:
                del self._beside[next(iter(self._beside))]
            return None
        beside = self._beside.pop(seen.key, None)
        return seen if beside is None else replace(seen, values={**beside, **seen.values})
