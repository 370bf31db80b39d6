"""What another process may want of a running rig, through the control socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

Intact = Callable[[Any], None]
PLATE = "20 hours"
ENDLESS = [("charge_per_step_mAh: 0.12", "charge_per_step_mAh: 10"), (", nmr: {fast: [at start, every 1 minute]}", ", nmr: {fast: at end}")]
"""A step that does not end before somebody ends it, however slow this computer is."""


def test_a_whole_conversation(program: Any, intact: Intact) -> None:
    run = program.start(speed="15", plate=PLATE, changes=[*ENDLESS, ("Rest for 10 seconds, nmr", "Rest for 20 hours, nmr")])
    run.under_current()

    status = run.operando("status")
    assert status.code == 0
    assert "running, step 2 of 3: Plate working" in status.text
    assert "cell on" in status.text
    told = json.loads(run.operando("status", "--json").text)
    assert told["state"] == "running"
    assert told["cell"] == "on"

    assert run.operando("acquire", "fast").code == 0
    assert run.operando("note", "gas bubble near the counter electrode").code == 0

    assert run.operando("pause", "nmr").code == 0
    refused = run.operando("acquire", "fast")
    assert "missed: nmr paused" in refused.text
    assert run.driven(), "only the console pauses"

    assert run.operando("pause", "cell", "--now").code == 0
    run.until("cell.state", cell="off", confirmed=True)
    run.until_off(10.0)
    run.until("run.state", to="paused")
    resumed = run.operando("resume")
    assert resumed.text.startswith("acquisitions start again")
    assert "the cell goes on with what it is owed" in resumed.text
    run.until("step.started", key="s0001-c01-plate.1")

    assert run.operando("skip").code == 0
    run.until("step.started", mode="rest", index=2)
    assert run.operando("stop").code == 0
    ended = run.ends()
    assert ended.code == 5
    assert "finished, ended early: stopped by" in ended.text
    assert [event["verb"] for event in run.of("command.received")] == [
        "acquire", "note", "pause nmr", "acquire", "pause cell", "resume", "skip", "stop"
    ]  # fmt: skip
    assert len(run.of("command.answered")) == 8
    assert run.of("note", text="gas bubble near the counter electrode")
    nobody = run.operando("status")
    assert nobody.code == 2
    assert "no run is going on here" in nobody.text
    assert not run.driven()
    intact(run)


def test_abort_from_another_process(program: Any, intact: Intact) -> None:
    run = program.start(plate=PLATE, changes=ENDLESS)
    run.under_current()
    assert "open circuit now" in run.operando("abort").text
    ended = run.ends()
    assert ended.code == 5
    assert "aborted, ended early: aborted by" in ended.text
    assert run.of("cell.state")[-1]["confirmed"]
    assert not run.driven()
    intact(run)


def test_one_rig_one_run(program: Any, intact: Intact) -> None:
    """A second run on the same rig is refused before it touches anything, and says who holds it."""
    run = program.start(plate=PLATE, changes=ENDLESS)
    run.under_current()
    second = program.start(out="second").ends()
    assert second.code == 2
    assert "rig `wired`" in second.text
    assert f"process {run.process.pid}" in second.text
    assert "operando status" in second.text
    assert run.operando("status").code == 0, "the first run still answers"
    assert run.driven()
    assert run.operando("abort").code == 0
    run.ends()
    intact(run)


def test_an_alarm_is_acknowledged_by_its_name(program: Any) -> None:
    stalls = "half_line_then_stall:stall_s=150,under_current_s=30"
    run = program.start(faults=[stalls], plate=PLATE, changes=[*ENDLESS, ("within 20 s", "within 60 s")])
    run.until("alarm.raised", id="potentiostat-link")
    unknown = run.operando("acknowledge", "no-such-alarm")
    assert unknown.code == 2
    assert "no alarm 'no-such-alarm' was raised; there are: potentiostat-link" in unknown.text
    assert run.operando("acknowledge", "potentiostat-link").text.strip() == "acknowledged: potentiostat-link"
    assert [event["id"] for event in run.of("alarm.acknowledged")] == ["potentiostat-link"]
    assert run.operando("abort").code == 0
    run.ends()
