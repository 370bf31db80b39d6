"""A rig on an emulated Keithley, by pyvisa and real sockets, killed while current flows."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

RIG = '{driver: keithley, address: "emulator:keithley2450"}'


def test_the_rig_is_killed_and_its_guard_opens_the_circuit(program: Any, rig_with: Callable[[str], Path], intact: Any) -> None:
    run = program.start(rig=rig_with(RIG))
    run.under_current()
    os.kill(run.process.pid, signal.SIGKILL)
    assert run.ends().code == -signal.SIGKILL
    acted = run.guard_says("guard.acted")
    assert acted["confirmed"], acted
    run.until_off(1.0)
    kinds = [line["kind"] for line in run.guard()]
    assert kinds.index("guard.fenced") < kinds.index("guard.safe")
    intact(run)


def test_a_run_that_was_killed_is_continued(program: Any, rig_with: Callable[[str], Path]) -> None:
    rig = rig_with(RIG)
    run = program.start(rig=rig, speed="max", plate="2 minutes", faults=["host.killed:under_current_s=60"])
    run.ends()
    assert not run.of("run.ended")
    continued = program.operando("continue", str(run.folder))
    assert continued.code == 0, continued.text
    keys = [event["key"] for event in run.of("step.started") if event["mode"] == "galvanostatic"]
    assert len(keys) == 2
    charge_C = [event["charge_C"] for event in run.of("step.ended") if event["key"] == keys[1]]
    assert charge_C[-1] == pytest.approx(-0.048, rel=5e-3)
