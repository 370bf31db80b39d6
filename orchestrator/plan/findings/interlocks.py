"""Interlocks that somebody asked for and that cannot look, or that would look too late."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.model.problems import Problem
from orchestrator.plan.findings.facts import Facts, warning


def asked_and_off(facts: Facts) -> Iterator[Problem]:
    """Who asks for an interlock must know that it does not look."""
    asked = {one.name: one for one in facts.experiment.interlocks if one.on is not False}
    for one in facts.plan.interlocks:
        setting = asked.get(one.name)
        if setting is not None and one.off:
            yield warning(setting.where, f"the interlock `{one.name}` is off all the same", one.off)


def temperatures_in_order(facts: Facts) -> Iterator[Problem]:
    """The cold side below the hot one."""
    for one in facts.experiment.interlocks:
        for low, high in (("below", "above"), ("lowest", "highest")):
            if one.numbers.get(low, 0.0) >= one.numbers.get(high, float("inf")):
                yield Problem(one.where, f"`{one.name}`: `{low}` must lie under `{high}`")


CHECKS = (asked_and_off, temperatures_in_order)
