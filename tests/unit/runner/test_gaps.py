"""What passed through a cell that nobody heard: counted, set, or the most that can have passed."""

from __future__ import annotations

import math

import pytest

from drivers.base import EndConditions, Limits, Mode
from orchestrator.model.protocol import SampleRate
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.account import Account
from orchestrator.runner.gaps import bridged, estimated
from orchestrator.runner.resumption import named

S = 1_000_000_000


def account(mode: Mode = Mode.GALVANOSTATIC, current_A: float | None = -4e-4) -> Account:
    limits = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=1e-3, charge_C=1.0, time_s=2000)
    planned = PlannedStep(
        index=1,
        key="s1",
        text="Plate",
        verb="plate",
        mode=mode,
        current_A=current_A,
        ends=EndConditions(time_s=1000),
        limits=limits,
        sample=SampleRate(then_Hz=1),
        expected_s=300,
        worst_s=1000,
    )
    made = Account.of(planned)
    made.earlier_C, made.charge_C = -0.02, -0.05
    return made


def test_samples_that_stand_close_have_no_gap_between_them() -> None:
    assert bridged(account(), 10 * S, 13 * S, math.nan, -4e-4, -4e-4) is None


def test_the_instruments_own_count_fills_a_gap_and_leaves_nothing_uncertain() -> None:
    gap = bridged(account(), 10 * S, 110 * S, -0.07, -4e-4, -4e-4)
    assert gap is not None
    assert (gap.charge_C, gap.uncertainty_C, gap.seconds) == (pytest.approx(-0.04), 0.0, 100.0)
    assert gap.how == "counted by the instrument"


def test_without_a_count_it_is_the_set_current_and_all_of_it_is_uncertain() -> None:
    gap = bridged(account(), 10 * S, 110 * S, math.nan, -3.9e-4, -4.1e-4)
    assert gap is not None
    assert gap.charge_C == pytest.approx(-0.04)
    assert gap.uncertainty_C == pytest.approx(0.041), "the largest current that was seen"


def test_at_constant_voltage_it_is_the_mean_of_the_currents_beside_it() -> None:
    gap = estimated(account(Mode.POTENTIOSTATIC, None), 0, 100 * S, 4e-4, 2e-4)
    assert (gap.charge_C, gap.uncertainty_C) == (pytest.approx(0.03), pytest.approx(0.04))


def test_at_constant_voltage_with_no_current_known_its_limit_bounds_it() -> None:
    gap = estimated(account(Mode.POTENTIOSTATIC, None), 0, 100 * S, None, math.nan)
    assert (gap.charge_C, gap.uncertainty_C) == (0.0, pytest.approx(0.1))


def test_at_open_circuit_nothing_passes() -> None:
    gap = estimated(account(Mode.REST, None), 0, 100 * S, 4e-4)
    assert (gap.charge_C, gap.uncertainty_C, gap.how) == (0.0, 0.0, "open circuit")


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("s0001-c01-plate", ("s0001-c01-plate", "", 0)),
        ("s0001-c01-plate.2", ("s0001-c01-plate", "", 2)),
        ("s0001-c01-plate-v2.1", ("s0001-c01-plate-v2", "", 1)),
        ("s0001-c01-plate.w3", ("s0001-c01-plate", ".w3", 0)),
        ("s0001-c01-plate.look1", ("s0001-c01-plate", ".look1", 0)),
        ("s0004-c01-strip.end.2", ("s0004-c01-strip", ".end", 2)),
    ],
)
def test_what_a_key_says(key: str, parts: tuple[str, str, int]) -> None:
    assert named(key) == parts
