"""A protocol may skip back: each visit of a step has a key of its own, on the instrument and in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: skips
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}}
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2}}
protocol:
  - {{step: Rest for 1 minute, name: first}}
  - {{step: Rest for 1 minute, name: look}}
  - {{step: Plate working at 1 mA/cm2 until 5 minutes, name: plating}}
  - {{step: Rest for 2 minutes, name: last}}
rules:
  - {{name: again, when: abs(E) > 0.001 V, for: 30 samples, do: [skip to step {to}]}}
"""


@pytest.mark.parametrize("to", ["plating", "look"])
def test_skip_back_visits_the_step_again_under_a_new_key(live: Live, to: str) -> None:
    async def during(night: Any) -> None:
        await night.clock.sleep(400)
        await night.command("abort")

    night = live(NIGHT.format(to=to), during)
    keys = [event.data["key"] for event in night.of("step.started")]
    plated = [event.data["key"] for event in night.of("step.started", mode="galvanostatic")]
    assert night.outcome.reason == "aborted by tester"
    assert len(keys) == len(set(keys))
    again = f"{plated[0]}-v2" if to == "plating" else "s0001-c00-rest-v2"
    assert keys[keys.index(plated[0]) :][:2] == [plated[0], again]  # the step that follows never begins
