"""`operando run` and its observer are killed at random instants; whatever is left opens, verifies and can be made anew."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

import h5py
import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover, verify

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(3600)]
RUNS_SOAK = 100


def killed(program: Any, number: int, rng: random.Random) -> None:
    run = program.start(out=f"runs{number}")
    run.until("step.started", mode="galvanostatic")
    observer = run.child("observe")
    time.sleep(rng.uniform(0.0, 4.0))
    victims = [run.process.pid, observer] if rng.random() < 0.5 else [observer, run.process.pid]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert run.ends().code == -signal.SIGKILL
    assert run.guard_says("guard.acted")["confirmed"]
    run.until_off(1.0)
    with h5py.File(run.folder / "run.h5", "r") as file:
        assert len({len(node) for node in file["entry/electrochemistry"].values()}) == 1
    with Reader(run.folder / "journal.sqlite") as reader:
        assert reader.check_chain() is None
        stored = [event for event in reader.events() if event.kind == "raw.archived"]
    finding = verify(run.folder)
    assert finding.ok, finding.lines
    assert (found := recover(run.folder)).ok, found.lines
    assert (found := verify(run.folder)).ok, found.lines
    assert all((run.folder / event.data["folder"]).is_dir() for event in stored)
    assert not list(run.folder.glob(".ballast*")), "a dead rig leaves no ballast"


def test_a_rig_killed_with_its_observer_leaves_a_run_that_verifies(program: Any) -> None:
    killed(program, 0, random.Random(8))


@pytest.mark.soak
def test_a_hundred_runs_killed_at_random_instants(program: Any) -> None:
    rng = random.Random(9)
    for number in range(RUNS_SOAK):
        killed(program, number, rng)
