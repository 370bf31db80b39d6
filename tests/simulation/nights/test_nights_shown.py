"""Nights that are shown on a broker which goes or hangs, and nights whose tuner does: nothing of the run is another for the former."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nights.live import Lived, live
from nights.schedule import Night, night_of
from nights.seeds import check
from orchestrator.model.events import Event

SHORT = """version: 1
experiment: shown
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_1k, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 5 minutes, nmr: {fast: [at start, every 1 minute]}}
"""
FAULTS = {"alone": "", "gone": "host.broker_gone:after_s=60,for_s=120", "hung": "host.broker_gone:after_s=60,for_s=120,hangs=true"}


def story(lived: Lived) -> list[tuple[Any, ...]]:
    """What happened, and when; without what the publisher has told, and without the numbers that this shifts."""
    ours = [event for event in lived.events if not of_the_publisher(event) and event.kind != "run.started"]
    return [(event.mono_ns, event.kind, {name: value for name, value in event.data.items() if name != "fid_seq"}) for event in ours]


def of_the_publisher(event: Event) -> bool:
    return event.data.get("who") == "mqtt" or (event.kind.startswith("alarm.") and event.data.get("id") == "mqtt")


def test_a_broker_that_goes_or_hangs_changes_nothing_of_the_run(tmp_path: Path) -> None:
    alone, gone, hung = (live(Night(7, SHORT, (fault,) if fault else ()), tmp_path / name) for name, fault in FAULTS.items())
    for lived in (gone, hung):
        assert story(lived) == story(alone)
        told = [event for event in lived.events if of_the_publisher(event)]
        assert [event.kind for event in told] == ["alarm.raised", "note", "alarm.cleared"]
        assert told[1].data["text"].startswith("nobody could watch for 1")
    assert not [event for event in alone.events if of_the_publisher(event)]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [46, 251])
def test_everything_holds_after_the_night(seed: int, tmp_path: Path) -> None:
    """46: the broker hangs. 251: the tuner hangs three times."""
    assert any("broker_gone" in fault or "tuner_hang" in fault for fault in night_of(seed).faults)
    check(seed, tmp_path)
