"""`start: at trigger edge within …`: what is planned, and what `check` says and refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.base import ConsoleCapabilities
from orchestrator.model.problems import ProblemsError
from orchestrator.plan.orders import Plan
from orchestrator.runner.readiness import order_of, overdue_s

Make = Callable[..., Plan]
LINE = "{step: Rest for 3 hours, nmr: {wired: at start}}"


def wired(start: str, *, more: str = "") -> str:
    return f"  wired: {{template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4, start: {start}{more}}}"


def able(*, edge: bool) -> dict[str, dict[str, ConsoleCapabilities]]:
    return {"capabilities": {"console": ConsoleCapabilities(edge=edge)}}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("at trigger edge within 2 hours", 7200.0), ("at the next trigger edge within 90 s", 90.0), ("at trigger edge within 1.5 min", 90.0)],
)
def test_it_waits_so_long_and_its_deadline_with_it(plan: Make, said: str, seconds: float) -> None:
    made = plan(LINE, extra=wired(said), given=able(edge=True))
    one, plain = made.acquisitions["wired"], made.acquisitions["fast"]
    assert (one.edge_within_s, plain.edge_within_s) == (seconds, 0.0)
    assert one.duration_s == pytest.approx(plain.duration_s)
    assert overdue_s(one, made) == pytest.approx(overdue_s(plain, made) + seconds)
    assert order_of(one, "k", overdue_s(one, made)).edge_within_s == seconds
    assert any("armed by its triggers and begun by an edge" in warned for warned in made.warnings)


@pytest.mark.parametrize("said", ["at once", "at trigger edge", "at trigger edge within a while"])
def test_another_sentence_is_refused_with_one_that_is_understood(plan: Make, said: str) -> None:
    with pytest.raises(ProblemsError, match="at trigger edge within 2 hours"):
        plan(LINE, extra=wired(said), given=able(edge=True))


def test_a_console_without_a_trigger_input_is_refused_before_the_night(plan: Make) -> None:
    with pytest.raises(ProblemsError, match="no trigger input that its driver knows of"):
        plan(LINE, extra=wired("at trigger edge within 2 hours"), given=able(edge=False))


@pytest.mark.parametrize("more", [", until: {observable: area(metal), error_percent: 2, scans_max: 512}", ", TE_ms: [2, 4, 8]"])
def test_one_edge_begins_one_fid(plan: Make, more: str) -> None:
    with pytest.raises(ProblemsError, match="one edge begins so many scans of one FID"):
        plan(LINE, extra=wired("at trigger edge within 2 hours", more=more), given=able(edge=True))
