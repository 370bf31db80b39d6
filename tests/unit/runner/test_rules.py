"""Rules over samples: hard short, polarisation, arming, counting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drivers.base import EndConditions, ImpedanceSpectrum, Limits, Mode
from orchestrator.model.protocol import SampleRate
from orchestrator.model.rule import Predicate, Rule
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.rules import RuleEngine, executable
from orchestrator.runner.triggers import Sample

LIMITS = Limits(voltage_upper_V=1, voltage_lower_V=-1, current_A=1, charge_C=100, time_s=1e6)
I_A, LEAD, CELL = 0.4e-3, 5.0, 100.0
SHORT = Rule(name="hard short", all_of=(Predicate(observable="short_ratio", test="below", value=0.2),), for_count=3, not_after_edge_s=5)


def step(amps: float) -> PlannedStep:
    return PlannedStep(
        index=0,
        key="s",
        text="s",
        verb="plate",
        mode=Mode.GALVANOSTATIC,
        current_A=amps,
        ends=EndConditions(time_s=1e5),
        limits=LIMITS,
        sample=SampleRate(then_Hz=1),
        expected_s=1,
        worst_s=1,
    )


def sample(t: float, volts: float, amps: float) -> Sample:
    return Sample(round(t * 1e9), t, amps * t, volts, amps, 0.0, None)


def run(engine: RuleEngine, amps: float, volts: list[float], begin: float = 0.0) -> list[float]:
    engine.begin(step(amps), first=True)
    return [begin + t for t, v in enumerate(volts) for _ in engine.feed(sample(begin + t, v, amps))]


def test_resistance_is_learnt_in_the_first_minute_less_the_leads() -> None:
    engine = RuleEngine([SHORT], LEAD)
    run(engine, -I_A, [-I_A * (CELL + LEAD)] * 61)
    assert engine.seen.R_cell_ohm == pytest.approx(CELL)


def test_a_hard_short_behind_the_leads_is_seen_after_three_samples_and_once() -> None:
    engine = RuleEngine([SHORT], LEAD)
    healthy, shorted = [-I_A * (CELL + LEAD)] * 100, [-I_A * (LEAD + 10)] * 50
    assert run(engine, -I_A, healthy + shorted) == [102.0]


def test_a_healthy_cell_is_no_short_at_any_current_or_reversal() -> None:
    engine = RuleEngine([SHORT], LEAD)
    for amps in (-I_A, I_A, -I_A / 10, I_A * 3):
        assert run(engine, amps, [amps * (CELL + LEAD)] * 200) == []


def test_nothing_is_a_short_before_the_resistance_is_known_or_without_current() -> None:
    engine = RuleEngine([SHORT], LEAD)
    assert run(engine, -I_A, [0.0] * 50) == []
    assert run(engine, 0.0, [0.0] * 200) == []


def test_an_impedance_spectrum_is_better_than_the_first_minute() -> None:
    engine = RuleEngine([SHORT], LEAD)
    spectrum = ImpedanceSpectrum("s", 0, np.array([1e5, 0.1]), np.array([20 + 0j, 125 - 1j]))
    engine.measured_impedance(spectrum)
    run(engine, -I_A, [-0.3] * 100)
    assert engine.seen.R_cell_ohm == pytest.approx(120.0)


def test_the_real_part_of_the_last_spectrum_between_its_points_and_not_beyond() -> None:
    dry = Rule(name="dry", all_of=(Predicate(observable="Re(Z) at 1000 Hz", test="above", value=60.0),), for_count=2)
    assert executable(dry)
    engine = RuleEngine([dry], LEAD)
    assert run(engine, 0.0, [0.0] * 5) == [], "nobody has measured it"
    frequency_Hz = np.array([1e2, 1e4, 1e5])
    engine.measured_impedance(ImpedanceSpectrum("s", 0, frequency_Hz, np.array([80 + 0j, 30 - 1j, 20 + 0j])))
    assert engine.seen.real_part_ohm(1000.0) == pytest.approx(55.0), "half-way by the logarithm; the leads are in it"
    assert run(engine, 0.0, [0.0] * 5) == []
    engine.measured_impedance(ImpedanceSpectrum("s", 0, frequency_Hz, np.array([100 + 0j, 30 - 1j, 20 + 0j])))
    assert run(engine, 0.0, [0.0] * 5) == [1.0]
    engine.measured_impedance(ImpedanceSpectrum("s", 0, np.array([1e4, 1e5]), np.array([100 + 0j, 90 + 0j])))
    assert engine.seen.real_part_ohm(1000.0) is None


def test_polarisation_refers_to_the_steps_start() -> None:
    rule = Rule(name="voids", all_of=(Predicate(observable="polarisation_ratio", test="above", value=3),), for_count=2)
    ramp = [0.05 * (1 + 0.11 * t) for t in range(40)]
    assert run(RuleEngine([rule], 0.0), I_A, ramp) == [20.0]


def test_noise_at_open_circuit_and_a_held_voltage_are_no_polarisation_and_no_short() -> None:
    grown = Rule(name="voids", all_of=(Predicate(observable="polarisation_ratio", test="above", value=3),))
    engine = RuleEngine([grown, SHORT], LEAD)
    run(engine, I_A, [I_A * (CELL + LEAD)] * 61)
    noise_V, noise_A = [1e-6, 80e-6, -40e-6, 2e-6, 90e-6] * 20, 20e-9
    for mode in (Mode.REST, Mode.POTENTIOSTATIC):
        engine.begin(step(I_A).model_copy(update={"mode": mode, "current_A": None}), first=True)
        assert [firing for t, volts in enumerate(noise_V) for firing in engine.feed(sample(float(t), volts, noise_A))] == []


def test_polarisation_is_counted_from_the_first_sample_under_current() -> None:
    rule = Rule(name="voids", all_of=(Predicate(observable="polarisation_ratio", test="above", value=3),))
    engine = RuleEngine([rule], 0.0)
    engine.begin(step(I_A), first=True)
    before, after = [sample(0.0, 1e-5, 0.0)], [sample(float(t), volts, I_A) for t, volts in ((1, 0.05), (2, 0.14), (3, 0.16))]
    assert [[firing.rule.name for firing in engine.feed(one)] for one in (*before, *after)] == [[], [], [], ["voids"]]


def test_absolute_values() -> None:
    rule = Rule(name="high", all_of=(Predicate(observable="voltage", absolute=True, test="above", value=0.4),))
    assert run(RuleEngine([rule], 0.0), -I_A, [-0.3, -0.41, -0.5]) == [1.0]


def test_any_and_all() -> None:
    high = Predicate(observable="voltage", test="above", value=0.4)
    low_current = Predicate(observable="current", absolute=True, test="below", value=1e-3)
    both = Rule(name="both", all_of=(high, low_current))
    either = Rule(name="either", any_of=(high, Predicate(observable="voltage", test="below", value=-0.4)))
    assert run(RuleEngine([both], 0.0), I_A, [0.3, 0.5]) == [1.0]
    assert run(RuleEngine([both], 0.0), 2e-3, [0.3, 0.5]) == []
    assert run(RuleEngine([either], 0.0), I_A, [0.3, -0.5]) == [1.0]


def test_it_fires_again_only_after_it_was_untrue() -> None:
    rule = Rule(name="high", all_of=(Predicate(observable="voltage", test="above", value=0.4),))
    assert run(RuleEngine([rule], 0.0), I_A, [0.5, 0.5, 0.3, 0.5, 0.5]) == [0.0, 3.0]


def test_armed_by_the_new_sign_or_after_a_while() -> None:
    armed = Rule(name="r", all_of=(Predicate(observable="voltage", test="below", value=0.4),), armed_after_s=5.0, armed_on_new_sign=True)
    assert run(RuleEngine([armed], 0.0), I_A, [-0.1, -0.1, 0.1, 0.1]) == [2.0]
    assert run(RuleEngine([armed], 0.0), I_A, [-0.1] * 8) == [5.0]


def test_rules_over_spectra_and_disabled_ones_are_left_alone() -> None:
    area = Rule(name="plating", all_of=(Predicate(observable="area", test="above", value=1),))
    assert not executable(area)
    assert not executable(SHORT.model_copy(update={"enabled": False}))
    assert run(RuleEngine([area], 0.0), I_A, [0.1] * 100) == []


def along(engine: RuleEngine, amps: float, curve: Callable[[float], float]) -> list[tuple[float, str]]:
    """One step over all of its capacity, 1 s a sample: at which fraction which rule fires."""
    engine.begin(step(amps), first=True)
    found = []
    for second in range(4000):
        fraction = second / 4000
        one = Sample(second * 10**9, float(second), amps * second, curve(fraction), amps, 0.0, fraction)
        found += [(fraction, firing.rule.name) for firing in engine.feed(one)]
    return found


def test_a_plateau_and_its_knee_are_seen_and_a_slope_has_none() -> None:
    flat = Rule(name="plateau", all_of=(Predicate(observable="plateau", test="above", value=0.0),))
    knee = Rule(name="knee", all_of=(Predicate(observable="knees", test="above", value=1.0),))
    engine = RuleEngine([flat, knee], LEAD)
    found = along(engine, I_A, lambda x: 0.1 + 2.0 * max(0.0, 0.3 - x) + 3.0 * max(0.0, x - 0.8))
    assert [name for _, name in found] == ["plateau", "knee"]
    assert [where for where, _ in found] == pytest.approx([0.35, 0.83], abs=0.03)
    assert along(engine, I_A, lambda x: 1.0 - 0.9 * x) == [], "a slope all the way; and the step before is forgotten"


def test_the_slope_of_E_is_by_the_charge_of_the_step_and_only_where_charge_passes() -> None:
    steep = Rule(name="steep", all_of=(Predicate(observable="voltage", test="slope above", value=5.0),))
    engine = RuleEngine([steep], 0.0)
    per_s_mAh = I_A / 3.6
    gentle, upwards = ([start + rise * per_s_mAh * t for t in range(200)] for start, rise in ((0.1, 4.0), (0.1, 6.0)))
    assert run(engine, I_A, gentle) == []
    (at,) = run(engine, I_A, upwards)
    assert at == 9.0  # ten points, a second apart
    assert run(engine, 0.0, upwards) == []
    knee = gentle[:100] + [gentle[99] + 40.0 * per_s_mAh * t for t in range(100)]
    (at,) = run(engine, I_A, knee)
    assert 100 < at < 120


def test_a_slope_costs_the_same_at_any_rate_of_sampling() -> None:
    engine = RuleEngine([Rule(name="steep", all_of=(Predicate(observable="voltage", test="slope below", value=-1.0),))], 0.0)
    engine.begin(step(I_A), first=True)
    fired = [t for k in range(2000) for t in [k / 100] if engine.feed(sample(t, 0.3 - 2.0 * t * I_A / 3.6, I_A))]
    assert fired == [9.0]


def test_E_is_compared_with_the_first_sample_under_current_sign_and_all() -> None:
    fifth_more = Predicate(observable="voltage", test="below", reference={"of": "step_start", "factor": 1.2})
    engine = RuleEngine([Rule(name="worse", all_of=(fifth_more,))], 0.0)
    assert run(engine, -I_A, [-0.1] * 20 + [-0.119] * 20 + [-0.121] * 3) == [40.0]
    assert run(engine, I_A, [0.1] * 20 + [0.119] * 3) == [0.0]  # 0.1 V lies below 0.12 V
    engine.begin(step(-I_A), first=True)
    assert engine.feed(sample(0.0, -0.5, 0.0)) == []  # no current yet: nothing to compare with
    assert engine.feed(sample(1.0, -0.1, -I_A)) == []
    (firing,) = engine.feed(sample(2.0, -0.13, -I_A))
    assert firing.values == {"voltage": -0.13, "voltage, bound": pytest.approx(-0.12)}
