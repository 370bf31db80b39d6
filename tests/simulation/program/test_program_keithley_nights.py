"""Whole nights at --speed max on an emulated Keithley: as planned, and with its faults while current flows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.recorder.reader import open_run

RunNight = Callable[..., Any]
RIG = "emulated-keithley"
UNDER_CURRENT = ":under_current_s=60"


def sent(night: Any) -> list[str]:
    """What the host has said to the instrument."""
    lines = (night.folder / "wire" / "potentiostat.jsonl").read_text("utf-8").splitlines()
    return [line["text"].strip() for line in map(json.loads, lines) if line["dir"] == "tx"]


def test_a_night_as_planned(run_night: RunNight) -> None:
    night = run_night(rig=RIG)
    assert night.summary == (0, "finished", "off")
    assert [event.data["reason"] for event in night.of("step.ended")] == ["time"] * 3
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=2e-3)
    with open_run(night.folder) as file:
        times_s = np.asarray(file.electrochemistry["time"])
    assert np.all(np.diff(times_s) > 0)
    assert np.median(np.diff(times_s)) == pytest.approx(1.0, abs=5e-3)
    said = sent(night)
    assert "*RST" not in said
    assert ":INIT" in said
    for at, command in enumerate(said):
        if command in {":INIT", ":OUTP ON"}:
            asked = said[max(0, at - 12) : at]
            assert {":OUTP:CURR:SMOD?", ":OUTP:VOLT:SMOD?"} <= set(asked), "high impedance is read back before every output on"
    assert [event.data["id"] for event in night.of("alarm.raised")] == ["found-on"], "fresh from power-on its NORMAL state loads the cell"


def test_the_port_vanishes_and_no_reading_is_missing(run_night: RunNight) -> None:
    night = run_night(f"keithley2450.port_vanishes{UNDER_CURRENT}", rig=RIG, changes=(("for 5 minutes", "for 2 minutes"),))
    assert night.summary == (0, "finished", "off")
    assert len(night.of("link.lost")) == len(night.of("link.restored")) == 1
    with open_run(night.folder) as file:
        seconds = np.asarray(file.electrochemistry["time"])
    plated = night.of("step.started")[1].mono_ns, night.of("step.ended")[1].mono_ns
    assert plated[1] > plated[0]
    assert len(seconds) == sum(event.data["n"] for event in night.of("ec.block")) in range(178, 184)


@pytest.mark.parametrize(
    ("fault", "reason", "exit_code", "within_s"), [("reboot", "lost", 3, 2.0), ("voltage_jump", "safety", 4, 1.0)], ids=["reboot", "jump"]
)
def test_what_ends_the_night_leaves_the_cell_off(run_night: RunNight, fault: str, reason: str, exit_code: int, within_s: float) -> None:
    night = run_night(f"keithley2450.{fault}{UNDER_CURRENT}", rig=RIG)
    assert night.summary == (exit_code, "failed", "off")
    assert night.of("step.ended")[-1].data["reason"] == reason
    assert night.driven_s is not None
    assert night.driven_s < within_s


def test_a_silent_instrument_is_unknown_and_its_watchdog_opens_the_circuit(run_night: RunNight) -> None:
    night = run_night(f"keithley2450.silent{UNDER_CURRENT}", rig=RIG, changes=(("for 5 minutes", "for 10 minutes"),))
    assert night.summary == (4, "failed", "unknown")
    assert night.of("alarm.raised", id="cell-unknown")
    assert night.driven_s is not None
    assert night.driven_s < 120.0
