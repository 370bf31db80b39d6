"""A night must not take more memory the longer it lasts: everything of it is in this process but the observer."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from drivers.clock import Clock
from orchestrator.rig import process

NIGHT = """
version: 1
experiment: long
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - repeat: 5
    steps:
      - {step: Plate working at 0.5 mA/cm2 until 6 minutes, nmr: {fast: [every 1 minute]}}
      - {step: Strip working at 0.5 mA/cm2 until 6 minutes, nmr: {fast: [every 1 minute]}}
record: {every_s: 5}
"""
WEIGHED_h = (0.5, 0.95)
MOST_BLOCKS = 8000
"""Of CPython's allocator. What is bounded but not yet full (knots of the twin, stamps) takes half as many; connections that nobody
forgets take twice as many."""


async def _weigh(clock: Clock, blocks: list[int]) -> None:
    began_ns = clock.mono_ns()
    for hour in WEIGHED_h:
        await clock.sleep_until(began_ns + round(hour * 3.6e12))
        gc.collect()
        blocks.append(sys.getallocatedblocks())


def test_memory_does_not_grow_with_the_night(run_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    truly_run = process.run_plan

    async def run_weighed(plan: Any, station: Any, journal: Any, clock: Clock, *others: Any, **options: Any) -> Any:
        weighing = asyncio.create_task(_weigh(clock, blocks))
        outcome = await truly_run(plan, station, journal, clock, *others, **options)
        await weighing
        return outcome

    monkeypatch.setattr(process, "run_plan", run_weighed)
    night = run_night(experiment=NIGHT)
    assert night.ended.outcome.complete
    early, late = blocks
    assert late - early < MOST_BLOCKS
