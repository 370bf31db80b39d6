"""Advice that a person could compute: scans that fill an interval, scans that keep up with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.plan.optimise import advice, scans_that_fit
from orchestrator.plan.orders import Plan

Make = Callable[..., Plan]


def plate(when: str) -> str:
    return f"{{step: Plate working at 1 mA/cm2 until 1 mAh/cm2, nmr: {{fast: {when}}}}}"


def test_scans_fill_the_interval_but_for_its_jitter(plan: Make) -> None:
    fast = plan("Rest for 1 hour").acquisitions["fast"]
    n = scans_that_fit(fast, 120)
    assert (n + fast.dummies) * 0.835 + 2 <= 0.95 * 120 < (n + 1 + fast.dummies) * 0.835 + 2


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("every 2 minutes", "130 scans instead of 64 fit into 2 min, 43% more signal to noise"),
        ("every 45 s", "44 scans instead of 64 would keep up with a trigger every 45 s"),
        ("every 62 s", None),
        ("at start", None),
    ],
)
def test_one_sentence_for_what_could_be_better(plan: Make, when: str, says: str | None) -> None:
    found = list(advice(plan(plate(when))))
    assert found == ([f"`fast`: {says}"] if says else [])


def test_what_shares_its_step_is_left_alone(plan: Make) -> None:
    line = "{step: Rest for 2 hours, nmr: {fast: every 20 minutes, quant: every 20 minutes}}"
    assert list(advice(plan(line))) == []
