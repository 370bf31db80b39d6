"""Killed, left alone, continued: the pair in memory, which sends what nobody heard when somebody asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Survive = Callable[..., Any]


@pytest.mark.parametrize("at_s", [5.0, 31.0, 62.0, 200.0, 640.0, 1000.0, 1290.0])
@pytest.mark.parametrize("guard", [True, False], ids=["guarded", "alone"])
def test_a_night_that_is_killed_is_completed(survive: Survive, kill: Any, whole: Any, at_s: float, *, guard: bool) -> None:
    night = survive(kill(at_s, guard=guard))
    whole(night)
    outcome = night.ended.outcome
    assert (outcome.exit_code, outcome.state, outcome.cell) == (0, "finished", "off"), outcome.reason
    lost = night.of("acquisition.lost")
    assert outcome.complete == (not lost), "complete only if every record ended verified"
    true_C = night.true_C()
    for key, charge_C in night.charges_C().items():
        uncertain_C = sum(event.data["uncertainty_C"] for event in night.of("gap") if event.data["step_key"].startswith(key))
        assert charge_C == pytest.approx(true_C[1.0 if charge_C > 0 else -1.0], rel=1e-3, abs=uncertain_C)
        assert abs(charge_C) == pytest.approx(0.24, rel=2e-3), "what the step was owed was passed, and no more"


def test_what_was_never_unheard_has_no_gap(survive: Survive, whole: Any) -> None:
    night = survive()
    whole(night)
    assert night.ended.outcome.complete
    assert not night.of("gap")


def test_killed_again_and_again(survive: Survive, kill: Any, whole: Any) -> None:
    """Each life counts on from the one before, whatever it was doing when it ended."""
    night = survive(kill(100.0), kill(3.0, guard=False), kill(40.0), kill(200.0, guard=False))
    whole(night)
    assert night.ended.outcome.exit_code == 0
    told = [event.data["continued"] for event in night.of("run.state") if "continued" in event.data]
    assert told == [1, 2, 3, 4]
    true_C = night.true_C()
    for charge_C in night.charges_C().values():
        assert charge_C == pytest.approx(true_C[1.0 if charge_C > 0 else -1.0], rel=2e-3)
