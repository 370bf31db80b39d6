"""A night whose cut-offs mean E - I*R_lead: the instrument is told what it reads then, and both voltages stand in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.recorder.electrochemistry import Electrochemistry

FILE = """
version: 1
experiment: leads
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
cut_offs: E - I*R_lead
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
protocol:
  - {current_mA: 0.4, until: {voltage_V: 0.2, time_h: 0.05}}
at_end: {cell: open circuit}
"""


def test_the_instrument_is_told_and_both_voltages_are_kept(live: Callable[..., Any]) -> None:
    night = live(FILE)
    assert night.outcome.exit_code == 0
    (started,) = night.of("step.started", mode="galvanostatic")
    assert started.data["ends"]["voltage_upper_V"] == pytest.approx(0.2 + 0.4e-3 * 2)
    kept = Electrochemistry()
    kept.lead_ohm = night.plan.lead_ohm
    rows = [one.columns for one in kept.feed(night.of("ec.block"), 0)]
    voltage_V, inner_V, current_A = (np.concatenate([one[name] for one in rows]) for name in ("voltage", "voltage_corrected", "current"))
    assert np.allclose(inner_V, voltage_V - 2 * current_A)
    assert (np.abs(current_A) > 1e-4).any()
