"""Ends, limits and bounds of single steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.base import Capabilities, Mode
from orchestrator.plan import PlanError
from orchestrator.plan.orders import Plan, PlannedStep
from orchestrator.runner.account import Account

Make = Callable[..., Plan]


def only(plan: Plan) -> PlannedStep:
    return plan.steps[-1]


@pytest.mark.parametrize(
    ("line", "cell", "lower_V", "upper_V"),
    [
        ("Charge at C/5 until 3.8 V or 8 hours", "full", None, 3.8),
        ("Discharge at C/5 until 2.5 V or 8 hours", "full", 2.5, None),
        ("Sodiate working at C/5 until 0.005 V or 8 hours", "half", 0.005, None),
        ("Desodiate working at C/5 until 2.0 V or 8 hours", "half", None, 2.0),
        ("Plate working at 1 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V", "symmetric", -0.4, 0.4),
        ("Plate counter at 1 mA/cm2 until 1 mAh/cm2 or 0.4 V", "symmetric", None, 0.4),
        ("{current_mA: -0.4, until: {voltage_V: -0.4, time_h: 5, charge_mAh: 2}}", "symmetric", -0.4, None),
        ("{current_mA: 0.4, until: {voltage_V: 0.4, time_h: 5}}", "symmetric", None, 0.4),
    ],
)
def test_a_voltage_ends_the_step_on_the_side_that_the_current_drives_to(
    plan: Make, line: str, cell: str, lower_V: float | None, upper_V: float | None
) -> None:
    ends = only(plan(line, cell=cell)).ends
    assert (ends.voltage_lower_V, ends.voltage_upper_V) == (lower_V, upper_V)


def test_a_rest_ends_on_the_side_it_relaxes_to(plan: Make) -> None:
    made = plan("Charge at C/5 until 3.8 V or 8 hours", "Rest for 1 hour or until 3.4 V", cell="full")
    assert (only(made).ends.voltage_lower_V, only(made).ends.voltage_upper_V) == (3.4, None)
    with pytest.raises(PlanError, match="which side"):
        plan("Rest for 1 hour or until 3.4 V", cell="full")


def test_leads_on_the_negative_electrode_turn_currents_and_voltages(plan: Make) -> None:
    cell = "{id: c, type: full, positive: LFP 2.0 mAh, negative: graphite 2.0 mAh, working: negative, capacity_mAh: 2.0}"
    limits = "E_V: [2.3, 3.9], abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s"
    made = plan("Charge at C/2 until 3.8 V or 3 hours", cell=cell, limits=limits)
    step = only(made)
    assert step.current_A == pytest.approx(-1e-3)
    assert (step.ends.voltage_lower_V, step.ends.voltage_upper_V) == (-3.8, None)
    assert (step.limits.voltage_lower_V, step.limits.voltage_upper_V) == (-3.9, -2.3)
    assert any("negative electrode" in warning for warning in made.warnings)


def test_ring_2_of_every_step_comes_from_the_limits(plan: Make) -> None:
    limits = (
        "abs_E_V: 0.5, abs_I_mA: 0.6, charge_per_step_mAh_cm2: 1.5, host_lost: open circuit within 30 s, lower_E_armed_once_above_V: 0.1"
    )
    made = plan("Rest for 1 hour", "Plate working at 1 mA/cm2 until 1 mAh/cm2", limits=limits)
    for step in made.steps:
        assert (step.limits.voltage_lower_V, step.limits.voltage_upper_V) == (-0.5, 0.5)
        assert step.limits.current_A == pytest.approx(0.6e-3)
        assert step.limits.charge_C == pytest.approx(0.75 * 3.6)
        assert step.limits.voltage_lower_armed_above_V == 0.1
        assert step.limits.time_s > step.ends.time_s, "a step that ends by its own time is no violation"
    assert made.host_lost_within_s == 30


def test_a_step_without_a_time_ends_only_after_ring_2_of_charge_would_have_fired(plan: Make) -> None:
    step = only(plan("Charge at C/2 until 3.8 V", cell="full"))
    assert step.current_A is not None
    assert step.ends.time_s * step.current_A > step.limits.charge_C
    assert step.worst_s == pytest.approx(step.limits.charge_C / step.current_A)


@pytest.mark.parametrize(
    ("line", "hours"),
    [
        ("Plate working at 1 mA/cm2 until 1 mAh/cm2 or 5 hours", 1.0),
        ("Plate working at 1 mA/cm2 until 1 mAh/cm2 or 0.5 hours", 0.5),
        ("Plate working at 1 mA/cm2 until abs(E) 0.4 V or 20 hours", 6.0),
    ],
)
def test_worst_case_is_the_smallest_of_time_charge_limit_and_until_charge(plan: Make, line: str, hours: float) -> None:
    assert only(plan(line)).worst_s == pytest.approx(hours * 3600)


def test_a_step_to_a_voltage_passes_the_capacity_and_back_again(plan: Make) -> None:
    made = plan("Charge at C/5 until 3.8 V or 9 hours", "Discharge at C/2 until 2.5 V or 9 hours", cell="full")
    assert [step.expected_charge_C / 3.6 for step in made.steps] == pytest.approx([1.6, 1.6])
    assert [step.expected_s / 3600 for step in made.steps] == pytest.approx([5, 2])


def test_what_went_in_comes_out(plan: Make) -> None:
    made = plan("Charge at C/5 until 0.5 mAh or 9 hours", "Discharge at C/5 until 2.5 V or 9 hours", cell="full")
    assert only(made).expected_charge_C / 3.6 == pytest.approx(0.5)


def test_potentiostatic_adds_what_is_missing_and_lasts_as_long_as_it_may(plan: Make) -> None:
    made = plan("Sodiate working at C/5 until 0.8 mAh or 9 hours", "Potentiostatic at 0.005 V until C/100 or 3 hours", cell="half")
    step = only(made)
    assert (step.mode, step.voltage_V) == (Mode.POTENTIOSTATIC, 0.005)
    assert step.ends.current_below_A == pytest.approx(1e-5)
    assert step.expected_s == step.worst_s == 3 * 3600
    assert step.expected_charge_C / 3.6 == pytest.approx(0.2)
    assert step.worst_charge_C == step.limits.charge_C


def test_a_final_current_bounds_the_time_of_a_potentiostatic_step(plan: Make) -> None:
    step = only(plan("Charge at C/5 until 3.8 V or 8 hours", "Hold at 3.8 V until C/50", cell="full"))
    assert step.worst_s == pytest.approx(3.0 / (1.6 / 50) * 3600)
    assert step.ends.time_s > step.worst_s


def test_110_percent_of_what_has_passed_is_a_tenth_more(plan: Make) -> None:
    made = plan(
        "Sodiate working at C/20 until 0.005 V or 24 hours",
        "Potentiostatic at 0.005 V until C/100 or 3 hours",
        "Sodiate working at C/20 until 110 % of the sodiation so far or -0.05 V or 30 hours",
        "Desodiate working at C/20 until 90 % of the sodiation so far or 30 hours",
        cell="half",
    )
    over, back = made.steps[2:]
    assert over.charge_of_earlier is not None
    assert back.charge_of_earlier is not None
    assert (over.charge_of_earlier.verb, over.charge_of_earlier.factor) == ("sodiate", pytest.approx(0.1))
    assert (back.charge_of_earlier.verb, back.charge_of_earlier.factor) == ("sodiate", pytest.approx(0.9))
    assert over.expected_charge_C / 3.6 == pytest.approx(0.1)
    assert back.expected_charge_C / 3.6 == pytest.approx(0.9 * 1.1)
    assert over.ends.charge_C is not None
    assert over.ends.charge_C / 3.6 == pytest.approx(0.1 * (1.2 + 3.0)), "worst: 24 h of C/20, then all that ring 2 allows at 5 mV"


def test_a_charge_of_earlier_steps_never_passes_ring_2(plan: Make) -> None:
    made = plan(
        "Sodiate working at C/2 until 0.005 V or 24 hours", "Desodiate working at C/2 until 300 % of the sodiation so far", cell="half"
    )
    assert only(made).ends.charge_C == only(made).limits.charge_C


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("Sodiate working at C/20 until 90 % of the sodiation so far", "half", "passed already"),
        ("Desodiate working at C/20 until 90 % of the desodiation so far", "half", "passed already"),
        ("Desodiate working at C/20 until 90 % of the plating so far", "half", "nothing before this step"),
        ("Charge at C/5 until 130 % of graphite or 120 % of the charge so far", "full", "another charge"),
    ],
)
def test_charges_that_mean_nothing_are_refused(plan: Make, line: str, cell: str, message: str) -> None:
    first = "Sodiate working at C/5 until 0.5 mAh" if cell == "half" else "Charge at C/5 until 0.5 mAh"
    with pytest.raises(PlanError, match=message):
        plan(first, line, cell=cell)


def test_acquisitions_that_the_step_waits_for_lengthen_it(plan: Make) -> None:
    alone = only(plan("Plate working at 1 mA/cm2 until 1 mAh/cm2"))
    then = plan("{step: Plate working at 1 mA/cm2 until 1 mAh/cm2, then: {quant: at end}}")
    quant_s = then.acquisitions["quant"].duration_s
    assert only(then).expected_s == pytest.approx(alone.expected_s + quant_s)
    assert only(then).worst_s == pytest.approx(alone.worst_s + 1.5 * quant_s)
    waits = "{step: Plate working at 1 mA/cm2 until 1 mAh/cm2, nmr: {quant: at end}, wait_for_nmr: 'at open circuit, at most 20 minutes'}"
    assert only(plan(waits)).expected_s == pytest.approx(alone.expected_s + quant_s)
    assert only(plan(waits)).worst_s == pytest.approx(alone.worst_s + 1200)


def test_a_list_at_open_circuit_ends_after_one_and_a_half_times_its_time(plan: Make) -> None:
    made = plan("{name: pristine, at: open circuit, nmr: [fast, quant, fast]}")
    planned_s = 2 * made.acquisitions["fast"].duration_s + made.acquisitions["quant"].duration_s
    step = only(made)
    assert (step.action, step.mode, step.acquisitions) == ("acquisitions", Mode.REST, ("fast", "quant", "fast"))
    assert step.expected_s == pytest.approx(planned_s)
    assert step.longest_s == step.worst_s == pytest.approx(1.5 * planned_s)


def test_samples_as_dense_as_asked(plan: Make) -> None:
    extra = "record: {every_s: 2, every_V: 0.01}"
    made = plan(
        "Rest for 1 hour",
        "{step: Rest for 1 hour, sample_Hz: {first 10 minutes: 5, then: 1}}",
        "Rest for 1 hour (10 second period)",
        extra=extra,
    )
    rates = [(step.sample.first_Hz, step.sample.first_s, step.sample.then_Hz) for step in made.steps]
    assert rates == [(None, 0, 0.5), (5, 600, 1), (None, 0, 0.1)]
    assert {step.sample_voltage_V for step in made.steps} == {0.01}


def test_preparation_becomes_steps_and_checks(plan: Make) -> None:
    made = plan("Rest for 1 hour", extra="prepare: [ocv -5..5 mV for 10 minutes, polarity +20 uA for 30 s must raise E, tune, quant]")
    assert [step.key for step in made.prepare] == ["p00-ocv", "p01-polarity", "p02-quant"], "nobody tunes here"
    ocv, polarity, quant = made.prepare
    assert (ocv.mode, ocv.ends.time_s) == (Mode.REST, 600)
    assert ocv.settings == {"check": "ocv", "text": "ocv -5..5 mV for 10 minutes", "lower_V": -0.005, "upper_V": 0.005, "for_s": 600.0}
    assert (polarity.mode, polarity.current_A, polarity.ends.time_s) == (Mode.GALVANOSTATIC, 2e-5, 30)
    assert polarity.settings["must"] == "raise"
    assert (quant.action, quant.acquisitions) == ("acquisitions", ("quant",))
    assert [check["check"] for check in made.prepare_checks] == ["ocv", "polarity", "tune"]


def test_a_blank_is_what_subtracts_it(plan: Make) -> None:
    made = plan("Rest for 1 hour", extra="  metal: {template: 7Li_metal, scans: 8, dummies: 2, subtract: blank}\nprepare: [blank]")
    assert made.prepare[0].acquisitions == ("metal",)
    assert made.expected_spectra == {"metal": 1}


def test_so_far_begins_at_the_last_turn(plan: Make) -> None:
    first, back, again = (
        f"{verb} working at C/5 until {mAh} mAh" for verb, mAh in (("Sodiate", 0.6), ("Desodiate", 0.6), ("Sodiate", 0.4))
    )
    made = plan(first, back, again, "Rest for 1 hour", "Sodiate working at C/20 until 110 % of the sodiation so far", cell="half")
    assert only(made).expected_charge_C / 3.6 == pytest.approx(0.04)
    assert only(made).ends.charge_C == pytest.approx(0.04 * 3.6)


def test_a_line_is_raised_and_waited_for_where_the_instrument_has_one(plan: Make) -> None:
    line = "{step: Rest for 1 hour, ttl: raise and wait}"
    has = {"channel": Capabilities(ttl=True)}
    (step,) = plan(line, given={"capabilities": has}).steps
    assert step.ttl == "raise and wait"
    account = Account.of(step)
    assert (account.order().ttl_out, account.order().ttl_in) == (True, True)
    account.next_part()
    assert account.order().ttl_in, "a pause before its signal came does not take it away"
    account.first_started_ns = 1
    assert not account.order().ttl_in, "after a pause nobody raises a line again"
    assert not Account.of(step, suffix=".look1").order().ttl_in
    with pytest.raises(PlanError, match="no TTL line"):
        plan(line, given={"capabilities": {"channel": Capabilities()}})
