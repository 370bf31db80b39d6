"""Killed at ``--speed max`` as by SIGKILL, in a process of its own; what outlives the host goes on in this one, and so does the run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig import process
from orchestrator.rig.as_it_began import ContinueRequest
from orchestrator.rig.continuing import continue_run
from orchestrator.rig.gather import CannotRun
from orchestrator.rig.survivors import KILLED

NIGHT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: HOST_LOST}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 10 minutes, nmr: {fast: [at start, every 2 minutes]}}
  - {step: Rest for 1 minute, nmr: {fast: at start}}
"""


@pytest.fixture
def killed(tmp_path: Path, repository: Path) -> Callable[[str, float], Path]:
    """A run that its computer's death ended; returns its folder."""

    def go(host_lost: str, after_s: float) -> Path:
        experiment = tmp_path / "experiment.yaml"
        experiment.write_text(NIGHT.replace("HOST_LOST", host_lost), encoding="utf-8")
        rig, fault = repository / "configs" / "rigs" / "sim.yaml", f"host.killed:after_s={after_s:g}"
        command = [sys.executable, "-m", "orchestrator", "run", str(experiment), "--rig", str(rig), "--speed", "max", "--seed", "1"]
        ended = subprocess.run(
            [*command, "--out", str(tmp_path / "runs"), "--fault", fault, "--json"], check=False, capture_output=True, env=dict(os.environ)
        )
        assert ended.returncode == KILLED, ended.stderr.decode()
        (folder,) = (tmp_path / "runs").iterdir()
        return folder

    return go


@pytest.mark.parametrize(
    ("host_lost", "away_s", "parts"),
    [("open circuit within 60 s", 120.0, 2), ("finish step on device", 90.0, 1), ("finish step on device", 700.0, 1)],
    ids=["guarded", "adopted", "finished"],
)
def test_what_outlived_the_host_is_continued(
    killed: Any, monkeypatch: pytest.MonkeyPatch, beside: Any, host_lost: str, away_s: float, parts: int
) -> None:
    folder = killed(host_lost, 250.0)
    monkeypatch.setattr(process, "Companions", beside)
    ended = continue_run(ContinueRequest(folder, display="none", away_s=away_s))
    assert (ended.outcome.exit_code, ended.outcome.state) == (0, "finished"), ended.outcome.reason
    finding = verify(folder)
    assert finding.ok, finding.lines
    with Reader(folder / "journal.sqlite") as reader:
        events = list(reader.events())
    keys = [event.data["key"] for event in events if event.kind == "step.started" and event.data["index"] == 0]
    assert len(keys) == parts, keys
    plated = [event.data for event in events if event.kind == "step.ended" and "plate" in event.data["key"]][-1]
    assert plated["charge_C"] == pytest.approx(-0.24, rel=2e-3)
    asked = {event.data["key"] for event in events if event.kind == "acquisition.requested"}
    over = {event.data["key"] for event in events if event.kind in {"acquisition.verified", "acquisition.lost", "acquisition.missed"}}
    assert over == asked
    with pytest.raises(CannotRun, match="this run has ended"):
        continue_run(ContinueRequest(folder, display="none"))
