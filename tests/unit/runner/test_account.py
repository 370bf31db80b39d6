"""What a step is owed after a pause, and which ends the host sees to."""

from __future__ import annotations

import math

import pytest

from drivers.base import ElectrodeBounds, EndConditions, Limits, Mode, Reason
from orchestrator.model.protocol import SampleRate
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.account import Account

LIMITS = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=1e-3, charge_C=1.0, time_s=2000)
ENDS = EndConditions(time_s=1000, voltage_lower_V=-0.4, charge_C=0.3)


def account(ends: EndConditions = ENDS, **more: object) -> Account:
    planned = PlannedStep(
        index=3,
        key="s3",
        text="Plate",
        verb="plate",
        mode=Mode.GALVANOSTATIC,
        current_A=-1e-3,
        ends=ends,
        limits=LIMITS,
        sample=SampleRate(then_Hz=1, first_Hz=10, first_s=60),
        expected_s=300,
        worst_s=1000,
        **more,  # type: ignore[arg-type]
    )
    return Account.of(planned)


def test_the_first_part_is_the_whole_step() -> None:
    order = account().order()
    assert (order.key, order.ends, order.limits) == ("s3", ENDS, LIMITS)
    assert order.sample_interval_s == pytest.approx(0.1)


def test_a_further_part_owes_the_rest_of_time_and_charge_and_keeps_its_voltages() -> None:
    one = account()
    one.started_ns, one.charge_C, one.active_s = None, -0.1, 100.0
    one.next_part()
    order = one.order()
    assert order.key == "s3.1"
    assert order.ends == EndConditions(time_s=900, voltage_lower_V=-0.4, charge_C=pytest.approx(0.2))
    assert order.limits.charge_C == pytest.approx(0.9)
    assert order.limits.time_s == pytest.approx(1900)


@pytest.mark.parametrize(("charge_C", "active_s"), [(-0.3, 100.0), (-0.1, 1000.0)])
def test_nothing_is_owed_when_time_or_charge_is_used_up(charge_C: float, active_s: float) -> None:
    one = account()
    one.charge_C, one.active_s = charge_C, active_s
    assert one.owed() is None


def test_a_step_that_is_over_owes_nothing() -> None:
    one = account()
    one.over = True
    assert one.owed() is None


@pytest.mark.parametrize(
    ("ends", "seen", "reason"),
    [
        (EndConditions(time_s=10), (0.0, 0.0, 10.0), Reason.TIME),
        (EndConditions(time_s=10, charge_C=0.1), (0.0, 0.0, 1.0), Reason.CHARGE),
        (EndConditions(time_s=10, voltage_upper_V=0.5), (0.5, 0.0, 1.0), Reason.V_UPPER),
        (EndConditions(time_s=10, voltage_lower_V=-0.5), (-0.5, 0.0, 1.0), Reason.V_LOWER),
        (EndConditions(time_s=10, current_below_A=1e-4), (0.0, 0.9e-4, 1.0), Reason.CURRENT),
    ],
)
def test_the_host_sees_to_what_the_instrument_does_not(ends: EndConditions, seen: tuple[float, float, float], reason: Reason) -> None:
    one = account(ends)
    one.charge_C = -0.1
    assert one.reached(*seen) is None
    one.missing = frozenset({"time", "voltage", "charge", "current"})
    assert one.reached(*seen) is reason


def test_nothing_is_reached_before_its_time() -> None:
    one = account(EndConditions(time_s=10, voltage_upper_V=0.5, voltage_lower_V=-0.5, charge_C=0.2, current_below_A=1e-4))
    one.missing, one.charge_C = frozenset({"time", "voltage", "charge", "current"}), 0.1
    assert one.reached(0.1, 2e-4, 5.0) is None


def test_what_is_left_is_the_nearest_end() -> None:
    one = account()
    assert one.left_s(0) == pytest.approx(300)
    one.charge_C = -0.25
    assert one.left_s(0) == pytest.approx(50)


def test_a_wait_of_the_same_line_has_its_own_key_and_no_triggers() -> None:
    wait = Account.of(account().planned, suffix=".w1", ends=EndConditions(time_s=5))
    assert wait.key == "s3.w1"
    assert wait.order().ends.time_s == 5


@pytest.mark.parametrize(
    ("asked_s", "time_s", "interval_s"),
    [
        (1.0, 0.5, 1.0),  # dense enough: left alone
        (0.05, 1000.0, 0.05),
        (30.0, 15.0, 5.0),  # a short step has three samples
        (30.0, 2.0, 1.0),
        (30.0, 40.0, 13.333),  # the last one stands at the end
        (30.0, 100.0, 25.0),
        (30.0, 3600.0, 30.0),
        (10.0, 1805.0, 9.972),
    ],
)
def test_a_step_has_its_samples_however_rarely_they_are_asked_for(asked_s: float, time_s: float, interval_s: float) -> None:
    planned = account().planned.model_copy(update={"sample": SampleRate(then_Hz=1.0 / asked_s), "ends": EndConditions(time_s=time_s)})
    order = Account.of(planned).order()
    assert order.sample_interval_s == pytest.approx(interval_s, abs=1e-9)
    if asked_s > 1.0 and time_s >= 3.0:
        whole = round(time_s / order.sample_interval_s)
        assert 0.0 <= time_s - whole * order.sample_interval_s < 0.001 * whole


@pytest.mark.parametrize(
    ("we_V", "ce_V", "reason"),
    [(4.0, 0.5, None), (4.2, 0.5, Reason.V_UPPER), (4.0, -0.001, Reason.V_LOWER), (math.nan, math.nan, None)],
)
def test_the_host_ends_a_step_on_one_electrode(we_V: float, ce_V: float, reason: Reason | None) -> None:
    one = account(EndConditions(1000, electrodes=(ElectrodeBounds("we", upper_V=4.2), ElectrodeBounds("ce", lower_V=0.0))))
    assert one.reached(0.1, 1e-3, 5.0, we_V, ce_V) is None, "the instrument sees to it"
    one.missing = frozenset({"E_we", "E_ce"})
    assert one.reached(0.1, 1e-3, 5.0, we_V, ce_V) is reason


def test_an_end_of_the_cell_is_not_held_against_what_the_limits_mean() -> None:
    one = account(EndConditions(1000, voltage_upper_V=0.5))
    one.missing = frozenset({"voltage"})
    assert one.reached(0.4, 1e-3, 5.0, 3.9) is None
    assert one.reached(0.6, 1e-3, 5.0, 0.1) is Reason.V_UPPER
