"""What an experiment asks of the live analysis, out of the plan that stands in ``run.started``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.model.observables import base_name, window_name

RIGHT_deg = 90.0
"""The tip angle of a pulse of which nothing else is said."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the experiment asks of the analysis.

    ``edits``: windows of its own; ``further``: windows that its rules name;
    ``differences``: pairs of lines whose phases they compare; ``subtracted``: acquisitions that have a blank taken off;
    ``budget``: of the metal, as the experiment has it; ``resting``: what is measured in rests;
    ``pulses``: length in µs and tip angle by acquisition; ``tips``: tip angle alone, 90 degrees where none is said;
    ``peaks``: what shifts and widths are asked of;
    ``asked``: observables that rules name, without their lines: some are told only then;
    ``lead_ohm``: of the leads, which is no part of an overpotential.
    """

    cell: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, Sequence[float]] = field(default_factory=dict)
    further: tuple[tuple[float, float], ...] = ()
    differences: tuple[tuple[str, str], ...] = ()
    subtracted: frozenset[str] = frozenset()
    pulses: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    tips: Mapping[str, float] = field(default_factory=dict)
    peaks: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    lead_ohm: float = 0.0
    budget: Mapping[str, Any] | None = None
    resting: frozenset[str] = frozenset()

    def edited(self, edits: Mapping[str, Sequence[float]] | None) -> Wanted:
        """The same with other windows, if any are given."""
        return self if edits is None else replace(self, edits=edits)

    @classmethod
    def of(cls, started: Mapping[str, Any]) -> Wanted:
        """Out of the data of ``run.started``."""
        plan = started.get("plan")
        plan = plan if isinstance(plan, Mapping) else {}
        cell = plan.get("cell")
        rules = plan.get("rules") or ()
        acquisitions = plan.get("acquisitions") or {}
        return cls(
            cell if isinstance(cell, Mapping) else {},
            plan.get("windows") or {},
            tuple(dict.fromkeys((*_rule_windows(rules), *_budget_windows(plan.get("budget"))))),
            tuple(dict.fromkeys(_differences(rules))),
            frozenset(name for name, planned in acquisitions.items() if planned.get("subtract"))
            | frozenset(name for name, _, blank in _tracked(rules) if blank),
            {name: pulse for name, planned in acquisitions.items() if (pulse := _pulse(planned.get("template") or {})) is not None},
            {name: float((planned.get("template") or {}).get("tip_deg", RIGHT_deg)) for name, planned in acquisitions.items()},
            frozenset(_peaks(rules)),
            frozenset(base_name(str(predicate["observable"])) for predicate in _predicates(rules)),
            float(plan.get("lead_ohm") or 0.0),
            plan.get("budget"),
            frozenset(_in_rests(plan.get("steps") or ())),
        )


def _in_rests(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("mode") == "rest":
            yield from (str(trigger["acquisition"]) for trigger in step.get("triggers") or ())
            yield from map(str, step.get("acquisitions") or ())


def _budget_windows(budget: Mapping[str, Any] | None) -> Iterator[tuple[float, float]]:
    if budget is not None:
        low_ppm, high_ppm = budget["metal_ppm"]
        yield float(low_ppm), float(high_ppm)


def _predicates(rules: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for rule in rules:
        yield from (*(rule.get("all_of") or ()), *(rule.get("any_of") or ()))


def _tracked(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[float, float], bool]]:
    """Acquisition and window of the strongest line that a rule follows, and whether a blank is taken off."""
    for rule in rules:
        extra = rule.get("extra") or {}
        if track := extra.get("track"):
            low_ppm, high_ppm = track["window_ppm"]
            yield str(track["acquisition"]), (float(low_ppm), float(high_ppm)), bool(extra.get("after"))


def _rule_windows(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    for predicate in _predicates(rules):
        if predicate.get("window_ppm"):
            low_ppm, high_ppm = predicate["window_ppm"]
            yield float(low_ppm), float(high_ppm)
    yield from (window for _, window, _ in _tracked(rules))


def _peaks(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Names of what shifts or widths are asked of."""
    for predicate in _predicates(rules):
        base, _, line = str(predicate["observable"]).partition("(")
        if base in {"shift", "width"}:
            yield window_name(*predicate["window_ppm"]) if predicate.get("window_ppm") else line.removesuffix(")")
    yield from (window_name(*window) for _, window, _ in _tracked(rules))


def _pulse(template: Mapping[str, Any]) -> tuple[float, float] | None:
    """Microseconds and tip angle of a template's pulse, where it says so."""
    pulse_us, tip_deg = template.get("pulse_us"), template.get("tip_deg", RIGHT_deg)
    right = isinstance(pulse_us, int | float) and isinstance(tip_deg, int | float) and tip_deg > 0
    return (float(pulse_us), float(tip_deg)) if right and isinstance(pulse_us, int | float) else None


def _differences(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for predicate in _predicates(rules):
        name, _, lines = str(predicate["observable"]).partition("(")
        if name == "phase_difference_deg":
            first, _, second = lines.removesuffix(")").partition(", ")
            yield first, second
