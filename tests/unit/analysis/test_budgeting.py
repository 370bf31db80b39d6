"""The budget that is told while cycles come: k from stripping, dead and SEI lithium with their errors, the cycles before it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.analysis.budgeting import Area, Budgeting, Told

K_mAh = 0.002
SEI_mAh, DEAD_mAh, PLATED_mAh = 0.02, 0.01, 1.0


def step(verb: str, key: str, mode: str = "galvanostatic", part: int = 0) -> dict[str, Any]:
    return {"key": key, "verb": verb, "mode": mode, "part": part, "index": 0}


def cycled(budgeting: Budgeting, number: int, words: Sequence[str] = ("charge", "discharge")) -> list[Told]:
    """One cycle: of what is plated some is SEI, some stays dead, the rest is stripped."""
    dead_before = (number - 1) * DEAD_mAh
    told: list[Told] = []
    metal_mAh = dead_before + PLATED_mAh - SEI_mAh
    charges = (PLATED_mAh, PLATED_mAh - SEI_mAh - DEAD_mAh)
    areas = (metal_mAh / K_mAh, (dead_before + DEAD_mAh) / K_mAh)
    for verb, charge_mAh, area in zip(words, charges, areas, strict=True):
        budgeting.started(step(verb, f"{verb}{number}"))
        budgeting.ended({"charge_C": charge_mAh * 3.6})
        budgeting.started(step("rest", f"rest-{verb}{number}", "rest"))
        budgeting.ended({"charge_C": 0.0})
        assert budgeting.area("fast", f"{verb}{number}", Area(1.0, 1.0)) == [], "a spectrum under current counts for nothing"
        told += budgeting.area("quant", f"rest-{verb}{number}", Area(area, 0.5))
        assert budgeting.area("quant", f"rest-{verb}{number}", Area(9.0, 0.5)) == [], "only the first of a rest"
    return told


def test_the_mass_of_the_metal_is_told_once_k_is_known() -> None:
    budgeting = Budgeting((2, 4))
    cycled(budgeting, 1)
    assert list(budgeting.mass("7Li", Area(500.0, 5.0))) == []
    cycled(budgeting, 2)
    ((name, mass_mg, sd_mg, unit, _),) = budgeting.mass("7Li", Area(500.0, 5.0))
    assert (name, unit) == ("metal_mass", "mg")
    assert mass_mg == pytest.approx(1.0 / 3.861, rel=1e-3), "1 mAh"
    assert (sd_mg or 0.0) / mass_mg == pytest.approx(0.01, rel=0.2)
    assert list(budgeting.mass("1H", Area(500.0, 5.0))) == []
    assert list(budgeting.mass("7Li", Area(-1.0, 5.0))) == []


@pytest.mark.parametrize("words", [("charge", "discharge"), ("plate", "strip")])
def test_each_cycle_is_told_once_k_is_known(words: Sequence[str]) -> None:
    budgeting = Budgeting((2, 4))
    budgeting.area("quant", "p03-quant", Area(0.0, 0.5))
    told = [cycled(budgeting, number, words) for number in range(1, 6)]
    assert told[0] == []
    named = {name: (value, sd) for name, value, sd, _, _ in told[1]}
    assert named["mAh_per_area"][0] == pytest.approx(K_mAh)
    assert 0.0 < (named["mAh_per_area"][1] or 0.0) < 1e-5
    assert named["dead_Li(cycle 1)"][0] == pytest.approx(DEAD_mAh, abs=1e-9)
    for later in told[1:]:
        found = {name: value for name, value, _, _, _ in later}
        assert found["dead_Li(this cycle)"] == pytest.approx(DEAD_mAh, abs=1e-9)
        assert found["SEI_Li(this cycle)"] == pytest.approx(SEI_mAh, abs=1e-9)
        assert found["CE(this cycle)"] == pytest.approx(1.0 - SEI_mAh - DEAD_mAh)
    assert not [name for name, *_ in told[2] if "(cycle" in name], "those before are told once"
    assert {name: sd for name, _, sd, _, _ in told[4]}["dead_Li(this cycle)"], "sigma(k) goes with it"
    last = {name: (value, sd) for name, value, sd, _, _ in told[4]}
    efficiency = pytest.approx(0.001637, rel=1e-3)  # k by 0.5 sqrt(2) of area, and 0.98 mAh by k to 0.84 per mille
    assert last["plating_efficiency(this cycle)"] == (pytest.approx(1.0 - SEI_mAh), efficiency)
    assert last["budget_closes(this cycle)"][0] == pytest.approx(0.0, abs=1e-6)


def test_a_cycle_whose_metal_hides_fails_live() -> None:
    """Dense metal, under its own skin: Q_d is no longer k (A_c - A_d)."""
    budgeting = Budgeting((2, 4))
    for number in range(1, 5):
        cycled(budgeting, number)
    budgeting.started(step("charge", "charge5"))
    budgeting.ended({"charge_C": PLATED_mAh * 3.6})
    budgeting.started(step("rest", "rest-charge5", "rest"))
    budgeting.area("quant", "rest-charge5", Area(0.7 * PLATED_mAh / K_mAh, 0.5))
    budgeting.started(step("discharge", "discharge5"))
    budgeting.ended({"charge_C": (PLATED_mAh - SEI_mAh - DEAD_mAh) * 3.6})
    budgeting.started(step("rest", "rest-discharge5", "rest"))
    told = {name: value for name, value, *_ in budgeting.area("quant", "rest-discharge5", Area(5 * DEAD_mAh / K_mAh, 0.5))}
    assert told["budget_closes(this cycle)"] > 3.0


def test_a_half_cycle_in_parts_counts_once_and_a_missed_area_leaves_its_cycle_open() -> None:
    budgeting = Budgeting((2, 4))
    cycled(budgeting, 1)
    budgeting.started(step("charge", "charge2"))
    budgeting.ended({"charge_C": 1.8})
    budgeting.started(step("charge", "charge2.1", part=1))
    budgeting.ended({"charge_C": PLATED_mAh * 3.6})
    budgeting.started(step("discharge", "discharge2"))
    budgeting.ended({"charge_C": 0.97 * 3.6})
    budgeting.started(step("rest", "rest2", "rest"))
    assert budgeting.area("quant", "rest2", Area(10.0, 0.5)) == [], "no area after plating: this cycle gives no k"
    found = {name: value for name, value, _, _, _ in cycled(budgeting, 3)}
    assert found["mAh_per_area"] == pytest.approx(K_mAh)


def test_a_spectrum_that_only_came_late_into_a_rest_counts_for_nothing() -> None:
    budgeting = Budgeting((2, 4), frozenset({"quant"}))
    budgeting.area("fast", "p03-fast", Area(500.0, 0.5))
    budgeting.area("quant", "p03-quant", Area(0.0, 0.5))
    budgeting.started(step("charge", "charge1"))
    budgeting.started(step("rest", "rest-charge1", "rest"))
    assert budgeting.area("fast", "rest-charge1", Area(700.0, 0.5)) == []
    found = {name: value for number in (2, 3) for name, value, _, _, _ in cycled(budgeting, number)}
    assert found["mAh_per_area"] == pytest.approx(K_mAh)
