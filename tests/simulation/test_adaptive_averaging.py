"""Averaging until an area is known: fewer scans than the fixed number, at a full phase cycle, and an error that means what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.events import Event

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: adaptive
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2,
       capacity_mAh: 1.6}}
limits: {{abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 1.7, host_lost: open circuit within 60 s}}
acquisitions:
  known: {{template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 4,
          until: "the area of moss is known to {percent} %, at most {most} scans{or_}"}}
protocol:
  - {{step: Plate working at 1 mA/cm2 until 1 mAh, nmr: {{known: {when}}}}}
  - {{step: Rest for 6 hours, nmr: {{known: {rest}}}}}
record: {{every_s: 10}}
at_end: {{cell: open circuit}}
"""


def lived(
    live: Live, *, percent: float = 5.0, most: int = 2048, or_: str = "", when: str = "at end", rest: str = "at start", **more: Any
) -> Any:
    night = live(NIGHT.format(percent=percent, most=most, or_=or_, when=when, rest=rest), **more)
    assert night.outcome.exit_code == 0
    return night


def areas(night: Any) -> list[tuple[int, float, float]]:
    """Scans, area of the moss and its stated error, of every spectrum."""
    analysis = LiveAnalysis()
    analysis.feed(Event(1, 0, 0, "run.started", {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": 0}))
    found = []
    for event in night.journal.events:
        told = {one.name: one for one in analysis.feed(event)}
        if told:
            moss = told.get("area(moss)")
            scans = (next(iter(told.values())).context or {})["scans"]
            found.append((scans, moss.value if moss else 0.0, moss.error or 0.0 if moss else math.inf))
    return found


def test_it_stops_when_enough_is_known_at_a_full_phase_cycle_and_the_error_is_honest(live: Live) -> None:
    night = lived(live, percent=1.0, rest="24 times")
    found = [one for one in areas(night) if one[1]]
    rest = found[-24:]
    assert all(scans % 4 == 0 and 32 <= scans < 512 for scans, _, _ in rest), "a quarter of the fixed number"
    assert all(0.0080 < sd / area <= 0.0103 for _, area, sd in rest)
    assert np.std([area for _, area, _ in rest], ddof=1) == pytest.approx(np.mean([sd for *_, sd in rest]), rel=0.45)
    done = [event.data["scans_done"] for event in night.of("acquisition.acquired")]
    assert len(set(done)) > 2, "it is decided on each spectrum"
    assert done == [scans for scans, *_ in areas(night)]
    assert {event.data["partial"] for event in night.of("acquisition.verified")} == {False}
    notes = [event.data["text"] for event in night.of("note") if "is known to" in event.data["text"]]
    assert len(notes) == len(done)


def test_what_cannot_be_known_so_well_is_measured_to_the_last_scan(live: Live) -> None:
    night = lived(live, percent=0.01, most=128)
    assert {event.data["scans_done"] for event in night.of("acquisition.acquired")} == {128}


def test_no_more_charge_passes_than_was_allowed(live: Live) -> None:
    night = lived(live, percent=0.01, most=4096, or_=" or 2 % of capacity", when="every 30 minutes")
    under_current = [event.data["scans_done"] for event in night.of("acquisition.acquired")][:3]
    repetition_s, current_A = 0.75 + 4096 / 93458, 0.4e-3
    allowed = 0.02 * 1.6 * 3.6 / current_A / repetition_s
    assert all(allowed - 32 <= scans <= allowed for scans in under_current)


def test_a_console_that_shows_nothing_measures_all_scans_and_says_so_once(live: Live) -> None:
    from drivers.errors import NotSupported

    def before(night: Any) -> None:
        async def look(key: str) -> Any:
            raise NotSupported(f"nobody sees {key}", instrument="console")

        night.console.look = look

    night = lived(live, most=64, rest="2 times", before=before)
    assert {event.data["scans_done"] for event in night.of("acquisition.acquired")} == {64}
    assert len([event for event in night.of("note") if "all of its scans" in event.data["text"]]) == 1
