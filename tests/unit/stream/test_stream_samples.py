"""The stream of samples that never makes the wire wait."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from drivers.base import GARBLED, LinkLost, Rows, SampleBlock, StepStarted
from drivers.stream.samples import Outbox, Sample

S = 1_000_000_000


def sample(key: str, mono_ns: int) -> Sample:
    return Sample(key, mono_ns, 3.7, 1e-3, mono_ns, 1000, 0, 0.0)


async def drained(outbox: Outbox) -> list[object]:
    outbox.close()
    return [event async for event in outbox.stream()]


async def test_waiting_samples_become_blocks_of_at_most_a_second_and_one_step() -> None:
    outbox = Outbox()
    for n in range(25):
        outbox.sample(sample("a", n * S // 10))
    outbox.sample(sample("b", 25 * S // 10))
    blocks = [event for event in await drained(outbox) if isinstance(event, SampleBlock)]
    assert [len(block) for block in blocks] == [10, 10, 5, 1]
    assert [block.step_key for block in blocks] == ["a", "a", "a", "b"]
    assert all(int(block.mono_ns[-1] - block.mono_ns[0]) < S for block in blocks)


async def test_events_keep_their_place_between_samples() -> None:
    outbox = Outbox()
    outbox.sample(sample("a", 1))
    outbox.put(StepStarted("b", 2))
    outbox.sample(sample("b", 3))
    assert [type(event).__name__ for event in await drained(outbox)] == ["SampleBlock", "StepStarted", "SampleBlock"]


async def test_what_nobody_takes_is_dropped_and_said() -> None:
    outbox, stream_of = Outbox(most_samples=3), []
    for n in range(5):
        outbox.sample(sample("a", n))
    stream = outbox.stream()
    first = await anext(stream)
    outbox.sample(sample("a", 9))
    outbox.close()
    stream_of = [event async for event in stream]
    assert isinstance(first, SampleBlock)
    assert len(first) == 3
    assert [type(event) for event in stream_of] == [LinkLost, SampleBlock]
    assert isinstance(stream_of[0], LinkLost)
    assert "2 dropped" in stream_of[0].why


async def test_the_stream_waits_for_what_comes() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(anext(outbox.stream()))
    await asyncio.sleep(0)
    outbox.put(StepStarted("a", 1))
    assert await taking == StepStarted("a", 1)


async def test_lines_that_were_no_samples_are_told_once_with_the_next_block() -> None:
    outbox = Outbox()
    stream = outbox.stream()
    told = []
    for n, garbled in enumerate((0, 2, 2, 3)):
        outbox.garbled = garbled
        outbox.sample(sample("a", n * 2 * S))
        block = await anext(stream)
        assert isinstance(block, SampleBlock)
        told.append([int(count) for count in block.aux.get(GARBLED, ())])
    assert told == [[], [2], [], [3]]


def test_a_block_says_the_same_in_rows_and_in_arrays() -> None:
    made = SampleBlock.of_rows("a", Rows((1, 2), (3.5, 3.6), (1e-3, 2e-3), (0, 7), (10, 20), aux={"charge_C": (0.5, 0.6)}), 5)
    dtypes = [made.mono_ns.dtype, made.voltage_V.dtype, made.current_A.dtype, made.device_ns.dtype, made.status.dtype]
    assert dtypes == [np.int64, np.float64, np.float64, np.int64, np.uint16]
    columns = {name: getattr(made, name) for name in ("mono_ns", "voltage_V", "current_A", "device_ns", "status", "aux")}
    again = SampleBlock("a", **columns)
    assert (len(made), len(again), made.half_width_ns) == (2, 2, 5)
    assert made.voltage_we_V is None is again.rows.voltage_we_V
    assert again.rows == Rows([1, 2], [3.5, 3.6], [1e-3, 2e-3], [0, 7], [10, 20], aux={"charge_C": [0.5, 0.6]})
    bare = SampleBlock("a", columns["mono_ns"], columns["voltage_V"], columns["current_A"])
    assert (bare.rows.status, bare.rows.device_ns, bare.rows.aux) == ([0, 0], None, {})
    with pytest.raises(AttributeError, match="voltage_mV"):
        bare.voltage_mV  # type: ignore[attr-defined]  # noqa: B018
