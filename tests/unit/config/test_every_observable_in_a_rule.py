"""What the table of observables declares, a rule may name: as a sentence and as a table."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.model.observables import OBSERVABLES
from orchestrator.model.rule import Predicate

HEAD = """\
version: 1
experiment: named
cell: {id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.5, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: 7Li_metal, scans: 64}}
protocol: [Rest for 1 h]
rules:
"""
OF_SPECTRA = [name for name, one in OBSERVABLES.items() if one.source == "spectra" and name not in {"phase_difference_deg", "slope"}]


def predicate(rule: str) -> Predicate:
    """The one comparison of a rule."""
    (found,) = parse_experiment(f"{HEAD}  - {{name: a, {rule}, do: [warn]}}\n").rules[0].all_of
    return found


@pytest.mark.parametrize("name", OF_SPECTRA)
def test_it_is_named_as_it_is_told(name: str) -> None:
    told = f"{name}(bulk)" if OBSERVABLES[name].of_line else name
    table = predicate(f"when: {{observable: {told}, above: 2}}")
    assert (table.observable, table.test, table.value) == (told, "above", 2.0)
    if not OBSERVABLES[name].unit:
        assert predicate(f"when: {told} > 2").observable == told


@pytest.mark.parametrize(
    ("sentence", "observable", "value"),
    [
        ("dead_Li(this cycle) > 0.1 mAh", "dead_Li(this cycle)", 0.1),
        ("CE(this cycle) < 90 %", "CE(this cycle)", 0.9),
        ("budget_closes(cycle 3) > 3", "budget_closes(cycle 3)", 3.0),
        ("T2(metal) > 16 ms", "T2(metal)", 0.016),
        ("pixels(beyond_T1) > 5", "pixels(beyond_T1)", 5.0),
    ],
)
def test_sentences(sentence: str, observable: str, value: float) -> None:
    found = predicate(f"when: {sentence}")
    assert (found.observable, found.value) == (observable, pytest.approx(value))


def test_abs_of_any_line() -> None:
    found = predicate("when: abs(budget_closes(this cycle)) > 3")
    assert (found.observable, found.absolute) == ("budget_closes(this cycle)", True)


@pytest.mark.parametrize(
    "rule",
    [
        "when: area(moss) > 3, while: I > 0",
        "when: {observable: area(moss), above: 3, while: I > 0}",
        "when: {observable: area(moss), above: 3, for: 2 spectra, while: I > 0}",
        "when: area(moss) > 3, and: I > 0",
    ],
)
def test_while_is_what_must_hold_besides(rule: str) -> None:
    (found,) = parse_experiment(f"{HEAD}  - {{name: a, {rule}, do: [warn]}}\n").rules
    assert [(one.observable, one.test, one.value) for one in found.all_of] == [("area(moss)", "above", 3.0), ("current", "above", 0.0)]
    assert found.for_count == (2 if "2 spectra" in rule else 1)


def test_while_holds_beside_any() -> None:
    rule = "any: [area(moss) > 3, noise_sd > 2], while: abs(E) > 0.1 V"
    (found,) = parse_experiment(f"{HEAD}  - {{name: a, {rule}, do: [warn]}}\n").rules
    assert [len(found.all_of), len(found.any_of)] == [1, 2]
    assert (found.all_of[0].observable, found.all_of[0].absolute, found.all_of[0].value) == ("voltage", True, 0.1)
