"""What a station cannot do whose cell somebody else runs (rung 1), or whose cycler only obeys its own software (rung 2)."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.base import FULL_CONTROL
from orchestrator.model.problems import Problem
from orchestrator.model.values import Where
from orchestrator.plan.findings.facts import Facts, warning

MOVES_THE_CELL = frozenset({"open circuit", "end step", "skip to step", "hold", "stop", "abort", "eis"})
ACT_BY_HAND = "write it into the cycler's own program, or drive the cell (rung 2 or 3)"


def says_its_rung(facts: Facts) -> Iterator[Problem]:
    """What this program cannot do on this station is said before anything begins."""
    can = facts.instruments.potentiostat
    if can.rung < FULL_CONTROL:
        yield warning(Where(), f"rung {can.rung} of 3: with `{facts.setup.potentiostat}` this program {can.cannot}")


def steps_that_need_a_driver(facts: Facts) -> Iterator[Problem]:
    """The cell waits for nobody where somebody else runs it."""
    if facts.instruments.potentiostat.obeys:
        return
    for step, where in facts.steps():
        if step.action != "electrochemical":
            yield Problem(where, f"`{step.text}` needs a cell that obeys; `{facts.setup.potentiostat}` is only followed", ACT_BY_HAND)
        elif step.then or step.wait_for_nmr is not None:
            message = f"`{step.text}` would have the cell wait for NMR; `{facts.setup.potentiostat}` is only followed"
            yield Problem(where, message, "leave `then` and `wait_for_nmr` out: NMR follows the cell")
    if facts.plan.prepare:
        message = f"`prepare` needs a cell that obeys; `{facts.setup.potentiostat}` is only followed"
        yield Problem(facts.at("prepare"), message, "leave it out: the cycler has begun before, or begins by itself")


def rules_that_are_alarms(facts: Facts) -> Iterator[Problem]:
    """A rule that would move the cell can only call somebody."""
    if facts.instruments.potentiostat.obeys:
        return
    for rule in facts.experiment.rules:
        verbs = [action.verb for action in rule.do if action.verb in MOVES_THE_CELL]
        if rule.enabled and verbs:
            yield warning(
                rule.where, f"`{rule.name}` cannot {' or '.join(verbs)} here: it is an alarm, and nothing else", "act at the cycler"
            )


CHECKS = (says_its_rung, steps_that_need_a_driver, rules_that_are_alarms)
