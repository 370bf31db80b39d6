"""What the run does when an interlock fires: the cell first, then the record, then whoever has to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from orchestrator.model.interlocks import PlannedInterlock
from orchestrator.model.rule import Action
from orchestrator.runner.interlocks.readings import Finding
from orchestrator.runner.interlocks.words import LEVELS, sentence
from orchestrator.runner.station import Alarms, Surroundings

SHORT = "hard short"
CONSOLE = frozenset({"tuner stall", "acquisition overdue", "amplifier trip", "receiver overflow"})
POTENTIOSTAT = frozenset({"open lead", "lost reference", "hard short", "overload", "stale samples"})
RUN_ACTS = "stale samples"
"""On this the run acts by itself, at once and for good; here it is recorded and told."""


class Verbs(Protocol):
    """What the run can do; no method waits."""

    def open_circuit(self, why: str, *, for_good: bool, short: bool = True) -> None:
        """Open circuit at once."""

    def do(self, action: Action, by: str, cause: int) -> None:
        """One action of the ``do:`` list that touches neither the circuit nor a level."""


class Acting:
    """Acts on findings and keeps the alarms that they raised."""

    def __init__(self, surroundings: Surroundings, run: Verbs, alarms: Alarms) -> None:
        self._s = surroundings
        self._run = run
        self._alarms = alarms
        self._planned = {one.name: one for one in surroundings.plan.interlocks}
        self._standing: dict[str, None] = {}

    def fired(self, finding: Finding, step_key: str) -> None:
        """Do what the table, or the experiment, says."""
        planned = self._planned[finding.name]
        verbs = {action.verb for action in planned.do}
        by, acts = f"interlock `{finding.name}`", finding.name != RUN_ACTS
        if acts and "open circuit" in verbs:
            self._run.open_circuit(by, for_good="end step" in verbs, short=finding.name == SHORT)
        cause = self.record(finding.name, finding.values, step_key, finding.mono_ns, finding.where)
        for action in planned.do if acts else ():
            if action.verb not in LEVELS and action.verb != "open circuit" and not (action.verb == "end step" and "open circuit" in verbs):
                self._run.do(action, by, cause)
        self._sound(finding, planned, cause)

    def record(self, name: str, values: Mapping[str, float], step_key: str, mono_ns: int | None = None, where: str = "") -> int:
        """The firing itself, with the numbers that caused it and those of the rule."""
        planned = self._planned.get(name)
        return self._s.put(
            "rule.fired",
            mono_ns=mono_ns,
            rule=name,
            interlock=True,
            actions=[] if planned is None else [action.text or action.verb for action in planned.do],
            values=dict(values),
            limits={} if planned is None else dict(planned.numbers),
            step_key=step_key,
            where=where,
        )

    def _sound(self, finding: Finding, planned: PlannedInterlock, cause: int) -> None:
        """Each firing is an alarm of its own, also where the last one still stands."""
        name, title, advice = finding.name.replace(" ", "-"), planned.table.title, planned.table.advice
        self._alarms.clear(f"interlock-{name}")
        self._standing[name] = None
        text = sentence(finding, planned, self._seen_with(finding.name))
        self._alarms.sound(f"interlock-{name}", planned.level, title, text, advice=advice, cause=cause, values=finding.values)

    def _seen_with(self, name: str) -> str:
        """The instrument that showed it; "" where it was none."""
        station = self._s.station
        if name in POTENTIOSTAT:
            return station.potentiostat_settings.instrument
        return station.console_settings.instrument if name in CONSOLE else ""

    def restore(self, alarms: Iterable[str]) -> None:
        """Go on with what stood when a run was broken off."""
        self._standing = dict.fromkeys(name for name in alarms if name.startswith("interlock-"))

    def resumed(self) -> None:
        """A person has looked and goes on: what stood is over."""
        for name in self._standing:
            self._alarms.clear(f"interlock-{name}")
        self._standing.clear()
