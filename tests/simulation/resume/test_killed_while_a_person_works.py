"""Killed while a prompt stands, or while somebody measures by hand: whoever goes on asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Survive = Callable[..., Any]

NIGHT = """
version: 1
experiment: hands
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  image: {manual: my own FLASH, minutes: 30}
protocol:
  - {prompt: turn the probe}
  - {step: Rest for 30 seconds}
  - {name: by hand, at: open circuit, nmr: [image]}
  - {step: Plate working at 1 mA/cm2 for 1 minute}
"""


@pytest.mark.parametrize("guard", [True, False], ids=["guarded", "alone"])
def test_a_prompt_is_asked_again(survive: Survive, kill: Any, *, guard: bool) -> None:
    night = survive(kill(100.0, guard=guard), night=NIGHT)
    assert (night.ended.outcome.exit_code, night.ended.outcome.state) == (0, "finished"), night.ended.outcome.reason
    (plated,) = {event.data["key"] for event in night.of("step.started") if event.data["text"].startswith("Plate")}
    assert plated
    answered = [event for event in night.of("alarm.acknowledged") if event.data["id"].startswith("prompt-s0000")]
    assert len(answered) == 1
    rest = next(event for event in night.of("step.started") if event.data["text"].startswith("Rest"))
    assert rest.mono_ns >= answered[0].mono_ns


def test_an_acquisition_by_hand_is_asked_for_again(survive: Survive, kill: Any) -> None:
    night = survive(kill(400.0), night=NIGHT)
    assert night.ended.outcome.state == "finished", night.ended.outcome.reason
    (verified,) = night.of("acquisition.verified")
    (lost,) = night.of("acquisition.lost")
    assert lost.data["key"] != verified.data["key"]
