"""Ring 2, sample by sample; when current may be raised; what preparation must find."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import ElectrodeBounds, Limits
from orchestrator.guard.watch import silence_limit_s
from orchestrator.runner.safety import (
    BLIND_SAMPLES,
    Watch,
    electrode_complaint,
    ocv_complaint,
    polarity_complaint,
    silent_after_s,
    why_not_raise,
)

LIMITS = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=0.5e-3, charge_C=0.4, time_s=3600)
ARMING = Limits(voltage_upper_V=3.9, voltage_lower_V=2.3, current_A=1e-3, charge_C=10, time_s=3600, voltage_lower_armed_above_V=2.6)


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        ((0.601, 0.0, 0.0, 0.0), "voltage"),
        ((-0.601, 0.0, 0.0, 0.0), "voltage"),
        ((math.inf, 0.0, 0.0, 0.0), "voltage"),
        ((0.0, -0.51e-3, 0.0, 0.0), "current"),
        ((0.0, 0.51e-3, 0.0, 0.0), "current"),
        ((0.0, 0.0, -0.41, 0.0), "charge"),
        ((0.0, 0.0, 0.0, 3600.1), "time"),
    ],
)
def test_each_limit_is_seen_on_the_first_sample_that_passes_it(seen: tuple[float, float, float, float], what: str) -> None:
    violation = Watch(LIMITS).check(*seen)
    assert violation is not None
    assert violation.what.startswith(what)
    assert "limit" in str(violation)


@given(st.floats(-0.6, 0.6), st.floats(-0.5e-3, 0.5e-3), st.floats(-0.4, 0.4), st.floats(0, 3600))
def test_nothing_within_the_limits_is_a_violation(volts: float, amps: float, charge: float, elapsed: float) -> None:
    assert Watch(LIMITS).check(volts, amps, charge, elapsed) is None


def test_readings_that_are_no_number_are_borne_for_a_moment_only() -> None:
    watch = Watch(LIMITS)
    seen = [watch.check(math.nan, 0.0, 0.0, 0.0) for _ in range(BLIND_SAMPLES)]
    assert seen[:-1] == [None] * (BLIND_SAMPLES - 1)
    assert "no valid reading" in str(seen[-1])


def test_one_good_reading_in_between_counts() -> None:
    watch = Watch(LIMITS)
    for _ in range(5):
        assert watch.check(math.nan, 0.0, 0.0, 0.0) is None
        assert watch.check(0.1, math.nan, 0.0, 0.0) is None
        assert watch.check(0.1, 0.0, 0.0, 0.0) is None


def test_the_lower_limit_arms_late_and_stays_armed_across_steps() -> None:
    watch = Watch(ARMING)
    assert watch.check(0.2, 0.0, 0.0, 0.0) is None
    assert not watch.lower_armed
    assert watch.check(2.7, 0.0, 0.0, 0.0) is None
    watch.begin(ARMING)
    assert watch.lower_armed
    assert watch.check(2.2, 0.0, 0.0, 0.0) is not None


def test_the_upper_limit_counts_before_the_lower_is_armed() -> None:
    assert Watch(ARMING).check(3.95, 0.0, 0.0, 0.0) is not None


@pytest.mark.parametrize(
    ("volts", "age_s", "may"),
    [
        (0.1, 0.5, True),
        (0.1, 2.9, True),
        (0.1, 3.1, False),
        (None, 0.0, False),
        (math.nan, 0.0, False),
        (math.inf, 0.0, False),
        (0.7, 0.0, False),
        (-0.7, 0.0, False),
    ],
)
def test_current_is_never_raised_on_an_old_or_bad_voltage(volts: float | None, age_s: float, may: bool) -> None:
    assert (why_not_raise(volts, age_s, 1.0, LIMITS) is None) is may


def test_a_fresh_cell_below_its_unarmed_lower_limit_may_be_charged() -> None:
    assert why_not_raise(0.2, 0.0, 1.0, ARMING) is None


@pytest.mark.parametrize(("host_lost_s", "make_safe_s"), [(60.0, 5.0), (10.0, 1.0), (20.0, 5.0), (600.0, 5.0)])
def test_the_rig_acts_on_silence_before_its_guard_does(host_lost_s: float, make_safe_s: float) -> None:
    assert silent_after_s(host_lost_s, make_safe_s) < silence_limit_s(host_lost_s, make_safe_s)


def test_open_circuit_voltage_of_a_fresh_cell() -> None:
    times = [float(t) for t in range(1200)]
    assert ocv_complaint(times, [3.0] * 1200, 2.5, 3.4) is None
    assert "not within" in str(ocv_complaint(times, [2.0] * 1200, 2.5, 3.4))
    assert "no open-circuit" in str(ocv_complaint([], [], 2.5, 3.4))
    assert "no open-circuit" in str(ocv_complaint([0.0], [math.nan], 2.5, 3.4))
    drifting = [3.0 + 1e-5 * t for t in times]
    assert ocv_complaint(times, drifting, 2.5, 3.4, drift_V=0.007) is None
    assert "drifts" in str(ocv_complaint(times, drifting, 2.5, 3.4, drift_V=0.005))


def test_polarity() -> None:
    assert polarity_complaint(2.5, 2.6) is None
    assert polarity_complaint(2.6, 2.5, "lower") is None
    assert "swapped or open" in str(polarity_complaint(2.6, 2.5))
    assert "swapped or open" in str(polarity_complaint(2.5, 2.5))
    assert "not read" in str(polarity_complaint(2.5, math.nan))


ELECTRODES = Limits(4.4, 2.4, 5e-3, 10.0, 3600.0, electrodes=(ElectrodeBounds("we", 3.0, 4.3), ElectrodeBounds("ce", 0.0)))
"""Of both electrodes, beside the cell's."""


@pytest.mark.parametrize(
    ("we_V", "ce_V", "what"),
    [(4.31, 0.1, "E_we (V) 4.31 passes the limit 4.3"), (2.9, 0.1, "E_we (V)"), (4.0, -0.001, "E_ce (V)"), (4.0, 0.1, None)],
)
def test_limits_of_electrodes_are_watched_beside_the_cells(we_V: float, ce_V: float, what: str | None) -> None:
    found = Watch(ELECTRODES).check(3.9, 1e-3, 0.0, 0.0, we_V, ce_V)
    assert (found is None) if what is None else str(found).startswith(what)


def test_the_cells_own_limit_holds_besides() -> None:
    assert str(Watch(ELECTRODES).check(4.41, 1e-3, 0.0, 0.0, 4.2, 0.1)).startswith("voltage (V) 4.41")


@pytest.mark.parametrize("limits", [ELECTRODES, Limits(4.3, 3.0, 5e-3, 10.0, 3600.0, voltage_name="we")])
def test_an_electrode_that_is_limited_and_not_read_is_blindness(limits: Limits) -> None:
    watch = Watch(limits)
    seen = [watch.check(3.9, 1e-3, 0.0, 0.0) for _ in range(BLIND_SAMPLES)]
    assert seen[:-1] == [None] * (BLIND_SAMPLES - 1)
    assert str(seen[-1]).startswith("E_we or current: no valid reading")


def test_limits_of_one_electrode_are_not_held_against_the_cells_voltage() -> None:
    limits = Limits(4.3, 3.0, 5e-3, 10.0, 3600.0, voltage_name="we")
    assert Watch(limits).check(2.0, 1e-3, 0.0, 0.0, 3.5, 1.5) is None
    assert why_not_raise(2.0, 0.0, 1.0, limits) is None


def test_no_current_while_an_electrode_is_where_it_may_not_be() -> None:
    assert electrode_complaint(ELECTRODES, 4.0, 0.1) is None
    assert electrode_complaint(ELECTRODES, 4.0, -0.1) == "E_ce (V) -0.1 passes the limit 0"
    assert electrode_complaint(ELECTRODES, math.nan, 0.1) == "E_we was not read"
