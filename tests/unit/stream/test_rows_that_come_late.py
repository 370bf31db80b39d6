"""Rows that an instrument kept while nobody could ask keep the times at which they were measured, however many they are."""

from __future__ import annotations

from biologic_bench import step

from drivers.stream.rows import Row
from drivers.stream.running import RunningStep
from drivers.stream.samples import Outbox

S = 10**9
BEGUN_NS = 1000 * S


def test_five_minutes_in_one_piece_lie_a_second_apart() -> None:
    outbox = Outbox()
    running = RunningStep(step().key, None, outbox, BEGUN_NS)
    running.take([Row(float(n), 3.7, 5e-4, number=n) for n in range(1, 301)], BEGUN_NS + 300 * S)
    found = [sample.mono_ns for waiting in outbox._waiting for sample in getattr(waiting, "samples", ())]
    assert found == [BEGUN_NS + n * S for n in range(1, 301)]
