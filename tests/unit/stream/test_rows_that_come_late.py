"""Rows that an instrument kept while nobody could ask keep the times at which they were measured, however many they are."""

from __future__ import annotations

import asyncio

from biologic_bench import step

from drivers.base import SampleBlock
from drivers.stream.rows import Row
from drivers.stream.running import RunningStep
from drivers.stream.samples import Outbox

S = 10**9
BEGUN_NS = 1000 * S


async def _instants_ns(outbox: Outbox) -> list[int]:
    """Of all samples that wait in it."""
    outbox.close()
    return [mono_ns async for block in outbox.stream() if isinstance(block, SampleBlock) for mono_ns in block.rows.mono_ns]


def test_five_minutes_in_one_piece_lie_a_second_apart() -> None:
    outbox = Outbox()
    running = RunningStep(step().key, None, outbox, BEGUN_NS)
    running.take([Row(float(n), 3.7, 5e-4, number=n) for n in range(1, 301)], BEGUN_NS + 300 * S)
    assert asyncio.run(_instants_ns(outbox)) == [BEGUN_NS + n * S for n in range(1, 301)]
