"""A scaled clock that waits keeps real pace until the run begins, and never jumps."""

from __future__ import annotations

import time

from drivers.clock import Clock


def test_it_keeps_real_pace_until_it_begins_and_is_continuous() -> None:
    clock = Clock(1000.0, waits=True)
    first, real = clock.mono_ns(), time.monotonic_ns()
    assert abs(first - real) < 50_000_000
    time.sleep(0.01)
    assert clock.mono_ns() - first < 1_000_000_000
    before = clock.mono_ns()
    clock.begin()
    after = clock.mono_ns()
    assert before <= after
    time.sleep(0.01)
    assert clock.mono_ns() - after >= 10_000_000_000


def test_utc_counts_from_the_epoch_whether_it_waits_or_not() -> None:
    clock = Clock(60.0, 1_000_000_000_000, waits=True)
    stamp = clock.stamp()
    assert 0 <= stamp.utc_ns - 1_000_000_000_000 < 1_000_000_000
    clock.begin()
    clock.begin()
    assert clock.utc_of(stamp.mono_ns) == stamp.utc_ns
