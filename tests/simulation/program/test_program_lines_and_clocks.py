"""From the experiment file to an instrument's own line, and from its clock to the journal's times, at --speed max."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.model.columns import unpack

RunNight = Callable[..., Any]
PLATED = """
version: 1
experiment: line
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
protocol:
  - {step: Rest for 5 seconds}
  - {step: Plate working at 1 mA/cm2 for 3 minutes}
  - {step: Strip working at 1 mA/cm2 for 5 seconds}
"""
RAISED = (("for 3 minutes", "for 3 minutes, ttl: raise"),)
SKEW_PPM = 400.0
AT_ONCE_S = 0.05


def stamps(night: Any, key: str) -> tuple[np.ndarray, np.ndarray]:
    """int64 (n,) times and the instrument's own stamps of one step, as they stand in the journal."""
    blocks = [unpack(event.data["columns"], event.blob, event.data["n"]) for event in night.of("ec.block", step_key=key)]
    return np.concatenate([one["mono_ns"] for one in blocks]), np.concatenate([one["device_ns"] for one in blocks])


def journal_is_on_our_clock(night: Any) -> None:
    """Its stamps run fast by what its clock does; the times beside them do not."""
    (_, plated, _) = night.of("step.ended")
    mono_ns, device_ns = stamps(night, plated.data["key"])
    assert len(mono_ns) > 170
    ppm = 1e6 * (np.polyfit((mono_ns - mono_ns[0]) / 1e9, (device_ns - device_ns[0]) / 1e9, 1)[0] - 1)
    assert ppm == pytest.approx(SKEW_PPM, rel=0.3)


@pytest.mark.parametrize(
    ("instrument", "said", "line", "high_s"),
    [("keithley2450", ":TRIG:BLOC:DIG:IO", 1, 180.0), ("biologic", "to.ecc", 0, 0.001)],
)
def test_a_step_raises_its_line_and_no_other_does(run_night: RunNight, instrument: str, said: str, line: int, high_s: float) -> None:
    """``ttl: raise`` of the second step: on the wire, and at the emulated instrument's output as the current begins."""
    rig = f"emulated-{instrument.removesuffix('2450')}"
    night = run_night(f"{instrument}.clock_skew:ppm={SKEW_PPM:g}", rig=rig, experiment=PLATED, changes=RAISED)
    assert night.summary == (0, "finished", "off")
    sent = [json.loads(row) for row in (night.folder / "wire" / "potentiostat.jsonl").read_text("utf-8").splitlines()]
    assert [row for row in sent if row["dir"] == "tx" and said in row["text"]]
    edges = [one for one in night.truth if one.what == "line"]
    assert [(one.data["line"], one.data["level"]) for one in edges] == [(line, 1), (line, 0)]
    driven = [one.t_s for one in night.truth if one.what == "drive" and one.data["drive"] == "current" and one.data["value"] < -1e-4]
    assert edges[0].t_s == pytest.approx(driven[0], abs=AT_ONCE_S)
    assert edges[1].t_s - edges[0].t_s == pytest.approx(high_s, abs=1.5)
    journal_is_on_our_clock(night)


def test_the_measured_offset_of_its_clock_is_in_the_journals_times(run_night: RunNight) -> None:
    """As above, of a cycler whose rows come by way of another computer."""
    night = run_night(f"neware.clock_skew:ppm={SKEW_PPM:g}", rig="emulated-neware", experiment=PLATED)
    assert night.summary == (0, "finished", "off")
    journal_is_on_our_clock(night)
