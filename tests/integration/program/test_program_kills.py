"""Each process of a run is killed or stopped while current flows; the emulated cell is asked what became of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

Intact = Callable[[Any], None]


def test_the_rig_is_killed_and_its_guard_opens_the_circuit(program: Any, intact: Intact) -> None:
    run = program.start()
    run.under_current()
    observer = run.child("observe")
    os.kill(run.process.pid, signal.SIGKILL)
    assert run.ends().code == -signal.SIGKILL
    acted = run.guard_says("guard.acted")
    assert acted["confirmed"]
    assert "the line to the rig" in acted["why"]
    run.until_off(1.0)
    assert {line["kind"] for line in run.guard()} == {"guard.started", "guard.acting", "guard.fenced", "guard.safe", "guard.acted"}
    assert not run.of("run.ended"), "nobody lived who could have said so"
    assert " is dead: " in (status := run.operando("status")).text
    assert (status.code, str(run.folder / "guard.jsonl") in status.text) == (2, True)
    assert "Traceback" not in run.said()
    _gone(observer, run)
    intact(run)


def _gone(pid: int, run: Any) -> None:
    from orchestrator.platform import process_start

    wait = run.until.__globals__["wait_for"]
    wait(lambda: True if process_start(pid) is None else None, f"end of process {pid}", run.said)


def test_the_rig_is_stopped_and_its_guard_ends_it_first(program: Any, intact: Intact) -> None:
    run = program.start()
    run.under_current()
    observer = run.child("observe")
    os.kill(run.process.pid, signal.SIGSTOP)
    acted = run.guard_says("guard.acted")
    assert "no heartbeat for" in acted["why"]
    assert acted["confirmed"]
    run.until_off(1.0)
    assert run.ends().code == -signal.SIGKILL, "a rig that nobody heard of must not come back to the instrument"
    kinds = [line["kind"] for line in run.guard()]
    assert kinds.index("guard.fenced") < kinds.index("guard.safe")
    _gone(observer, run)
    intact(run)


def test_the_observer_is_killed_and_the_run_does_not_notice(program: Any, intact: Intact) -> None:
    run = program.start(plate="5 minutes")
    run.under_current()
    os.kill(run.child("observe"), signal.SIGKILL)
    ended = run.ends()
    assert ended.code == 0, ended.text
    assert any("the observer died and is started again" in event["text"] for event in run.of("note"))
    assert run.of("run.ended")[0]["complete"]
    assert not run.of("alarm.raised")
    intact(run)


def test_the_guard_is_killed_and_another_stands_up(program: Any) -> None:
    run = program.start()
    run.under_current()
    os.kill(run.child("orchestrator.guard"), signal.SIGKILL)
    run.until("guard.restarted")
    os.kill(run.process.pid, signal.SIGKILL)
    assert run.guard_says("guard.acted")["confirmed"], "the second guard does what the first would have done"
    run.until_off(1.0)
    assert run.of("guard.lost")
    assert run.of("alarm.raised", id="guard-restart", level="alarm")
    assert run.of("alarm.cleared", id="guard-restart")
    assert len({line["pid"] for line in run.guard()}) == 2


def test_the_instrument_dies_in_mid_step(program: Any, intact: Intact) -> None:
    run = program.start()
    run.under_current()
    run.hold_port()
    os.kill(run.child("emulate"), signal.SIGKILL)
    ended = run.ends()
    assert ended.code == 4
    for text in ("potentiostat: no sample of s0001-c01-plate", "sent: ", "came back: ", "done: ", "you can: ", "STATE IS UNKNOWN"):
        assert text in ended.text
    assert run.of("cell.state")[-1]["cell"] == "unknown"
    assert run.of("alarm.raised", id="cell-unknown", level="critical")
    assert run.driven(), "nobody could reach it: the program said so and was right"
    run.guard_says("guard.failed")
    intact(run)
