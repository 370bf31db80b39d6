"""Guards on real processes: a device that may finish and another rig that comes for it, the hardware fence, the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.start import GuardDidNotStart, start_guard
from orchestrator.guard.watched import Watched
from orchestrator.platform import process_start

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

FINISH = [("open circuit within 20 s", "finish step on device")]
FENCE = '\nfence: {driver: relay, address: "emulator:relay", options: {kind: devantech}}\n'
NOTE = "import os; open(os.environ['OPERANDO_SAID'], 'a').write(os.environ['OPERANDO_TITLE'] + '\\n')"


def under_its_order(run: Any) -> None:
    """Under current for so long that a heartbeat, one a real second, has said so."""
    began_ns = run.until("step.started", mode="galvanostatic")["mono_ns"]
    run.when(lambda: any(one["mono_ns"] > began_ns + 90e9 for one in run.of("ec.block", index=1)) or None, "90 s of current")


def test_a_killed_rig_leaves_the_step_to_the_device_and_the_guard_to_its_end(program: Any) -> None:
    run = program.start(plate="6 minutes", changes=FINISH)
    under_its_order(run)
    os.kill(run.process.pid, signal.SIGKILL)
    finishing = run.guard_says("guard.finishing")
    assert finishing["step"] == "s0001-c01-plate"
    assert finishing["upper_V"] == 0.6
    assert run.guard_says("guard.finished")["why"] in {"the device has ended s0001-c01-plate (time)", "the step's time is over"}
    assert run.guard_says("guard.acted")["confirmed"]
    run.until_off(1.0)
    kinds = [line["kind"] for line in run.guard()]
    assert kinds.index("guard.fenced") < kinds.index("guard.watching") < kinds.index("guard.safe"), "it read nothing before fencing"
    plated_s = [one.t_s for one in run.truth() if one.what == "drive"]
    assert plated_s[-1] - plated_s[0] > 200.0, "the step was not cut short"


async def test_another_rig_comes_for_the_device(program: Any) -> None:
    """What `continue` does: the guard that watches the device lets go of it, and watches the new rig."""
    run = program.start(plate="60 minutes", changes=[*FINISH, ("charge_per_step_mAh: 0.12", "charge_per_step_mAh: 1")])
    under_its_order(run)
    os.kill(run.process.pid, signal.SIGKILL)
    run.guard_says("guard.watching")
    address = str(run.folder / "emulated" / "methodscript.tty")
    watched = Watched(str(run.folder), "", 5.0, "methodscript", address, posts=str(run.folder), speed=60.0)
    link = await start_guard(watched)
    assert run.guard_says("guard.relieved")
    assert run.driven(), "the device was left as it was"
    assert link.pid == run.guard()[0]["pid"], "one guard holds the instrument, not two"
    link.beat(Heartbeat(os.getpid(), process_start(os.getpid()) or 0.0, "on", "open circuit"))
    with pytest.raises(GuardDidNotStart, match="watches another rig"):
        await start_guard(watched)
    await link.hand_over()
    assert run.guard_says("guard.acted")["confirmed"]
    run.until_off(1.0)


def test_a_potentiostat_past_telling_is_fenced_off(program: Any, rig_with: Any) -> None:
    """Ring 3, by the rig: nothing that the potentiostat is told arrives, the relay opens the lead."""
    rig = rig_with('{driver: methodscript, address: "emulator:methodscript"}')
    rig.write_text(rig.read_text("utf-8") + FENCE, encoding="utf-8")
    run = program.start(rig=rig, faults=["methodscript.silent:under_current_s=30"])
    ended = run.ends()
    assert not run.driven()
    assert run.of("alarm.raised", id="fence", level="critical")
    last = run.of("cell.state")[-1]
    assert (last["cell"], last["confirmed"]) == ("off", True)
    assert "hardware fence" in last["detail"]
    assert ended.code == 3
    again = program.start(rig=rig, out="again", faults=[])
    assert again.ends().code == 0, "an emulated fence is there for one run alone"


def test_the_guard_trips_the_fence_and_a_person_is_told(program: Any, rig_with: Any) -> None:
    said = program.folder / "said.txt"
    program.environment["OPERANDO_SAID"] = str(said)
    rig = rig_with('{driver: methodscript, address: "emulator:methodscript"}')
    notify = f"\nnotify: [{{level: alarm, run: {json.dumps([sys.executable, '-c', NOTE])}}}]\n"
    rig.write_text(rig.read_text("utf-8") + FENCE + notify, encoding="utf-8")
    run = program.start(rig=rig, faults=["methodscript.silent:under_current_s=30"])
    program.wait_for(lambda: any(one.what == "fault" for one in run.truth()) or None, "the fault")
    os.kill(run.process.pid, signal.SIGKILL)
    tripped = run.guard_says("guard.tripped")
    assert tripped["confirmed"]
    run.until_off(1.0)
    program.wait_for(lambda: (said.exists() and "hardware fence is tripped" in said.read_text()) or None, "a message")


def test_a_service_outlives_its_rig_and_its_own_death(program: Any) -> None:
    """`operando guard`: killed while it watches, started again as systemd does, it finds what it watched."""
    rig_name, state = "wired", program.folder / "home" / "state" / "wired"
    first = _service(program, rig_name)
    try:
        program.wait_for(lambda: (state / "guard.json").exists() or None, "the service's post")
        run = program.start()
        run.under_current()
        assert {line["pid"] for line in run.guard()} == {first.pid}, "no guard of the run's own beside it"
        os.kill(first.pid, signal.SIGKILL)
        os.kill(run.process.pid, signal.SIGKILL)
        first.wait()
        second = _service(program, rig_name)
        try:
            acted = run.guard_says("guard.acted")
            assert acted["confirmed"]
            assert acted["pid"] == second.pid
            run.until_off(1.0)
            program.wait_for(lambda: None if (state / "guard-watching.json").exists() else True, "an end of its memory")
            second.terminate()
            assert second.wait(20) == 0
        finally:
            second.kill()
            second.wait()
    finally:
        first.kill()
        first.wait()


def _service(program: Any, rig: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*program.command, "guard", rig], env=program.environment, stdin=subprocess.DEVNULL)


def test_two_guards_never_hold_one_instrument(program: Any, tmp_path: Path) -> None:
    watched = replace(Watched(str(tmp_path), "t", 60.0, "methodscript", "/dev/nothing"), posts=str(tmp_path / "guards"))
    command = [sys.executable, "-m", "orchestrator.guard"]
    told = json.dumps(watched.plain()).encode() + b"\n"
    guards = [subprocess.Popen(command, env=program.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    said = []
    try:
        for guard in guards:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.write(told)
            guard.stdin.close()
            said.append(json.loads(guard.stdout.readline()))
        assert "port" in said[0]
        assert f"process {guards[0].pid}" in said[1]["error"]
        assert guards[1].wait(20) == 4
    finally:
        for guard in guards:
            guard.kill()
            guard.wait()
            assert guard.stdout is not None
            guard.stdout.close()
