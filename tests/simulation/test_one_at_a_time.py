"""One at a time in the cell's leads: spectra with their tuning, or an impedance spectrum; who waits too long says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.runner import between

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: lock
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  long: {template: 7Li_metal, recycle_s: 0.75, scans: 88, dummies: 2}
protocol:
  - {step: Rest for 3 minutes, nmr: {long: [continuously, at end]}}
  - {eis: {frequency_Hz: [100000, 0.1], points: 9, amplitude_mA: 0.01}}
  - {step: Rest for 3 minutes, nmr: {long: continuously}}
"""


def spans(night: Any) -> list[tuple[int, int]]:
    """When each acquisition had the console."""
    ends = {event.data["key"]: event.mono_ns for event in night.of("acquisition.acquired")}
    return [(event.mono_ns, ends[event.data["key"]]) for event in night.of("acquisition.started")]


def impedance(night: Any) -> tuple[int, int]:
    began = next(event for event in night.of("step.started") if event.data["mode"] == "impedance")
    return began.mono_ns, night.of("step.ended", key=began.data["key"])[0].mono_ns


def test_an_impedance_spectrum_waits_for_the_spectrum_that_runs_and_none_starts_meanwhile(live: Live) -> None:
    night = live(NIGHT)
    assert night.outcome.exit_code == 0
    from_ns, to_ns = impedance(night)
    assert not [span for span in spans(night) if span[0] < to_ns and span[1] > from_ns]
    assert max(end for _, end in spans(night) if end <= from_ns) > night.journal.events[0].mono_ns + 180 * 10**9
    waited = [event.data["text"] for event in night.of("step.started") if "until the console is silent" in event.data["text"]]
    assert len(waited) == 1
    assert any(begin >= to_ns for begin, _ in spans(night))


def test_after_the_longest_wait_there_is_no_impedance_spectrum_and_it_is_said(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(between, "QUIET_LONGEST_S", 5.0)
    night = live(NIGHT)
    assert not [event for event in night.of("step.started") if event.data["mode"] == "impedance"]
    assert any("no impedance spectrum" in event.data["text"] for event in night.of("note"))
