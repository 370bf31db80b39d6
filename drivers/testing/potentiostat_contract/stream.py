"""The stream of a step as the contract reads it: its samples, and their order."""

from __future__ import annotations

import numpy as np

from drivers.base import (
    PotentiostatEvent,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.testing.bench import EventLog

Log = EventLog[PotentiostatEvent]
S = 1e9


def samples(log: Log, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 (n,) mono_ns, float64 (n,) voltage_V, float64 (n,) current_A of one step."""
    blocks = [block for block in log.of(SampleBlock) if block.step_key == key]
    assert blocks, f"no sample of step {key}"
    mono_ns = np.concatenate([block.mono_ns for block in blocks])
    voltage_V = np.concatenate([block.voltage_V for block in blocks])
    return mono_ns, voltage_V, np.concatenate([block.current_A for block in blocks])


def check_order(log: Log) -> None:
    """Started, samples, ended, for each step in turn, at instants that never go back."""
    running: str | None = None
    last_ns = last_sample_ns = -1
    samples_of = ""
    for event in log.events:
        if isinstance(event, StepStarted):
            assert running is None, f"{event.key} started while {running} runs"
            running, instant = event.key, event.mono_ns
        elif isinstance(event, StepEnded):
            assert event.key == running, f"{event.key} ended while {running} runs"
            running, instant = None, event.mono_ns
        elif isinstance(event, SampleBlock):
            assert event.step_key == running, f"samples of {event.step_key} while {running} runs"
            check_block(event)
            assert event.mono_ns[0] >= last_sample_ns + (samples_of == event.step_key), "sample times must grow from block to block"
            last_sample_ns, instant, samples_of = int(event.mono_ns[-1]), int(event.mono_ns[0]), event.step_key
        else:
            instant = event.mono_ns
        assert instant >= last_ns, f"{event} lies before what came before it"
        last_ns = max(instant, last_sample_ns)


def check_block(block: SampleBlock) -> None:
    """Shapes, types and times of one block."""
    assert len(block) > 0
    assert block.mono_ns.dtype == np.int64
    assert np.all(np.diff(block.mono_ns) > 0)
    assert np.ptp(block.mono_ns) <= S, "a block holds at most one second"
    arrays = [block.voltage_V, block.current_A, *block.aux.values()]
    arrays += [array for array in (block.voltage_we_V, block.voltage_ce_V) if array is not None]
    for array in arrays:
        assert array.dtype == np.float64
        assert array.shape == block.mono_ns.shape
    if block.voltage_we_V is not None and block.voltage_ce_V is not None:
        assert np.array_equal(block.voltage_V, block.voltage_we_V - block.voltage_ce_V, equal_nan=True), "E is E_we - E_ce"
    assert block.device_ns is None or block.device_ns.shape == block.mono_ns.shape
    assert block.status is None or (block.status.shape == block.mono_ns.shape and block.status.dtype == np.uint16)
