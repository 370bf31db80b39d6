"""A host that dies after a rule has changed the protocol: the run that goes on has it changed too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.rig import process

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


def test_the_end_that_the_instrument_never_heard_is_asked_for_again(survive: Survive, kill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_plan, lives = process.run_plan, []

    async def deaf_at_first(plan: Any, station: Any, *args: Any, **more: Any) -> Any:
        lives.append(station)
        if len(lives) == 1:
            monkeypatch.setattr(station.potentiostat, "end_step", lambda _key=None: asyncio.sleep(3600), raising=False)
            monkeypatch.setattr(station.potentiostat, "make_safe", lambda: asyncio.sleep(3600), raising=False)
        return await run_plan(plan, station, *args, **more)

    monkeypatch.setattr(process, "run_plan", deaf_at_first)
    night = survive(kill(FIRED_s + 1.5, outage_s=20.0, guard=False), changes=CHANGES)
    (plated,) = [event for event in night.of("step.ended") if event.data["key"] == "s0001-c01-plate"]
    assert (plated.data["reason"], plated.data["over"]) == ("skip", True)
    fired = [event for event in night.of("rule.fired") if event.mono_ns <= plated.mono_ns]
    assert len(fired) == 1  # it need not see the same again
    assert len([event for event in night.of("step.started") if event.data["mode"] == "potentiostatic"]) == 1


def test_of_two_holds_the_first_is_the_one_that_is_held_on(survive: Survive, kill: Any) -> None:
    second = "  - {name: more, when: E < -1 mV, for: 90 samples, do: [hold at -8 mV until 2 minutes]}\n"
    night = survive(kill(FIRED_s + 40.0), changes=(*CHANGES, ("change acquisition slow]}\n", f"change acquisition slow]}}\n{second}")))
    assert night.left[0].hold == (HOLD, "rule `enough`")
    assert {event.data["voltage_V"] for event in night.of("step.started") if event.data["mode"] == "potentiostatic"} == {-0.005}


@pytest.mark.parametrize("after_s", [20.0, 512.0])
def test_a_spectrum_that_a_rule_has_asked_for_is_taken_although_the_host_died(survive: Survive, kill: Any, after_s: float) -> None:
    """In the step behind which it was due, or (the second) in the spectrum itself; and once for each time that it was asked for."""
    changed = RULES.replace(f"{HOLD}, change acquisition slow", "eis")
    night = survive(kill(FIRED_s + after_s, outage_s=20.0), changes=((CHANGES[0][0], changed),))
    assert night.left[0].impedance == "rule `enough`"
    assert len(night.of("eis")) == len(night.of("rule.fired"))
