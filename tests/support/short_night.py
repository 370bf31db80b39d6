"""A night of seven minutes on the simulated pair, and what every night must say at its end."""

from __future__ import annotations

from typing import Any

SHORT_NIGHT = """
version: 1
experiment: short-night
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
  wide: {template: 7Li_wide, recycle_s: 4, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 1 minute, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 5 minutes, nmr: {fast: [at start, every 2 minutes, at end]}}
  - {step: Rest for 1 minute, nmr: {wide: at start}}
"""

EDGES = """
version: 1
experiment: ahead
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 1 minutes, nmr: {fast: at end}}
  - {step: Strip working at 1 mA/cm2 for 1 minutes, nmr: {fast: at end}}
"""
"""Two steps of a minute, each with a spectrum at its end."""


def ends(night: Any) -> tuple[str, str, int]:
    assert night.outcome is not None
    ended = night.of("run.ended")
    assert len(ended) == 1
    assert ended[0] is night.journal.events[-1]
    assert ended[0].data["exit_code"] == night.outcome.exit_code
    return night.outcome.state, night.outcome.outcome, night.outcome.exit_code


def cells(night: Any) -> list[tuple[str, bool]]:
    return [(event.data["cell"], event.data["confirmed"]) for event in night.of("cell.state")]


def every_record_has_an_end(night: Any) -> None:
    asked = {event.data["key"] for event in night.of("acquisition.requested") if not event.data.get("added")}
    ended = [event.data["key"] for kind in ("verified", "missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}")]
    assert sorted(ended) == sorted(asked)
