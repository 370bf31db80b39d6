"""A host that dies after a rule has changed the protocol: the run that goes on has it changed too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Survive = Callable[..., Any]
HOLD = "hold at -5 mV until 2 minutes"
RULES = f"""at_end: {{cell: open circuit, nmr: [fast]}}
rules:
  - {{name: enough, when: E < -1 mV, for: 90 samples, do: [{HOLD}, change acquisition slow]}}
"""
CHANGES = (("at_end: {cell: open circuit, nmr: [fast]}\n", RULES),)
FIRED_s = 30 + 90


def test_a_hold_that_was_broken_off_is_held_whole_and_the_acquisition_stays_changed(survive: Survive, kill: Any) -> None:
    night = survive(kill(FIRED_s + 40.0), changes=CHANGES)
    (left,) = night.left
    assert left.hold == (HOLD, "rule `enough`")
    assert left.instead == {"": "slow"}
    holds = [event for event in night.of("step.started") if event.data["mode"] == "potentiostatic"]
    assert len(holds) == 2  # the one that died, and a whole one
    ended = next(event for event in night.of("step.ended") if event.data["key"] == holds[1].data["key"])
    assert (ended.data["reason"], ended.data["duration_s"]) == ("time", pytest.approx(120, abs=2))
    fired = night.of("rule.fired")[0]
    later = [event for event in night.of("acquisition.requested") if event.mono_ns > fired.mono_ns and event.data["reasons"] != ["list"]]
    assert {event.data["name"] for event in later if "every" in event.data["reasons"][0]} == {"slow"}


def test_a_hold_that_was_over_is_not_held_again(survive: Survive, kill: Any) -> None:
    night = survive(kill(FIRED_s + 140.0), changes=CHANGES)
    (left,) = night.left
    assert left.hold is None
    assert len([event for event in night.of("step.started") if event.data["mode"] == "potentiostatic"]) == 1
