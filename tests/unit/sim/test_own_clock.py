"""The clock inside an instrument."""

from __future__ import annotations

import json

import pytest

from drivers.sim.own_clock import OwnClock


def test_it_is_right_until_it_is_skewed() -> None:
    clock = OwnClock()
    assert [clock.at(t) for t in (0.0, 17.5)] == [0.0, 17.5]
    assert clock.lasting(10.0) == clock.until(10.0) == 10.0


def test_a_fast_clock_counts_more_seconds_and_never_jumps() -> None:
    clock = OwnClock()
    clock.skew(100.0, 1000.0)
    assert clock.at(100.0) == 100.0
    assert clock.at(1100.0) == pytest.approx(1101.0)
    assert clock.lasting(1000.0) == pytest.approx(1001.0)
    assert clock.until(1001.0) == pytest.approx(1000.0)
    assert clock.when(clock.at(777.0)) == pytest.approx(777.0)
    clock.skew(1100.0, 0.0)
    assert clock.at(1200.0) == pytest.approx(1201.0), "what it gained stays"


def test_it_goes_on_from_plain_data() -> None:
    clock, other = OwnClock(), OwnClock()
    clock.skew(5.0, -300.0)
    other.restore(json.loads(json.dumps(clock.snapshot())))
    assert other.at(99.0) == clock.at(99.0)
