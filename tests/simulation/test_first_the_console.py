"""Behind an edge the console is told to start before the step that follows is written down: between the two lies nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from nights.live import gathered_night, observed_here
from nights.schedule import Night
from orchestrator.recorder.records import Reader
from orchestrator.rig.process import run

pytestmark = pytest.mark.timeout(300)

NIGHT = """version: 1
experiment: edges
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_1k, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 1 minutes, nmr: {fast: at end}}
  - {step: Strip working at 1 mA/cm2 for 1 minutes, nmr: {fast: at end}}
record: {every_s: 1}
"""


def test_the_console_is_armed_between_the_end_of_a_step_and_the_record_of_the_next(tmp_path: Path) -> None:
    with observed_here():
        ended = run(gathered_night(Night(1, NIGHT, ()), tmp_path))
    assert ended.outcome.complete
    with Reader(ended.folder / "journal.sqlite") as reader:
        kinds = [event.kind for event in reader.events() if event.kind.startswith(("step.", "acquisition."))]
    first = kinds.index("step.ended")
    assert kinds[first : first + 4] == ["step.ended", "acquisition.requested", "acquisition.armed", "step.started"]
