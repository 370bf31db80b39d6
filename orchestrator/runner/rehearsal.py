"""``operando rehearse``: rules over a run that is over. The engines are those of a live run; nothing is done, all is told. Pure.

Spectra are analysed again, so that a rule may look at windows that nobody asked for at the time; a firing is told at the
spectrum or sample that completed it, without the analysis' latency.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.base import EndConditions, Limits, Mode
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.columns import unpack
from orchestrator.model.events import GAP_EDGE, Event
from orchestrator.model.protocol import SampleRate
from orchestrator.model.rule import Rule
from orchestrator.plan.orders import Plan, PlannedStep
from orchestrator.runner.observed import Observed, observed
from orchestrator.runner.resumption import named
from orchestrator.runner.rules import Firing, RuleEngine
from orchestrator.runner.spectral import BESIDE, SpectralRules
from orchestrator.runner.triggers import Sample


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One firing: seconds since the run began, step, spectrum (or none), numbers, and what the rule would have done."""

    rule: str
    time_s: float
    step_key: str
    spectrum_key: str
    values: Mapping[str, float]
    actions: tuple[str, ...]


def rehearse(events: Iterable[Event], rules: tuple[Rule, ...]) -> Iterator[Rehearsed]:
    """Every firing of these rules over a run's events. Raises ValueError where they do not begin with a run and its plan."""
    rehearsal = _Rehearsal(rules)
    for event in events:
        yield from rehearsal.feed(event)


class _Rehearsal:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._analysis = LiveAnalysis()
        self._spectral = SpectralRules(rules)
        self._engine: RuleEngine | None = None
        self._steps: dict[str, PlannedStep] = {}
        self._origin_ns = 0
        self._now = ("", "")
        self._started_ns: dict[tuple[str, str], int] = {}
        """When each step and each wait began first."""
        self._capacity_C: float | None = None
        self._unplanned = False

    def feed(self, event: Event) -> Iterator[Rehearsed]:
        if event.kind == "run.started":
            event = self._start(event)
        elif self._engine is None:
            raise ValueError(f"the journal begins with {event.kind}, not with the start of a run")
        elif event.kind == "step.started":
            self._step(event)
        elif event.kind == "ec.block":
            yield from self._samples(event)
        elif event.kind == "observable" and event.data["name"] in BESIDE:
            self._spectral.feed([beside(event)])
        found = self._analysis.feed(event)
        for firing, seen in self._spectral.feed([observed(finding.row()) for finding in found]):
            yield self._told(firing, firing.mono_ns, seen.step_key, seen.key)

    def _start(self, event: Event) -> Event:
        """The run as it was, with these rules in its plan, so that the analysis looks where they look."""
        self._origin_ns = int(event.data["origin_mono_ns"])
        self._unplanned = not event.data["plan"]["steps"] and "rung" in event.data
        plan = None if self._unplanned else Plan.model_validate(event.data["plan"])
        self._engine = RuleEngine(self._rules, 0.0 if plan is None else plan.lead_ohm)
        if plan is not None:
            self._steps = {step.key: step for step in (*plan.prepare, *plan.steps)}
            self._capacity_C = plan.capacity_C
        asked: dict[str, Any] = {**event.data["plan"], "rules": [rule.model_dump(mode="json") for rule in self._rules]}
        return Event(event.seq, event.mono_ns, event.utc_ns, event.kind, {**event.data, "plan": asked}, event.blob)

    def _step(self, event: Event) -> None:
        """A step, a further part of one, or a wait: what is seen in a wait is none of the step's, whose key it bears."""
        name = named(str(event.data["key"]))
        planned = unplanned(event.data, None) if self._unplanned or name.wait else self._steps.get(name.planned)
        if planned is not None and self._engine is not None:
            self._now = name[:2]
            self._engine.begin(planned, first=self._now not in self._started_ns)
            self._started_ns.setdefault(self._now, event.mono_ns)

    def _samples(self, event: Event) -> Iterator[Rehearsed]:
        key = str(event.data["step_key"])
        if self._engine is None or named(key)[:2] != self._now:
            return
        started_ns = self._started_ns[self._now]
        columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
        names = ("mono_ns", "charge_step_C", "voltage_V", "current_A", "x", "status")
        unread = np.full(event.data["n"], np.nan)
        electrodes = tuple(columns.get(name, unread) for name in ("voltage_we_V", "voltage_ce_V"))
        for at_ns, charge_C, voltage_V, current_A, x, status, we_V, ce_V in zip(
            *(column.tolist() for column in (*(columns[name] for name in names), *electrodes)), strict=True
        ):
            if int(status) & GAP_EDGE:
                continue
            fraction = abs(charge_C) / self._capacity_C if self._capacity_C else None
            sample = Sample(at_ns, (at_ns - started_ns) / 1e9, charge_C, voltage_V, current_A, x, fraction, we_V, ce_V)
            yield from (self._told(firing, at_ns, key, "") for firing in self._engine.feed(sample))

    def _told(self, firing: Firing, at_ns: int, step_key: str, spectrum_key: str) -> Rehearsed:
        actions = tuple(action.text or action.verb for action in firing.rule.do)
        return Rehearsed(firing.rule.name, (at_ns - self._origin_ns) / 1e9, step_key, spectrum_key, dict(firing.values), actions)


def beside(event: Event) -> Observed:
    """What the rig measured beside a spectrum, out of its ``observable`` event."""
    data = event.data
    return Observed(data["name"], float(data["value"]), data.get("error"), data["unit"], data["key"], str(data.get("algorithm") or ""))


def unplanned(step: Mapping[str, Any], current_A: float | None) -> PlannedStep:
    """A step of a run that somebody else drives, as the engines want one, from the data of its ``step.started``; no end, no limit."""
    mode = step["mode"]
    return PlannedStep(
        index=int(step["index"]),
        key=str(step["key"]),
        text=str(step["text"]),
        verb="",
        cycle=int(step["cycle"]),
        mode=Mode(mode) if mode in list(Mode) else Mode.GALVANOSTATIC,
        current_A=current_A,
        ends=EndConditions(math.inf),
        limits=Limits(math.inf, -math.inf, math.inf, math.inf, math.inf),
        sample=SampleRate(then_Hz=0.0),
        expected_s=0.0,
        worst_s=math.inf,
    )
