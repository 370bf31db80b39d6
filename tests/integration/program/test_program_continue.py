"""`operando continue` as a person types it: the rig was killed, its guard and its instruments are processes of their own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.recorder.records import Reader

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(240)]

Intact = Callable[[Any], None]
QUIET = (", nmr: {fast: [at start, every 1 minute]}", "")
FINISHES = ("open circuit within 20 s", "finish step on device")


def killed(run: Any) -> None:
    """Under current, and long enough for its guard to have heard so: three minutes of the experiment are three heartbeats."""
    run.under_current()
    began_ns = run.of("step.started", index=1)[0]["mono_ns"]
    run.until.__globals__["wait_for"](
        lambda: any(event["mono_ns"] - began_ns > 180e9 for event in run.of("ec.block", index=1)) or None,
        "three minutes of current",
        run.said,
    )
    os.kill(run.process.pid, signal.SIGKILL)
    assert run.ends().code == -signal.SIGKILL


def continued(run: Any, see: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """``see``: looks while it lives."""
    with ThreadPoolExecutor(1) as aside:
        telling = aside.submit(run.operando, "continue", str(run.folder), "--json")
        see()
        told = telling.result()
    assert told.code == 0, told.text
    found: dict[str, Any] = json.loads(told.text.splitlines()[-1])
    return found


def keeps_ballast(run: Any) -> None:
    """Once it goes on, the run has its ballast again, although the observer of the dead rig gave it back."""
    again = run.until("run.state", continued=1)
    run.when(lambda: any(event["seq"] > again["seq"] for event in run.of("ec.block")) or None, "samples of the second life")
    sizes = [(run.folder / name).stat().st_size for name in (".ballast", ".ballast.last")]
    assert sum(sizes) >= 64e6


def plated_C(run: Any) -> float:
    """Charge of the plating step, as the run says it."""
    return float([event for event in run.of("step.ended") if "plate" in event["key"]][-1]["charge_C"])


def true_C(run: Any) -> float:
    """What really passed."""
    drives = sorted((one for one in run.truth() if one.what == "drive"), key=lambda one: one.t_s)
    driven = [(one, after) for one, after in pairwise(drives) if one.data["drive"] == "current" and one.data["value"]]
    return float(sum(one.data["value"] * (after.t_s - one.t_s) for one, after in driven))


def test_what_its_guard_broke_off_goes_on(program: Any, intact: Intact) -> None:
    run = program.start(plate="20 minutes", changes=[QUIET, ("charge_per_step_mAh: 0.12", "charge_per_step_mAh: 0.5")])
    killed(run)
    told = continued(run)
    assert (told["complete"], told["state"]) == (True, "finished")
    assert run.guard_says("guard.acted")["confirmed"]
    assert run.of("guard.acted")
    assert [event["key"] for event in run.of("step.started", index=1)] == ["s0001-c01-plate", "s0001-c01-plate.1"]
    assert plated_C(run) == pytest.approx(true_C(run), rel=1e-3)
    (gap,) = run.of("gap")
    assert gap["how"] == "counted by the instrument"
    again = run.operando("continue", str(run.folder))
    assert again.code == 2
    assert "has ended (finished, as planned" in again.text
    with Reader(program.folder / "home" / "state" / "wired" / "journal.sqlite") as reader:
        assert reader.check_chain() is None
        told = [event.data["text"].partition(":")[0] if event.kind == "note" else event.kind for event in reader.events()]
    assert told == ["a run begins", "guard.acting", "guard.fenced", "guard.safe", "guard.acted", "a run goes on", "ended"], told
    intact(run)


def test_what_still_runs_is_adopted(program: Any, intact: Intact) -> None:
    changes = [QUIET, FINISHES, ("charge_per_step_mAh: 0.12", "charge_per_step_mAh: 0.5")]
    run = program.start(plate="25 minutes", changes=changes)
    killed(run)
    told = continued(run, see=lambda: keeps_ballast(run))
    assert told["complete"]
    assert [event["key"] for event in run.of("step.started", index=1)] == ["s0001-c01-plate"]
    assert not list(run.folder.glob(".ballast*"))
    assert plated_C(run) == pytest.approx(true_C(run), rel=1e-3)
    drives = [one for one in run.truth() if one.what == "drive" and one.data["drive"] == "current" and one.data["value"]]
    assert len(drives) == 1, "the current was never touched"
    intact(run)


def test_what_ended_on_the_device_meanwhile_is_over(program: Any, intact: Intact) -> None:
    run = program.start(plate="17 minutes", changes=[QUIET, FINISHES])
    killed(run)
    run.until_off(30.0)
    run.guard_says("guard.acted", 60.0)
    told = continued(run)
    assert told["complete"]
    (ended,) = [event for event in run.of("step.ended") if "plate" in event["key"]]
    assert (ended["reason"], ended["over"], ended["charge_complete"]) == ("time", True, False)
    assert plated_C(run) == pytest.approx(true_C(run), rel=1e-3)
    intact(run)


def test_a_run_that_lives_or_whose_files_have_changed_is_not_continued(program: Any) -> None:
    run = program.start(changes=[QUIET])
    run.under_current()
    alive = run.operando("continue", str(run.folder))
    assert alive.code == 2
    assert "is taken" in alive.text
    assert str(run.folder) in alive.text
    os.kill(run.process.pid, signal.SIGKILL)
    run.ends()
    run.guard_says("guard.acted")
    before = len(run.events())
    program.rig.write_text(program.rig.read_text("utf-8").replace("name: wired", "name: wired  # changed"), "utf-8")
    changed = run.operando("continue", str(run.folder))
    assert changed.code == 2
    assert "the rig file has changed since the run began" in changed.text
    assert "+name: wired  # changed" in changed.text
    assert "--as-begun" in changed.text
    assert len(run.events()) == before, "nothing was written"
