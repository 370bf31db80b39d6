"""``run --twin FILE``: another cell behind the same simulated instruments, and in event 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.clock import Clock
from orchestrator.rig.gather import CannotRun, gather, run_started
from orchestrator.rig.request import RunRequest


@pytest.fixture
def request_of(repository: Path, tmp_path: Path) -> RunRequest:
    configs = repository / "configs"
    return RunRequest(configs / "experiments" / "O17_sodium_transition.yaml", configs / "rigs" / "memory.yaml", tmp_path, speed=None)


def test_the_twin_that_was_asked_for_takes_the_place_of_the_rigs(request_of: RunRequest, repository: Path) -> None:
    path = repository / "configs" / "twins" / "C7.yaml"
    gathered = gather(replace(request_of, twin=path))
    assert gathered.twin_path == path
    assert run_started(gathered, Clock(), "r")["twin"] == path.read_text("utf-8")
    assert gather(request_of).twin_path == repository / "configs" / "twins" / "C1.yaml"


def test_a_twin_that_is_not_there_is_refused(request_of: RunRequest, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"--twin .*nowhere\.yaml"):
        gather(replace(request_of, twin=tmp_path / "nowhere.yaml"))
