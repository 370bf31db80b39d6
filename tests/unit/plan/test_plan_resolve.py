"""Signs, capacities and quantities against what a person would compute."""

from __future__ import annotations

import pytest

from orchestrator.model.cell import Cell, Electrode
from orchestrator.model.experiment import SafetyLimits
from orchestrator.model.protocol import Verb
from orchestrator.model.units import Quantity
from orchestrator.plan.resolve import Unresolved, capacity_C, charge_C, current_A, direction, process_so_far, voltage_sign, x_per_C

HALF = Cell(id="h", type="half", working="hard carbon", counter="Na", capacity_mAh=1.2, area_cm2=0.5)
SYMMETRIC = Cell(id="s", type="symmetric", working="upper Li", counter="lower Li", area_cm2=0.785)


def full(working: str = "positive", **more: object) -> Cell:
    electrodes = {"positive": Electrode(name="LFP", capacity_mAh=2.4), "negative": Electrode(name="graphite", capacity_mAh=1.6)}
    return Cell.model_validate({"id": "f", "type": "full", "working": working, "C_rate_of": "negative"} | electrodes | more)


@pytest.mark.parametrize(
    ("cell", "verb", "electrode", "sign"),
    [
        (SYMMETRIC, Verb.PLATE, "working", -1),
        (SYMMETRIC, Verb.STRIP, "upper Li", 1),
        (SYMMETRIC, Verb.PLATE, "counter", 1),
        (SYMMETRIC, Verb.STRIP, "lower Li", -1),
        (HALF, Verb.SODIATE, None, -1),
        (HALF, Verb.DESODIATE, "hard carbon", 1),
        (full(), Verb.CHARGE, None, 1),
        (full(), Verb.DISCHARGE, None, -1),
        (full("LFP"), Verb.CHARGE, None, 1),
        (full("negative"), Verb.CHARGE, None, -1),
        (full("graphite"), Verb.DISCHARGE, None, 1),
        (full(), Verb.LITHIATE, "graphite", 1),
        (full("graphite"), Verb.LITHIATE, "negative", -1),
        (full("negative"), Verb.DELITHIATE, "positive", -1),
        (SYMMETRIC, Verb.GALVANOSTATIC, None, 0),
    ],
)
def test_the_sign_follows_verb_electrode_and_cell(cell: Cell, verb: Verb, electrode: str | None, sign: int) -> None:
    assert direction(cell, verb, electrode) == sign


@pytest.mark.parametrize("verb", [Verb.CHARGE, Verb.DISCHARGE])
def test_charge_means_nothing_outside_a_full_cell(verb: Verb) -> None:
    with pytest.raises(Unresolved, match="half cell") as caught:
        direction(HALF, verb)
    assert "sodiate" in caught.value.hint


def test_an_unknown_electrode_is_refused_with_a_suggestion() -> None:
    with pytest.raises(Unresolved, match="no electrode `upper L`") as caught:
        direction(SYMMETRIC, Verb.PLATE, "upper L")
    assert caught.value.hint == "did you mean `upper Li`?"


def test_a_working_electrode_that_is_neither_side_of_a_full_cell_is_refused() -> None:
    with pytest.raises(Unresolved, match="neither"):
        direction(full("copper"), Verb.CHARGE)


@pytest.mark.parametrize(
    ("cell", "of", "mAh"),
    [
        (HALF, "", 1.2),
        (HALF, "hard carbon", None),
        (full(), "", 1.6),
        (full(), "graphite", 1.6),
        (full(), "LFP", 2.4),
        (full(), "positive", 2.4),
        (full("positive", C_rate_of="positive"), "", 2.4),
        (full(C_rate_of=None, capacity_mAh=2.0), "", 2.0),
    ],
)
def test_capacity_of_each_electrode(cell: Cell, of: str, mAh: float | None) -> None:
    if mAh is None:
        cell = cell.model_copy(update={"C_rate_of": "hard carbon"})
        mAh = 1.2
    assert capacity_C(cell, of) == pytest.approx(mAh * 3.6)


def test_two_capacities_need_a_word_which_one_counts() -> None:
    with pytest.raises(Unresolved, match="different capacities") as caught:
        capacity_C(full(C_rate_of=None))
    assert "C_rate_of" in caught.value.hint


def test_no_capacity_is_said_and_not_guessed() -> None:
    with pytest.raises(Unresolved, match="capacity"):
        capacity_C(SYMMETRIC)


@pytest.mark.parametrize(
    ("quantity", "mA"),
    [(Quantity(0.4e-3, "A"), 0.4), (Quantity(0.5e-3, "A/cm2"), 0.25), (Quantity(0.05, "C"), 0.06), (Quantity(2, "C"), 2.4)],
)
def test_currents_in_ampere(quantity: Quantity, mA: float) -> None:
    assert current_A(HALF, quantity) == pytest.approx(mA * 1e-3)


@pytest.mark.parametrize(
    ("quantity", "mAh"),
    [(Quantity(2, "mAh"), 2), (Quantity(1, "mAh/cm2"), 0.5), (Quantity(130, "%"), 1.56), (Quantity(50, "%", "working"), 0.6)],
)
def test_charges_in_coulomb(quantity: Quantity, mAh: float) -> None:
    assert charge_C(HALF, quantity) == pytest.approx(mAh * 3.6)


def test_a_quantity_of_the_wrong_kind_says_what_to_write() -> None:
    with pytest.raises(Unresolved, match="not a current"):
        current_A(HALF, Quantity(1, "V"))
    with pytest.raises(Unresolved, match="not a charge"):
        charge_C(HALF, Quantity(1, "s"))
    with pytest.raises(Unresolved, match="area"):
        current_A(HALF.model_copy(update={"area_cm2": None}), Quantity(1e-3, "A/cm2"))


@pytest.mark.parametrize(
    ("quantity", "verb"),
    [
        (Quantity(110, "%", "the sodiation so far"), Verb.SODIATE),
        (Quantity(90, "%", "the desodiation so far"), Verb.DESODIATE),
        (Quantity(100, "%", "the charge so far"), Verb.CHARGE),
        (Quantity(80, "%", "graphite"), None),
        (Quantity(80, "%"), None),
    ],
)
def test_what_has_passed_so_far_is_recognised(quantity: Quantity, verb: Verb | None) -> None:
    assert process_so_far(quantity) is verb


def test_x_rises_on_insertion_and_on_charge() -> None:
    assert x_per_C(HALF) == pytest.approx(-1 / (1.2 * 3.6))
    assert x_per_C(full()) == pytest.approx(1 / (1.6 * 3.6))
    assert x_per_C(full("negative")) == pytest.approx(-1 / (1.6 * 3.6))
    assert x_per_C(SYMMETRIC) is None


@pytest.mark.parametrize(
    ("working", "limits_V", "sign"), [("positive", (2.3, 3.9), 1), ("negative", (2.3, 3.9), -1), ("negative", (-3.9, -2.3), 1)]
)
def test_voltages_turn_with_the_leads(working: str, limits_V: tuple[float, float], sign: int) -> None:
    limits = SafetyLimits(
        voltage_lower_V=limits_V[0], voltage_upper_V=limits_V[1], current_A=1, charge_per_step=Quantity(1, "mAh"), host_lost="open circuit"
    )
    assert voltage_sign(full(working), limits) == sign
    assert voltage_sign(HALF, limits) == 1
