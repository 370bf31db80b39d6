"""The fence ends that very process and no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.guard.fence import fence
from orchestrator.platform import process_start as process_started


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


async def test_the_process_is_dead_when_fence_returns(sleeper: subprocess.Popen[bytes]) -> None:
    started = process_started(sleeper.pid)
    assert started is not None
    assert "ended the rig's process" in await fence(sleeper.pid, started)
    assert process_started(sleeper.pid) != started


async def test_another_process_with_the_same_id_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    started = process_started(sleeper.pid)
    assert started is not None
    assert "already ended" in await fence(sleeper.pid, started + 1)
    assert sleeper.poll() is None


async def test_a_process_that_has_gone_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert "already ended" in await fence(process.pid, 12345.0)


def test_a_process_that_is_not_there_has_no_start() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_started(process.pid) is None
