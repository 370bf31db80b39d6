"""The host's integral of charge."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.runner.charge import Charge


def test_constant_current_counts_from_edge_to_edge() -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0)
    total = sum(charge.pass_to(round((t + 0.3) * 1e9), -0.4e-3) for t in range(10))
    total += charge.end(10_000_000_000)
    assert total == pytest.approx(-4e-3)
    assert charge.net_C == pytest.approx(-4e-3)
    assert charge.throughput_C == pytest.approx(4e-3)


def test_net_and_throughput_differ_after_a_reversal_and_x_follows_the_net() -> None:
    charge = Charge(0.5, -1 / 8.64)
    for amps in (1e-3, -1e-3, -1e-3):
        charge.begin(charge._at_ns)
        start = charge._at_ns
        charge.pass_to(start + 10**9, amps)
    assert charge.net_C == pytest.approx(-1e-3)
    assert charge.throughput_C == pytest.approx(3e-3)
    assert charge.x == pytest.approx(0.5 + 1e-3 / 8.64)


def test_a_current_that_is_no_number_counts_as_the_last_one() -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0)
    charge.pass_to(10**9, 1e-3)
    charge.pass_to(2 * 10**9, math.nan)
    assert charge.net_C == pytest.approx(2e-3)


def test_what_comes_twice_counts_once() -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0)
    assert charge.pass_to(10**9, 1e-3) > 0
    assert charge.pass_to(10**9, 1e-3) == 0
    assert charge.pass_to(5 * 10**8, 1e-3) == 0


def test_a_pause_between_two_steps_does_not_count() -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0)
    charge.pass_to(10**9, 1e-3)
    charge.begin(3600 * 10**9)
    charge.pass_to(3601 * 10**9, 1e-3)
    assert charge.net_C == pytest.approx(2e-3)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.01, 5.0), min_size=2, max_size=50), st.floats(-1e-3, 1e-3), st.floats(-1e-6, 1e-6))
def test_a_current_that_changes_evenly_is_integrated_exactly(gaps: list[float], start_A: float, slope: float) -> None:
    charge, t = Charge(0.0, 0.0), 0.0
    charge.begin(0)
    charge.pass_to(0, start_A)
    for gap in gaps:
        t += gap
        charge.pass_to(round(t * 1e9), start_A + slope * t)
    assert charge.net_C == pytest.approx(start_A * t + slope * t * t / 2, abs=1e-11)


@pytest.mark.parametrize(("end_s", "counted_C", "complete"), [(2.5, 2.5e-3, True), (4.0, 4e-3, True), (3600.0, 4e-3, False)])
def test_after_its_last_sample_a_step_counts_two_intervals_at_most(end_s: float, counted_C: float, complete: bool) -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0, interval_s=1.0)
    charge.pass_to(2 * 10**9, 1e-3)
    charge.end(round(end_s * 1e9))
    assert charge.net_C == pytest.approx(counted_C)
    assert charge.complete is complete


def test_a_step_whose_end_nobody_saw_counts_to_its_last_sample() -> None:
    charge = Charge(0.0, 0.0)
    charge.begin(0, interval_s=1.0)
    charge.pass_to(10**9, 1e-3)
    assert charge.end(2 * 10**9, lost=True) == 0.0
    assert charge.net_C == pytest.approx(1e-3)
    assert not charge.complete


def test_where_x_means_nothing_it_is_no_number() -> None:
    charge = Charge(0.0, None)
    charge.begin(0)
    charge.pass_to(10**9, 1e-3)
    assert math.isnan(charge.x)
    assert charge.net_C == pytest.approx(1e-3)
