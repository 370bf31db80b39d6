"""A night must not take more memory the longer it lasts: everything of it is in this process but the observer."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from drivers.clock import Clock
from orchestrator.rig import process
from orchestrator.runner import observed

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
MOST_BLOCKS = 1200
"""Of CPython's allocator, in 27 minutes with as many spectra. Each spectrum's record takes 20 to 30; one more object for every sample
or event of the night takes more than is left."""
MOST_OVER = 10
"""Tasks that are done and yet remembered by somebody."""
MOST_KNOWN = 100
"""Findings; so few that the ring of them is full before the first weighing."""


class Weight(NamedTuple):
    """What there is at one instant."""

    blocks: int
    over: int


async def _weigh(journal: Any, clock: Clock, weights: list[Weight]) -> None:
    began_ns = clock.mono_ns()
    for hour in WEIGHED_h:
        await clock.sleep_until(began_ns + round(hour * 3.6e12))
        await journal.durable(journal.put("note", {"text": f"weighed at {hour} h", "who": "test"}))  # nothing waits for the disk
        gc.collect()
        over = sum(isinstance(one, asyncio.Task) and one.done() for one in gc.get_objects())
        weights.append(Weight(sys.getallocatedblocks(), over))


def test_memory_does_not_grow_with_the_night(run_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[Weight] = []
    truly_run = process.run_plan

    async def run_weighed(plan: Any, station: Any, journal: Any, clock: Clock, *others: Any, **options: Any) -> Any:
        weighing = asyncio.create_task(_weigh(journal, clock, weights))
        outcome = await truly_run(plan, station, journal, clock, *others, **options)
        await weighing
        return outcome

    monkeypatch.setattr(process, "run_plan", run_weighed)
    monkeypatch.setattr(observed, "MOST_KNOWN", MOST_KNOWN)
    night = run_night(experiment=NIGHT)
    assert night.ended.outcome.complete
    early, late = weights
    assert late.blocks - early.blocks < MOST_BLOCKS
    assert late.over - early.over < MOST_OVER
