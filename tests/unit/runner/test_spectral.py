"""Rules over spectra: blanks, means, the same half-cycle, slopes as ratios, counting and counting again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from orchestrator.model.rule import Predicate, Rule
from orchestrator.runner.observed import Observed, Refused, observed
from orchestrator.runner.rules import executable as of_samples
from orchestrator.runner.spectral import SpectralRules, executable, name_of

ROW = {"name": "area(moss)", "value": 1.0, "error": 0.1, "unit": "", "key": "a1", "algorithm": "x"}


def found(
    name: str, value: float, error: float = 0.01, *, key: str = "", acquisition: str = "fast", **context: float | str
) -> list[Observed]:
    given = {"acquisition": acquisition, "blank": 0, "step_key": "s0001", "cycle": 1, "current_A": -4e-4, "voltage_V": -0.1, **context}
    return [Observed(name, value, error, "", key or f"a{value}{given}", "test", None, given)]


def fired(rule: Rule, spectra: Iterable[list[Observed]]) -> list[tuple[int, dict[str, float]]]:
    rules = SpectralRules([rule])
    return [(n, firing.values) for n, one in enumerate(spectra) for firing, _ in rules.feed(one)]


def rule(predicate: dict[str, Any], **more: Any) -> Rule:
    return Rule(name="r", all_of=(Predicate(**predicate),), **more)


ABOVE = {"observable": "area", "window_ppm": (240.0, 290.0), "test": "above"}
NAME = "area(240..290 ppm)"


def test_which_rules_look_at_spectra() -> None:
    plating = rule(ABOVE | {"reference": {"of": "blank", "n_sd": 5}})
    both = Rule(name="b", all_of=(*plating.all_of, Predicate(observable="voltage", test="below", value=0.0)))
    samples = rule({"observable": "voltage", "test": "above", "value": 1.0})
    odd = Rule(name="o", all_of=(*plating.all_of, Predicate(observable="short_ratio", test="below", value=0.2)))
    assert [executable(one) for one in (plating, both, samples, odd)] == [True, True, False, False]
    assert not of_samples(plating)
    assert of_samples(samples)
    assert not executable(plating.model_copy(update={"enabled": False}))


def test_names() -> None:
    assert name_of(Predicate(**ABOVE, value=1.0)) == NAME
    assert name_of(Predicate(observable="area(moss)", test="slope below", value=0.0)) == "slope(moss)"
    assert name_of(Predicate(observable="noise_sd", test="above", value=0.0)) == "noise_sd"


def test_plating_above_the_blank() -> None:
    blanks = [found(NAME, value, blank=1, key=f"b{value}") for value in (1.0, 1.2, 0.8)]
    grows = [found(NAME, 1.0 + 0.45 * n, key=f"m{n}") for n in range(8)]
    plating = rule(ABOVE | {"reference": {"of": "blank", "n_sd": 5.0}}, for_count=3, for_unit="spectra")
    ((at, values),) = fired(plating, [*blanks, *grows])
    assert at == 3 + 5  # above 2.0: the 4th, 5th and 6th of those that grow
    assert values[f"{NAME} reference"] == pytest.approx(1.0)
    assert values[f"{NAME} bound"] == pytest.approx(2.0)
    assert fired(plating, grows) == []  # no blank: it is never guessed


def test_the_mean_of_a_range_of_charge() -> None:
    rng = np.random.default_rng(1)
    plating = rule(ABOVE | {"reference": {"of": "mean", "n_sd": 5.0, "over": {"x": (0.2, 0.8)}}}, for_count=3)
    honest = [found(NAME, 10.0 + 0.1 * rng.normal(), x=0.01 * n, key=f"a{n}") for n in range(130)]
    assert fired(plating, honest) == []
    plates = [found(NAME, 10.0 + 0.1 * rng.normal() + 30.0 * max(0.0, 0.01 * n - 1.0), x=0.01 * n, key=f"a{n}") for n in range(130)]
    ((at, _),) = fired(plating, plates)
    assert 102 <= at <= 106


SLOPE = {"observable": "area(moss)", "test": "slope below", "reference": {"of": "same_half_cycle", "factor": 0.7, "cycles": (2, 4)}}


def cycled(short_from: int, n: int = 10) -> list[list[Observed]]:
    """Symmetric cell: the moss' slope falls with depth, and is negative while it is stripped."""
    spectra = []
    for cycle in range(1, n + 1):
        for sign, current in ((1.0, -4e-4), (-0.5, 4e-4)):
            for depth in np.linspace(0.1, 1.0, 8):
                value = sign * (2.0 - depth) * (0.4 if cycle >= short_from else 1.0)
                where = {"cycle": cycle, "current_A": current, "charge_step_mAh": float(depth), "step_key": f"s{cycle}{sign}"}
                spectra.append(found("slope(moss)", value, 0.05, key=f"a{cycle}{sign}{depth}", **where))  # type: ignore[arg-type]
    return spectra


def test_a_soft_short_against_the_same_half_cycle_of_earlier_cycles() -> None:
    soft = rule(SLOPE, confidence_SE=2.0, times=2)
    assert fired(soft, cycled(short_from=99)) == []  # practice.md 14: a plain slope below 0.7 would fire in every half-cycle
    first, values = fired(soft, cycled(short_from=7))[0]
    assert 6 * 16 < first < 6 * 16 + 4
    assert values["slope(moss) ratio"] == pytest.approx(0.4, abs=0.01)
    assert values["slope(moss) reference spectra"] == 3


def test_confidence_waits_for_better_numbers() -> None:
    vague = [[one._replace(error=0.6) for one in spectrum] for spectrum in cycled(short_from=7)]
    assert fired(rule(SLOPE, confidence_SE=2.0), vague) == []


def test_a_reference_near_zero_divides_nothing() -> None:
    flat = [[one._replace(value=0.01 * one.value) for one in spectrum] for spectrum in cycled(short_from=7)]
    assert fired(rule(SLOPE), flat) == []


def test_it_counts_in_one_step_and_again_only_after_quiet() -> None:
    high = rule({"observable": NAME, "test": "above", "value": 1.0}, for_count=2)
    values = [2, 2, 2, 0, 2, 2, 0, 0, 2, 2]
    assert [at for at, _ in fired(high, [found(NAME, v, key=f"a{n}") for n, v in enumerate(values)])] == [1, 9]
    steps = [found(NAME, 2.0, key=f"a{n}", step_key=f"s{n // 3}") for n in range(6)]
    assert [at for at, _ in fired(high, steps)] == [1, 4]


def test_only_spectra_of_its_acquisition_that_hold_what_it_asks_count() -> None:
    high = rule({"observable": NAME, "test": "above", "value": 1.0}, for_count=2, acquisition="fast")
    spectra = [
        found(NAME, 2.0, key="a1"),
        found(NAME, 0.0, key="a2", acquisition="wide"),
        found("noise_sd", 1.0, key="a3"),
        found(NAME, 2.0, key="a4"),
    ]
    assert [at for at, _ in fired(high, spectra)] == [3]


def test_any_and_absolute_and_the_voltage_meanwhile() -> None:
    phase = Predicate(observable="phase_difference_deg(metal, electrolyte)", test="above", value=15.0, absolute=True)
    low = Predicate(observable="voltage", test="below", value=-0.2)
    either = Rule(name="e", any_of=(phase, low))
    name = "phase_difference_deg(metal, electrolyte)"
    spectra = [
        found(name, -20.0, key="a1"),
        found(name, 3.0, key="a2", step_key="s2"),
        found(name, 3.0, key="a3", step_key="s3", voltage_V=-0.3),
    ]
    assert [at for at, _ in fired(either, spectra)] == [0, 2]


def test_any_asks_of_a_spectrum_that_holds_one_of_them() -> None:
    """A line that is not resolved has no area: that silences nobody else."""
    either = Rule(name="e", any_of=(Predicate(observable="area(moss)", test="above", value=3.0),
                                    Predicate(observable="noise_sd", test="above", value=2.0)))  # fmt: skip
    both = either.model_copy(update={"any_of": (), "all_of": either.any_of})
    spectra = [found("noise_sd", 5.0, key="a1")]
    assert [at for at, _ in fired(either, spectra)] == [0]
    assert fired(both, spectra) == []
    assert fired(either, [found("phase(moss)", 5.0, key="a1")]) == []


def test_context_is_plain_and_short() -> None:
    assert observed(ROW | {"context": {"x": 0.5, "step_key": "s1"}}).context == {"x": 0.5, "step_key": "s1"}
    for wrong in ({"x": float("nan")}, {"x": [1]}, {f"n{n}": 1 for n in range(30)}, "x", {"x": "y" * 999}):
        with pytest.raises(Refused, match="context"):
            observed(ROW | {"context": wrong})


def since_edge(*seconds: float, value: float = 2.0, volts: float = -0.1, step: str = "s0001") -> list[list[Observed]]:
    return [found(NAME, value, key=f"{step}{s}", elapsed_s=s, voltage_V=volts, step_key=step) for s in seconds]


def test_a_spectrum_that_began_too_soon_after_an_edge_is_not_asked_about() -> None:
    after = rule(ABOVE | {"value": 1.0}, not_after_edge_s=60.0)
    assert [n for n, _ in fired(after, since_edge(-5.0, 0.0, 59.0, 60.0, 120.0))] == [3]
    assert [n for n, _ in fired(after, [*since_edge(0.0, 100.0), *since_edge(0.0, 100.0, step="s0002")])] == [1, 3]
    assert [n for n, _ in fired(rule(ABOVE | {"value": 1.0}), since_edge(0.0))] == [0]
    assert fired(after, [found(NAME, 2.0, key="no edge known")]) == []


def test_what_is_not_asked_about_is_a_reference_all_the_same() -> None:
    blanks = [found(NAME, value, blank=1, key=f"b{value}", elapsed_s=1.0) for value in (1.0, 1.2, 0.8)]
    plating = rule(ABOVE | {"reference": {"of": "blank", "n_sd": 5.0}}, not_after_edge_s=60.0)
    assert [n for n, _ in fired(plating, [*blanks, *since_edge(10.0, 70.0, value=9.0)])] == [4]


def test_a_rule_over_spectra_arms_when_E_has_the_new_sign_or_in_time() -> None:
    armed = rule(ABOVE | {"value": 1.0}, armed_on_new_sign=True, armed_after_s=500.0)
    old_sign, new_sign = since_edge(10.0, 200.0, volts=0.1), since_edge(300.0, 400.0, volts=-0.1)  # the current is negative
    assert [n for n, _ in fired(armed, [*old_sign, *new_sign])] == [2]
    assert [n for n, _ in fired(armed, since_edge(10.0, 499.0, 500.0, volts=0.1))] == [2]
    again = since_edge(10.0, volts=0.1, step="s0002")
    assert [n for n, _ in fired(armed, [*new_sign, *again])] == [0], "it arms anew in every step"


def test_what_the_probe_reflected_waits_for_its_spectrum() -> None:
    rules = SpectralRules([rule({"observable": "reflected_power", "test": "above", "value": 0.2})])

    def reflected(key: str, value: float) -> list[Observed]:
        return [Observed("reflected_power", value, None, "", key, "")]

    assert rules.feed(reflected("a1", 0.5)) == []
    assert rules.feed(found("noise_sd", 1.0, key="a0")) == [], "nothing was measured beside this one"
    ((firing, seen),) = rules.feed(found("noise_sd", 1.0, key="a1"))
    assert (firing.values["reflected_power"], seen.key, seen.acquisition) == (0.5, "a1", "fast")
    for n in range(500):
        rules.feed(reflected(f"b{n}", 0.5))
    assert len(rules._beside) <= 100, "spectra that are never analysed are forgotten"
