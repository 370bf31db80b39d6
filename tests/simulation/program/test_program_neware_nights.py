"""Whole nights at --speed max on an emulated Neware: as planned, and with its faults while current flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.recorder.reader import open_run

RunNight = Callable[..., Any]
RIG = "emulated-neware"
UNDER_CURRENT = ":under_current_s=60"


def test_a_night_as_planned(run_night: RunNight) -> None:
    night = run_night(rig=RIG)
    assert night.summary == (0, "finished", "off")
    assert [event.data["reason"] for event in night.of("step.ended")] == ["time"] * 3
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=1e-3)
    with open_run(night.folder) as file:
        times_s = np.asarray(file.electrochemistry["time"])
    assert np.all(np.diff(times_s) > 0)
    assert np.median(np.diff(times_s)) == pytest.approx(1.0, abs=5e-3)


def test_four_seconds_without_its_computer_cost_nothing(run_night: RunNight) -> None:
    """It keeps its data; after eight seconds without a sample the interlock would end the run."""
    night = run_night(f"neware.bts_gone{UNDER_CURRENT},seconds=4", rig=RIG)
    assert night.summary == (0, "finished", "off")
    assert len(night.of("link.lost")) == len(night.of("link.restored")) == 1
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=1e-3)


def test_what_ends_the_night_leaves_the_cell_off(run_night: RunNight) -> None:
    night = run_night(f"neware.protected{UNDER_CURRENT}", rig=RIG)
    assert night.summary[2] == "off"
    assert night.summary[0] in {3, 4}
