"""One protocol on every potentiostat over the same twin: the same reasons, signs and units, and the same charge in each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RunNight = Callable[..., Any]
RIGS = ("memory", "sim", "emulated-keithley", "emulated-biologic", "emulated-neware")
"""The simulated potentiostat, MethodSCRIPT, and each of the others."""
PROTOCOL = """
version: 1
experiment: same-charge
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.2, host_lost: open circuit within 60 s}
protocol:
  - Rest for 30 seconds
  - Plate working at 1 mA/cm2 for 5 minutes
  - Rest for 30 seconds
  - {current_mA: 0.4, until: {charge_mAh: 0.12, time_h: 1}}
  - {current_mA: -0.3, until: {voltage_V: -0.3, time_h: 0.1}}
record: {every_s: 1}
"""
TRUE_C = (0.0, -0.12, 0.0, 0.432, -0.108)
REASONS = ["time", "time", "time", "charge", "time"]


@pytest.fixture(scope="module")
def seen() -> dict[str, list[float]]:
    """Signed charge of each step, by rig, as far as it was run."""
    return {}


@pytest.mark.parametrize("rig", RIGS)
def test_each_step_has_the_charge_that_was_asked_for(run_night: RunNight, seen: dict[str, list[float]], rig: str) -> None:
    """Within 0.1 % of what is meant, and of each other. What ends on charge has 1080 samples: it may be one late."""
    night = run_night(rig=rig, experiment=PROTOCOL)
    assert night.summary == (0, "finished", "off")
    ended = night.of("step.ended")
    assert [event.data["reason"] for event in ended] == REASONS
    seen[rig] = [event.data["charge_C"] for event in ended]
    assert seen[rig] == pytest.approx(TRUE_C, rel=1e-3, abs=1e-6)
    for other in seen.values():
        assert seen[rig] == pytest.approx(other, rel=1e-3, abs=1e-6)
