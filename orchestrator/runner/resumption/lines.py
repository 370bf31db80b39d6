"""The steps of a plan as far as a run had come with them when it was broken off."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import EndConditions
from orchestrator.plan.orders import Plan, PlannedStep
from orchestrator.runner.account import Account, Passed
from orchestrator.runner.resumption.left import KEY, Named, Phase
from orchestrator.runner.triggers import TriggerEngine

VISIT = re.compile(r"(?P<step>.+)-v(?P<visit>\d+)")


@dataclass(slots=True)
class Line:
    """One planned step (in one visit) as far as it has come. ``position``: in its list. Times in ns of the run."""

    planned: PlannedStep
    phase: Phase
    position: int
    ends: EndConditions | None
    engine: TriggerEngine
    part: int = 0
    charge_C: float = 0.0
    earlier_C: float = 0.0
    uncertainty_C: float = 0.0
    active_s: float = 0.0
    started_ns: int | None = None
    first_started_ns: int | None = None
    over: bool = False
    follows: int = 0
    last_ns: int | None = None

    def elapsed_s(self, run_ns: int) -> float:
        """Time under this step."""
        return self.active_s + (0.0 if self.started_ns is None else (run_ns - self.started_ns) / 1e9)

    def account(self, origin_ns: int) -> Account:
        """As the runner keeps it."""
        account = Account(self.planned, self.ends or self.planned.ends, self.engine)
        account.part, account.charge_C, account.active_s = self.part, self.charge_C, self.active_s
        account.earlier_C, account.uncertainty_C = self.earlier_C, self.uncertainty_C
        account.started_ns = None if self.started_ns is None else self.started_ns + origin_ns
        account.first_started_ns = None if self.first_started_ns is None else self.first_started_ns + origin_ns
        account.over = self.over
        return account


class Lines:
    """``now``: the step that was begun last; ``passed``: what those before it have passed."""

    def __init__(self) -> None:
        self.now: Line | None = None
        self.passed: list[Passed] = []
        self.visits: Counter[int] = Counter()
        self.waits = self.looks = 0
        self._by_key: dict[str, tuple[Phase, int, PlannedStep]] = {}

    def begin(self, plan: Plan) -> None:
        """All steps by their keys."""
        for position, step in enumerate(plan.prepare):
            self._by_key[step.key] = ("prepare", position, step)
        for position, step in enumerate(plan.steps):
            self._by_key[step.key] = ("steps", position, step)

    def count_wait(self, wait: str) -> None:
        """A wait or a look of the run's own has begun: its number is taken."""
        match = KEY.fullmatch(f"x{wait}")
        number = int((match and match["number"]) or 0)
        if wait.startswith(".look"):
            self.looks = max(self.looks, number)
        else:
            self.waits = max(self.waits, number)

    def of(self, name: Named, data: Mapping[str, Any]) -> Line | None:
        """The line of a planned step that starts: the one before, or a new one; None for a key that is none of the plan's."""
        if self.now is not None and self.now.planned.key == name.planned:
            return self.now
        visit = None if name.planned in self._by_key else VISIT.fullmatch(name.planned)
        known = self._by_key.get(name.planned if visit is None else visit["step"])
        if known is None:
            return None
        phase, position, step = known
        self._leave()
        if visit is not None:
            step = step.model_copy(update={"key": name.planned})
        self.visits[step.index] = int(visit["visit"]) if visit is not None else 1
        ends = EndConditions.of(data["ends"]) if data.get("ends") else None
        self.now = Line(step, phase, position, ends, TriggerEngine(step.triggers))
        return self.now

    def _leave(self) -> None:
        line = self.now
        if line is not None and line.phase == "steps" and line.first_started_ns is not None:
            self.passed.append(Passed(line.planned.verb, line.planned.cycle, abs(line.charge_C)))
