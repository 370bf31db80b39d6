"""Killed, left alone, continued: the pair in memory, which sends what nobody heard when somebody asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Survive = Callable[..., Any]


def test_nobody_is_killed(survive: Survive, kill: Any, whole: Any) -> None:
    night = survive()
    whole(night)
    assert night.ended.outcome.complete


def test_a_step_that_its_guard_broke_off_goes_on_with_what_it_is_owed(survive: Survive, kill: Any, whole: Any) -> None:
    night = survive(kill(200.0))
    whole(night)
    assert night.ended.outcome.exit_code == 0, night.ended.outcome
    print(night.charges_C(), night.true_C())
