"""Real wires: a port that is not there, the wrong instrument, silence, half a line, garbage; on the terminal of the user."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

Intact = Callable[[Any], None]
RigWith = Callable[[str], Any]
LABELS = ("\n  sent: ", "\n  came back: ", "\n  done: ", "\n  you can: ")
SAFE, UNKNOWN = "The cell is at open circuit (read back).", "THE CELL'S STATE IS UNKNOWN"


def whole(text: str, *said: str) -> None:
    """The sentence on the terminal names the instrument, what was sent, what came back, what was done, what to do."""
    for part in (*LABELS, *said):
        assert part in text, f"{part!r} is not in:\n{text}"


@pytest.fixture
def port() -> Iterator[str]:
    """A serial port behind which nothing answers."""
    master, terminal = pty.openpty()
    yield os.ttyname(terminal)
    os.close(master)
    os.close(terminal)


def test_a_port_that_is_not_there(program: Any, rig_with: RigWith, intact: Intact) -> None:
    run = program.start(rig=rig_with("{driver: methodscript, address: /dev/ttyNOT0}"), speed="")
    ended = run.ends()
    assert ended.code == 3
    whole(ended.text, "potentiostat: the potentiostat cannot be reached: there is no serial port /dev/ttyNOT0", "plug the instrument in")
    assert "nothing was started, the cell was not touched" in ended.text
    assert "Nothing was started, the cell was not touched." in ended.text
    assert SAFE not in ended.text, "nobody has read anything"
    assert run.of("run.ended")[0]["exit_code"] == 3
    intact(run)


def test_a_port_where_nothing_answers(program: Any, rig_with: RigWith, port: str, intact: Intact) -> None:
    run = program.start(rig=rig_with(f"{{driver: methodscript, address: {port}}}"), speed="")
    ended = run.ends()
    assert ended.code == 3
    whole(ended.text, "potentiostat: ", "no MethodSCRIPT instrument answers", "  sent: t\n", "nothing was started")
    wire = [json.loads(line) for line in (run.folder / "wire" / "potentiostat.jsonl").read_text().splitlines()]
    assert any(line.get("direction", line.get("dir")) == "tx" or "tx" in line.values() for line in wire), "every byte is on record"
    intact(run)


def test_a_port_that_somebody_else_has(program: Any, rig_with: RigWith, port: str) -> None:
    import fcntl

    with Path(port).open("rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ended = program.start(rig=rig_with(f"{{driver: methodscript, address: {port}}}"), speed="").ends()
    assert ended.code == 3
    whole(ended.text, f"serial port {port} is in use", "close the other program that has it open")


def test_another_instrument_answers(program: Any, rig_with: RigWith, intact: Intact) -> None:
    run = program.start(rig=rig_with('{driver: methodscript, address: "emulator:methodscript", identity: ES4X99999}'))
    ended = run.ends()
    assert ended.code == 3
    whole(ended.text, "potentiostat: ", "not ES4X99999", "check the address, or the identity in the rig file")
    assert not run.driven()
    assert not run.of("step.started")
    intact(run)


# Three of those that tests/simulation/program has in virtual time: before current, in the middle of a line, and told by the instrument.
CASES = {
    "echo_but_no_start:times=100": (4, UNKNOWN, "did not begin", "its start was accepted"),
    "half_line_then_stall:under_current_s=30": (4, UNKNOWN, "no sample of s0001-c01-plate for", "nothing heard for"),
    "error_mid_step_cell_on:under_current_s=30": (3, SAFE, "it ended s0001-c01-plate by itself", "cell_off was accepted"),
}


@pytest.mark.parametrize("fault", CASES)
def test_an_instrument_that_fails(program: Any, intact: Intact, fault: str) -> None:
    code, cell, *said = CASES[fault]
    run = program.start(faults=[fault])
    ended = run.ends()
    whole(ended.text, "potentiostat: ", cell, *said)
    assert ended.code == code
    last = run.of("cell.state")[-1]
    assert (last["cell"], last["confirmed"]) == (("off", True) if cell is SAFE else ("unknown", False))
    if cell is SAFE:
        assert not run.driven()
    else:
        run.guard_says("guard.acting")
        assert run.of("alarm.raised", id="cell-unknown", level="critical")
    intact(run)


def test_a_port_that_comes_back_costs_a_few_samples_and_nothing_else(program: Any, intact: Intact) -> None:
    fault = "port_vanishes:seconds=60,under_current_s=30"
    run = program.start(faults=[fault], plate="4 minutes", changes=[("within 20 s", "within 60 s")])
    ended = run.ends()
    assert ended.code == 0, ended.text
    (lost,), (back,) = run.of("link.lost"), run.of("link.restored")
    assert back["mono_ns"] - lost["mono_ns"] > 30e9
    plate = run.of("step.ended", key="s0001-c01-plate")[0]
    assert plate["reason"] == "time"
    assert not run.driven()
    intact(run)


def test_emulators_that_do_not_start_are_a_sentence(program: Any) -> None:
    ended = program.start(faults=["methodscript.silent:soon=1"]).ends()
    assert ended.code == 3
    assert "fault `silent` has no parameter `soon`" in ended.text
    assert "the emulators did not start: methodscript (they say why above); nothing was started" in ended.text
    assert "Traceback" not in ended.text
    unknown = program.start(faults=["slient"], out="unknown").ends()
    assert unknown.code == 2
    assert unknown.text.strip() == "no simulated instrument here knows the fault `slient`; did you mean `silent`?"
    assert not list((program.folder / "unknown").iterdir())


def test_emulate_keeps_the_truth(program: Any) -> None:
    """`operando emulate --truth`: what a test asks the cell after everybody else has gone."""
    truth = program.folder / "truth.jsonl"
    command = [*program.command, "emulate", "methodscript", "--truth", str(truth), "--fault", "silent:after_s=0.1"]
    process = subprocess.Popen(command, env=program.environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert line["name"] == "methodscript"
    program.wait_for(lambda: (truth.exists() and "silent" in truth.read_text()) or None, "the fault in the truth log")
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()
    told = json.loads(truth.read_text().splitlines()[0])
    assert told["what"] == "fault"
    assert told["instrument"] == "methodscript"
