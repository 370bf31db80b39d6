"""What a plan cannot be (errors) and what is unwise (warnings), with the physics as the reason.

Each check looks at one thing and yields Problems; what comes in every turn of a repeat is said once.
"""

from __future__ import annotations

from orchestrator.model.problems import Problem
from orchestrator.plan.findings import acquisitions, cell, electrical, electrodes, interlocks, names, rungs, timing
from orchestrator.plan.findings.facts import Check, Facts, Instruments

__all__ = ["CHECKS", "Facts", "Instruments", "find"]

CHECKS: tuple[Check, ...] = (
    *rungs.CHECKS, *names.CHECKS, *acquisitions.CHECKS, *electrical.CHECKS, *electrodes.CHECKS,
    *timing.CHECKS, *cell.CHECKS, *interlocks.CHECKS,
)  # fmt: skip


def find(facts: Facts) -> list[Problem]:
    """All problems and warnings, errors first, each once."""
    found = dict.fromkeys(problem for check in CHECKS for problem in check(facts))
    return sorted(found, key=lambda problem: problem.level != "error")
