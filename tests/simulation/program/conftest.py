"""The whole program in virtual time: `operando run --speed max` without the terminal, and everything it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nights.live import observed_here
from orchestrator.model.events import Event
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest
from orchestrator.rig.truth import Truth, driven_after_s, read_truth

SHORT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 5 minutes, nmr: {fast: [at start, every 1 minute]}}
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
"""


@dataclass
class Night:
    """What a run left behind."""

    ended: Ended
    events: list[Event]
    truth: list[Truth]

    @property
    def folder(self) -> Path:
        return self.ended.folder

    @property
    def reason(self) -> str:
        return self.ended.outcome.reason

    @property
    def summary(self) -> tuple[int, str, str]:
        outcome = self.ended.outcome
        return outcome.exit_code, outcome.state, outcome.cell

    def of(self, kind: str, **data: Any) -> list[Event]:
        return [event for event in self.events if event.kind == kind and all(event.data.get(key) == value for key, value in data.items())]

    def guard(self) -> list[dict[str, Any]]:
        path = self.folder / "guard.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    @property
    def fault_s(self) -> float:
        """The twin's second at which the first fault went on."""
        return next(one.t_s for one in self.truth if one.what == "fault")

    @property
    def driven_s(self) -> float | None:
        """Seconds of current after the fault, asked of the cell; None = it never ended."""
        return driven_after_s(self.truth, self.fault_s)

    def last_sample_s(self) -> float:
        """The newest sample in run.h5, in seconds of the run."""
        with open_run(self.folder) as file:
            return float(file.electrochemistry["time"][-1])


def intact(night: Night) -> None:
    """One end, as the program said; every record has an end; run.h5 holds every event and sample; every hash agrees."""
    (ended,) = night.of("run.ended")
    assert ended is night.events[-1]
    assert ended.data["exit_code"] == night.ended.outcome.exit_code
    asked = {event.data["key"] for event in night.of("acquisition.requested")}
    ends = [event.data["key"] for kind in ("verified", "missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}")]
    assert sorted(ends) == sorted(asked)
    finding = verify(night.folder)
    assert finding.ok, finding.lines
    assert night.ended.closeout["ok"], night.ended.closeout
    with open_run(night.folder) as file:
        samples = sum(event.data["n"] for event in night.of("ec.block"))
        if samples:
            assert len(file.electrochemistry["time"]) == samples
        kinds = [event["kind"] for event in file.events]
    assert kinds.count("run.ended") == 1
    for kind in ("cell.state", "alarm.raised", "link.lost"):
        assert kinds.count(kind) == len(night.of(kind))


def dead(night: Night) -> None:
    """Its guard has ended it, as a kill would: nobody has written an end, and what is in the journal is in run.h5."""
    assert not night.of("run.ended")
    assert (night.ended.outcome.state, night.ended.outcome.exit_code) == ("failed", 4)
    with open_run(night.folder) as file:
        assert len(file.electrochemistry["time"]) == sum(event.data["n"] for event in night.of("ec.block"))


@pytest.fixture
def run_night(tmp_path: Path, repository: Path) -> Callable[..., Night]:
    """``run_night(fault, …, rig="sim", experiment=SHORT)``: a whole run at --speed max. ``further``: more keys of the rig."""

    def go(
        *faults: str, rig: str = "sim", experiment: str = SHORT, seed: int = 1, changes: Sequence[tuple[str, str]] = (), further: str = ""
    ) -> Night:
        text = experiment
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        rig_path = repository / "configs" / "rigs" / f"{rig}.yaml"
        if further:
            words = rig_path.read_text("utf-8").replace("../twins", str(repository / "configs" / "twins"))
            rig_path = tmp_path / f"{rig}.yaml"
            rig_path.write_text(f"{words}\n{further}\n", encoding="utf-8")
        request = RunRequest(path, rig_path, tmp_path / "runs", speed=None, seed=seed, display="none", faults=faults)
        with observed_here():
            ended = run(gather(request))
        with Reader(ended.folder / "journal.sqlite") as reader:
            night = Night(ended, list(reader.events()), read_truth(ended.folder / "emulated" / "truth.jsonl"))
        (dead if any(line["kind"] == "guard.fenced" for line in night.guard()) else intact)(night)
        return night

    return go
