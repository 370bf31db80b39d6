"""Whole nights at --speed max on the emulated DLL of a BioLogic: as planned, and with its faults while current flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.recorder.reader import open_run

RunNight = Callable[..., Any]
RIG = "emulated-biologic"
UNDER_CURRENT = ":under_current_s=60"


def test_a_night_as_planned(run_night: RunNight) -> None:
    night = run_night(rig=RIG)
    assert night.summary == (0, "finished", "off")
    assert [event.data["reason"] for event in night.of("step.ended")] == ["time"] * 3
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=2e-3)
    with open_run(night.folder) as file:
        times_s = np.asarray(file.electrochemistry["time"])
    assert np.all(np.diff(times_s) > 0)
    assert np.median(np.diff(times_s)) == pytest.approx(1.0, abs=5e-3)


def test_four_seconds_without_the_instrument_cost_nothing(run_night: RunNight) -> None:
    """It keeps its data; after eight seconds without a sample the interlock would end the run."""
    night = run_night(f"biologic.communication_failed{UNDER_CURRENT},for_s=4", rig=RIG)
    assert night.summary == (0, "finished", "off")
    assert len(night.of("link.lost")) == len(night.of("link.restored")) == 1
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=2e-3)


def test_what_ends_the_night_leaves_the_cell_off(run_night: RunNight) -> None:
    night = run_night(f"biologic.emergency_open{UNDER_CURRENT}", rig=RIG)
    assert night.summary[2] == "off"
    assert night.summary[0] in {3, 4}


FENCE = 'fence: {driver: open_in, address: "emulator:relay", options: {kind: devantech, tried: %s, emulator: {wired_to: open_in}}}'


@pytest.mark.parametrize(("tried", "code", "cell"), [("true", 3, "off"), ("false", 4, "unknown")])
def test_its_own_input_opens_the_circuit_where_no_call_reaches_it(run_night: RunNight, tried: str, code: int, cell: str) -> None:
    night = run_night(f"biologic.communication_failed{UNDER_CURRENT}", rig=RIG, further=FENCE % tried)
    assert night.summary == (code, "failed", cell)
    (fired,) = night.of("rule.fired", rule="hardware fence")
    assert fired.data["values"]["confirmed"] == float(cell == "off")
    assert night.driven_s is not None, "whatever may be said of it, the cell was open"
    assert night.driven_s < 60.0


def test_without_it_nothing_opens_the_circuit(run_night: RunNight) -> None:
    """The control: the step goes on to its own end on the instrument."""
    night = run_night(f"biologic.communication_failed{UNDER_CURRENT}", rig=RIG)
    assert night.summary[2] == "unknown"
    assert night.driven_s is None or night.driven_s > 200.0
