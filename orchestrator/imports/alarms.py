"""Rules of a run that is only watched: what they would have done is told as an alarm, since nothing obeys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from drivers.follow.columns import MODES
from orchestrator.imports.telling import Block, Step
from orchestrator.model.events import ALARM_LEVELS
from orchestrator.model.rule import Rule
from orchestrator.runner.observed import Observed
from orchestrator.runner.rehearsal import unplanned
from orchestrator.runner.rules import Firing, RuleEngine
from orchestrator.runner.spectral import SpectralRules
from orchestrator.runner.triggers import Sample


class Put(Protocol):
    """Writes an event that happens now."""

    def __call__(self, kind: str, data: dict[str, Any], cause: int | None = None) -> int:
        """Returns its number."""


class Alarms:
    """Alarms that stand, each raised once until it is cleared."""

    def __init__(self, put: Put, standing: Iterable[str] = ()) -> None:
        self._put = put
        self._standing = dict.fromkeys(standing)

    def sound(self, name: str, level: str, title: str, text: str, advice: str = "", cause: int | None = None) -> None:
        """Raise one that does not stand yet."""
        if name not in self._standing:
            self._standing[name] = None
            self._put("alarm.raised", {"id": name, "level": level, "title": title, "text": text, "advice": advice}, cause)

    def clear(self, name: str) -> None:
        """Its reason is gone."""
        if name in self._standing:
            del self._standing[name]
            self._put("alarm.cleared", {"id": name})


class WatchedRules:
    """The engines of a driven run; a firing is journaled and sounded, and nothing is done."""

    def __init__(self, rules: tuple[Rule, ...], put: Put, alarms: Alarms) -> None:
        self._put = put
        self._alarms = alarms
        self._engine = RuleEngine(rules, 0.0)
        self._spectral = SpectralRules(rules)
        self._step = ""
        self._any = bool(rules)

    def samples(self, block: Block, step: Step, charge_C: Sequence[float], mono_ns: Sequence[int], began_ns: int) -> None:
        """Ask the rules about samples that were just told."""
        if not self._any:
            return
        if step.key != self._step:
            self._step = step.key
            told = {"index": step.index, "key": step.key, "text": "", "cycle": step.cycle, "mode": MODES[step.mode]}
            current_A = float(block.rows.current_A[0])
            self._engine.begin(unplanned(told, current_A if math.isfinite(current_A) else None), first=True)
        rows = block.rows
        measured = (rows.voltage_V, rows.current_A, rows.voltage_we_V, rows.voltage_ce_V)
        columns = (column.tolist() for column in measured)
        for at_ns, step_C, voltage_V, current_A, we_V, ce_V in zip(mono_ns, charge_C, *columns, strict=True):
            sample = Sample(at_ns, (at_ns - began_ns) / 1e9, step_C, voltage_V, current_A, math.nan, None, we_V, ce_V)
            for firing in self._engine.feed(sample):
                self._fired(firing, step.key, {})

    def observables(self, found: Sequence[Observed]) -> None:
        """Ask the rules about findings that were just journaled."""
        for firing, seen in self._spectral.feed(found):
            self._fired(firing, seen.step_key, {"spectrum_key": seen.key})

    def _fired(self, firing: Firing, step_key: str, also: Mapping[str, Any]) -> None:
        rule = firing.rule
        wanted = [action.text or action.verb for action in rule.do]
        data = {"rule": rule.name, "actions": [], "would": wanted, "values": dict(firing.values), "step_key": step_key}
        seq = self._put("rule.fired", data | dict(also))
        level = next((level for level in reversed(ALARM_LEVELS) if any(action.verb == level for action in rule.do)), "alarm")
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in firing.values.items())
        would = f"; a driven run would {', '.join(wanted)}" if wanted else ""
        self._alarms.clear(f"rule-{rule.name}")
        advice = "nothing here obeys this program: act at the cycler or the console"
        self._alarms.sound(f"rule-{rule.name}", level, rule.name, f"{rule.because or 'a rule has fired'} ({numbers}){would}", advice, seq)
