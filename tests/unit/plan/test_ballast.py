"""The ballast: 64 MB, or a day of electrochemistry at the declared rate, measured in a real journal; made and given back at its size."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.clock import Clock
from orchestrator.plan import estimate
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.rundisk import BALLAST, LAST, LAST_SHARE, RunDisk
from orchestrator.runner.blocks import ALWAYS, Blocks

DAY_s = 86_400
LONG_s = 300


def declared(rate_Hz: float) -> int:
    """What a plan keeps whose fastest step is sampled so often."""
    steps: Any = [SimpleNamespace(sample=SimpleNamespace(then_Hz=one)) for one in (0.1, rate_Hz, 0.2)]
    return estimate.ballast_bytes(steps)


def greater_part(folder: Path, ballast_bytes: int) -> int:
    """The file that is given to the electrochemistry."""
    RunDisk(folder, ballast_bytes).take_ballast()
    return (folder / BALLAST).stat().st_size


async def a_day_bytes(folder: Path, rate_Hz: int) -> float:
    """What a day of samples takes in a journal, by five minutes of them as the rig writes them."""
    clock = Clock()
    journal = Journal.create(folder / "journal.sqlite", clock)
    rig: Any = SimpleNamespace(journal=journal, at=lambda _: clock.stamp())
    blocks = Blocks(rig)
    blocks.begin("s0001-c01-plate", 1, 1)
    for n in range(LONG_s * rate_Hz):
        blocks.add((*ALWAYS, "device_ns"), (n * 10**9 // rate_Hz, 0.1, 1e-3, 0.1, 0.1, 0.1, 0.5, 0, n))
    blocks.flush()
    await journal.close()
    return (folder / "journal.sqlite").stat().st_size * DAY_s / LONG_s


@pytest.mark.parametrize("rate_Hz", [20, 50, 100, 500])
def test_the_ballast_holds_a_day_of_electrochemistry_at_the_declared_rate(tmp_path: Path, rate_Hz: int) -> None:
    day_bytes = asyncio.run(a_day_bytes(tmp_path, rate_Hz))
    assert 64 << 20 < day_bytes <= declared(rate_Hz) * (LAST_SHARE - 1) / LAST_SHARE < 1.25 * day_bytes


@pytest.mark.parametrize("rate_Hz", [0.0, 0.1, 1.0])
def test_the_ballast_is_64_MB_at_least(tmp_path: Path, rate_Hz: float) -> None:
    assert 64 << 20 <= greater_part(tmp_path, declared(rate_Hz)) < 1.001 * (64 << 20)
    assert (tmp_path / LAST).stat().st_size >= (64 << 20) // LAST_SHARE


def test_plan_and_disk_share_the_ballast_alike() -> None:
    assert estimate.BALLAST_LAST_SHARE == LAST_SHARE
