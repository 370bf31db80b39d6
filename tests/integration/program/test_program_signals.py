"""Ctrl-C once, twice, three times; SIGTERM; a closed terminal; a terminal that takes nothing."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

Intact = Callable[[Any], None]
SILENT = "methodscript.silent:under_current_s=60"
STALLED = "half_line_then_stall:stall_s=480,under_current_s=60"


def test_ctrl_c_once_stops_after_the_running_acquisition(program: Any, intact: Intact) -> None:
    run = program.start(changes=[("fast: [at start, every 1 minute]", "slow: at start")])
    run.until("acquisition.started", key="a00001-slow")
    os.kill(run.process.pid, signal.SIGINT)
    ended = run.ends()
    assert ended.code == 130
    assert "finished, ended early: interrupted (SIGINT)" in ended.text
    assert "The cell is at open circuit (read back)." in ended.text
    assert [event["key"] for event in run.of("acquisition.verified")] == ["a00001-slow"]
    (acquired,) = run.of("acquisition.acquired")
    assert acquired["scans_done"] == 60, "it was finished, not cut"
    assert run.of("step.ended", index=None)[-1]["mono_ns"] >= acquired["mono_ns"]
    assert not run.driven()
    intact(run)


def test_ctrl_c_twice_opens_the_circuit_now(program: Any, intact: Intact) -> None:
    run = program.start(changes=[("fast: [at start, every 1 minute]", "slow: at start")])
    run.until("acquisition.started", key="a00001-slow")
    os.kill(run.process.pid, signal.SIGINT)
    run.until("note", text="interrupted (SIGINT): stop", who="rig")
    os.kill(run.process.pid, signal.SIGINT)
    ended = run.ends()
    assert ended.code == 130
    assert "aborted, ended early: interrupted (SIGINT) twice" in ended.text
    assert run.of("cell.state")[-1]["confirmed"]
    assert not run.driven()
    intact(run)


def test_ctrl_c_three_times_leaves_the_cell_to_the_guard(program: Any, intact: Intact) -> None:
    """The instrument says nothing for a while; nobody wants to wait for it; the guard does."""
    run = program.start(faults=[STALLED], changes=[("within 20 s", "within 60 s")])
    run.until("link.lost")
    for word in ("stop", "abort"):
        os.kill(run.process.pid, signal.SIGINT)
        run.until("note", text=f"interrupted (SIGINT): {word}")
    os.kill(run.process.pid, signal.SIGINT)
    ended = run.ends()
    assert ended.code == 130
    assert "THE CELL'S STATE IS UNKNOWN" in ended.text
    assert "left to the guard" in ended.text
    acted = run.guard_says("guard.acted")
    assert acted["confirmed"]
    assert acted["why"] == "the rig left the cell to its guard"
    assert not [line for line in run.guard() if line["kind"] == "guard.fenced"], "the rig had let go by itself"
    run.until_off(1.0)
    intact(run)


@pytest.mark.parametrize(("word", "instant"), [("SIGINT", "journal.sqlite"), ("SIGTERM", "run.h5"), ("SIGINT", "emulated/emulators.json")])
def test_what_is_interrupted_before_anything_was_started_ends_in_order(program: Any, intact: Intact, word: str, instant: str) -> None:
    run = program.start()
    run.until_file(instant)
    os.kill(run.process.pid, getattr(signal, word))
    ended = run.ends()
    assert ended.code == 130
    assert "Traceback" not in ended.text
    assert "Nothing was started, the cell was not touched." in ended.text
    (said,) = run.of("run.ended")
    assert said["reason"].startswith(f"interrupted ({word})")
    assert not run.of("step.started")
    assert not run.driven()
    assert not list(run.folder.glob(".ballast*"))
    assert not program.family(run.out), "no emulator, guard or observer is left behind"
    intact(run)


def test_sigterm_ends_the_run_in_order(program: Any, intact: Intact) -> None:
    run = program.start()
    run.under_current()
    run.process.terminate()
    ended = run.ends()
    assert ended.code == 130
    assert "interrupted (SIGTERM)" in ended.text
    assert run.of("cell.state")[-1]["confirmed"]
    assert not run.driven()
    intact(run)


def test_a_closed_terminal_ends_nothing(program: Any, intact: Intact) -> None:
    run = program.start(plate="2 minutes")
    run.until("step.started")
    os.kill(run.process.pid, signal.SIGHUP)
    ended = run.ends()
    assert ended.code == 0, ended.text
    assert run.of("note", text="the terminal was closed; the run goes on")
    intact(run)


def test_a_terminal_that_dies_ends_nothing(program: Any, intact: Intact) -> None:
    """The other end of the terminal is gone: what is printed fails, the run does not."""
    master, terminal = pty.openpty()
    run = program.start(plate="2 minutes", terminal=terminal)
    os.close(terminal)
    run.until("step.started")
    os.close(master)
    assert run.ends().code == 0
    assert run.of("run.ended")[0]["complete"]
    intact(run)


def test_a_terminal_that_takes_nothing_holds_nothing(program: Any, intact: Intact) -> None:
    """Ctrl-S: nobody reads the screen. Samples, acquisitions and the end of the run do not wait for it."""
    master, terminal = pty.openpty()
    run = program.start(plate="2 minutes", terminal=terminal)
    os.close(terminal)
    run.until("run.ended")
    assert run.of("run.ended")[0]["complete"]
    run.until_file("closeout.json")
    steps = run.of("step.ended")
    assert [event["reason"] for event in steps] == ["time", "time", "time"]
    assert not run.of("alarm.raised")
    samples = sum(event["n"] for event in run.of("ec.block") if event["step_key"] == "s0001-c01-plate")
    assert samples >= 120, "one a second, none held back"
    run.drain(master)
    assert run.ends().code == 0
    os.close(master)
    intact(run)


def test_ctrl_c_on_the_keyboard_reaches_the_rig_and_nobody_else(program: Any, intact: Intact) -> None:
    """Typed on a real terminal: the kernel signals the foreground group; observer, guard and emulators are not in it."""
    run, master = program.typed()
    run.under_current()
    os.write(master, b"\x03")
    assert run.until("run.ended")["exit_code"] == 130
    run.until_file("closeout.json")
    assert run.ends().code == 130
    assert not run.driven()
    os.close(master)
    intact(run)
