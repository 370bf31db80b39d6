"""The trigger engine: what each kind fires on, and what holds for all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.acquisition import Condition, TriggerKind
from orchestrator.plan.orders import TriggerOrder
from orchestrator.runner.trigger_kinds import RETRY_AFTER_s
from orchestrator.runner.triggers import Fire, Sample, TriggerEngine

K = TriggerKind
CAPACITY_C = 8.64


def order(kind: TriggerKind, **more: object) -> TriggerOrder:
    return TriggerOrder(acquisition="fast", kind=kind, **more)  # type: ignore[arg-type]


def sample(t: float, *, charge: float = 0.0, volts: float = 0.1, amps: float = -0.4e-3, x: float | None = None) -> Sample:
    fraction = abs(charge) / CAPACITY_C
    return Sample(round(t * 1e9), t, charge, volts, amps, fraction if x is None else x, fraction)


def fired_at(engine: TriggerEngine, samples: list[Sample]) -> list[float]:
    start = [0.0 for _ in engine.start(0)]
    return start + [one.elapsed_s for one in samples for _ in engine.feed(one)]


def every_second(seconds: int, **rates: float) -> list[Sample]:
    return [sample(t, **{name: rate * t for name, rate in rates.items()}) for t in range(seconds + 1)]  # type: ignore[arg-type]


def test_at_start_fires_on_the_edge_and_once() -> None:
    assert fired_at(TriggerEngine([order(K.AT_START)]), every_second(10)) == [0.0]


def test_at_start_waits_for_its_guard_time() -> None:
    assert fired_at(TriggerEngine([order(K.AT_START, guard_s=5)]), every_second(10)) == [5.0]


def test_at_start_with_a_condition_looks_at_the_first_sample_and_never_again() -> None:
    low = Condition(of="voltage", side="below", value=0.2)
    assert fired_at(TriggerEngine([order(K.AT_START, condition=low)]), every_second(3)) == [0.0]
    rising = [sample(t, volts=0.3 - 0.1 * t) for t in range(4)]
    assert fired_at(TriggerEngine([order(K.AT_START, condition=low)]), rising) == []


def test_at_end_fires_when_the_step_is_over() -> None:
    engine = TriggerEngine([order(K.AT_END, text="at end")])
    assert fired_at(engine, every_second(10)) == []
    assert engine.end(10**10) == [Fire("fast", "at end", 10**10, K.AT_END)]


def test_every_so_many_seconds_does_not_drift() -> None:
    late = [sample(t + 0.4) for t in range(200)]
    assert fired_at(TriggerEngine([order(K.EVERY_TIME, every=60)]), late) == [60.4, 120.4, 180.4]


def test_every_charge_counts_both_directions_alike() -> None:
    for sign in (1, -1):
        engine = TriggerEngine([order(K.EVERY_CHARGE, every=0.01)])
        assert fired_at(engine, every_second(100, charge=sign * 0.4e-3)) == [25.0, 50.0, 75.0, 100.0]


def test_the_last_line_of_a_step_fires_although_the_integral_is_a_hair_short() -> None:
    engine = TriggerEngine([order(K.EVERY_CHARGE, every=0.01)])
    assert fired_at(engine, [sample(25.0, charge=0.01 * (1 - 1e-6))]) == [25.0]


def test_every_percent_is_of_the_capacity() -> None:
    engine = TriggerEngine([order(K.EVERY_X, every=0.01)])
    assert fired_at(engine, every_second(500, charge=CAPACITY_C * 1e-4)) == [100.0, 200.0, 300.0, 400.0, 500.0]


def test_percent_without_a_capacity_fires_never() -> None:
    blind = [one._replace(fraction=None) for one in every_second(500, charge=0.01)]
    assert fired_at(TriggerEngine([order(K.EVERY_X, every=0.01)]), blind) == []


def test_a_gap_over_several_lines_fires_once() -> None:
    engine = TriggerEngine([order(K.EVERY_TIME, every=10)])
    assert fired_at(engine, [sample(1), sample(95), sample(99), sample(100)]) == [95.0, 100.0]


def test_lines_passed_while_the_condition_does_not_hold_are_not_made_up_for() -> None:
    above = Condition(of="x", side="above", value=5.0)
    engine = TriggerEngine([order(K.EVERY_X, every=0.02, condition=above)])
    assert fired_at(engine, every_second(1000, charge=CAPACITY_C * 1e-4)) == [600.0, 800.0, 1000.0]


def test_every_voltage_moves_its_line_and_wants_more_to_come_back() -> None:
    engine = TriggerEngine([order(K.EVERY_VOLTAGE, every=0.010, hysteresis_V=0.0025)])
    volts = [0.100, 0.105, 0.110, 0.100, 0.0976, 0.0974, 0.0875, 0.0975, 0.1026]
    assert fired_at(engine, [sample(t, volts=v) for t, v in enumerate(volts)]) == [2.0, 5.0, 6.0, 8.0]


def test_noise_around_a_line_fires_once() -> None:
    engine = TriggerEngine([order(K.EVERY_VOLTAGE, every=0.010, hysteresis_V=0.0025)])
    noisy = [sample(t, volts=0.1 + (0.0101 if t > 5 else 0.0) + 0.001 * (-1) ** t) for t in range(100)]
    assert len(fired_at(engine, noisy)) == 1


def test_continuously_follows_its_own_end_and_backs_off_after_a_failure() -> None:
    engine = TriggerEngine([order(K.CONTINUOUSLY)])
    assert len(engine.start(0)) == 1
    assert [engine.feed(one) for one in every_second(50)] == [[]] * 51
    assert len(engine.released(["fast"], 50 * 10**9, 50.0, ok=True)) == 1
    assert engine.released(["fast"], 60 * 10**9, 60.0, ok=False) == []
    later = [t for t in range(60, 200) if engine.feed(sample(t))]
    assert later == [60 + int(RETRY_AFTER_s)]


def test_continuously_only_while_its_condition_holds() -> None:
    high = Condition(of="x", side="above", value=80.0)
    engine = TriggerEngine([order(K.CONTINUOUSLY, condition=high)])
    ramp = every_second(100, charge=CAPACITY_C * 0.01)
    assert fired_at(engine, ramp[:85]) == [81.0]
    engine.feed(sample(86, charge=CAPACITY_C * 0.5))
    assert engine.released(["fast"], 0, 86.0, ok=True) == []


def test_n_times_from_the_start_are_back_to_back_and_n() -> None:
    engine = TriggerEngine([order(K.TIMES, count=3, from_start=True)])
    fires = len(engine.start(0))
    for t in range(1, 10):
        fires += len(engine.released(["fast"], t, float(t), ok=True))
    assert fires == 3


def test_a_failed_one_of_n_times_is_made_up_for() -> None:
    engine = TriggerEngine([order(K.TIMES, count=2, from_start=True)])
    engine.start(0)
    engine.released(["fast"], 1, 1.0, ok=False)
    assert [t for t in range(1, 100) if engine.feed(sample(t))] == [1 + int(RETRY_AFTER_s)]
    assert len(engine.released(["fast"], 40, 40.0, ok=True)) == 1
    assert engine.released(["fast"], 50, 50.0, ok=True) == []


def test_instants_fire_each_once() -> None:
    engine = TriggerEngine([order(K.LOG_SPACED, times_s=(0.0, 10.0, 31.6, 100.0))])
    assert fired_at(engine, every_second(200)) == [0.0, 10.0, 32.0, 100.0]


def test_at_x_fires_where_x_stands_and_where_it_crosses_in_either_direction() -> None:
    engine = TriggerEngine([order(K.AT_X, x=(0.0, 0.25, 0.5))])
    assert fired_at(engine, [sample(t, x=0.0009 * t) for t in range(600)]) == [0.0, 278.0, 556.0]
    down = TriggerEngine([order(K.AT_X, x=(0.25,))])
    assert fired_at(down, [sample(t, x=0.3 - 0.01 * t) for t in range(20)]) == [5.0]


def test_a_knee_fires_at_entry_and_exit_of_a_plateau() -> None:
    def volts(x: float) -> float:
        return 3.0 + 4.0 * min(x, 0.2) + 0.05 * max(0.0, min(x, 0.7) - 0.2) + 4.0 * max(0.0, x - 0.7)

    engine = TriggerEngine([order(K.KNEE)])
    xs = [0.001 * k for k in range(900)]
    at = [x for k, x in enumerate(xs) if engine.feed(sample(k, charge=x * CAPACITY_C, volts=volts(x)))]
    assert len(at) == 2
    assert 0.2 < at[0] < 0.28
    assert 0.7 < at[1] < 0.78


def test_on_demand_is_never_fired_by_samples() -> None:
    assert fired_at(TriggerEngine([order(K.ON_DEMAND)]), every_second(100)) == []


def test_the_next_likely_is_the_one_that_comes_first() -> None:
    wide = TriggerOrder(acquisition="wide", kind=K.AT_END)
    engine = TriggerEngine([order(K.EVERY_TIME, every=60), wide])
    for one in every_second(30):
        engine.feed(one)
    assert engine.next_likely(sample(30), 500.0) == "fast"
    assert engine.next_likely(sample(30), 20.0) == "wide"
    assert TriggerEngine([]).next_likely(sample(30), 20.0) is None


# ----------------------------------------------------------------------------------------------------- for all of them

KINDS = st.sampled_from([K.EVERY_TIME, K.EVERY_CHARGE, K.EVERY_X, K.EVERY_VOLTAGE])
STEPS = st.lists(st.tuples(st.floats(0.01, 20.0), st.floats(-0.02, 0.02)), min_size=1, max_size=80)


def walk(steps: list[tuple[float, float]]) -> list[Sample]:
    t, volts, samples = 0.0, 0.1, []
    for dt, dV in steps:
        t, volts = t + dt, volts + dV
        samples.append(sample(t, charge=1e-3 * t, volts=volts))
    return samples


def unit(kind: TriggerKind, lines: float) -> float:
    return {K.EVERY_TIME: lines, K.EVERY_CHARGE: 1e-3 * lines, K.EVERY_X: 1e-3 * lines / CAPACITY_C, K.EVERY_VOLTAGE: 1e-3 * lines}[kind]


@given(KINDS, st.floats(1.0, 50.0), st.floats(0.0, 20.0), STEPS)
def test_nothing_fires_within_the_guard_time(kind: TriggerKind, lines: float, guard_s: float, steps: list[tuple[float, float]]) -> None:
    engine = TriggerEngine([order(kind, every=unit(kind, lines), guard_s=guard_s, hysteresis_V=1e-3)])
    assert all(t >= guard_s for t in fired_at(engine, walk(steps)))


@given(KINDS, st.floats(1.0, 50.0), st.floats(0.0, 0.2), STEPS)
def test_nothing_fires_while_its_condition_does_not_hold(
    kind: TriggerKind, lines: float, limit_V: float, steps: list[tuple[float, float]]
) -> None:
    engine = TriggerEngine([order(kind, every=unit(kind, lines), condition=Condition(of="voltage", side="below", value=limit_V))])
    for one in walk(steps):
        if engine.feed(one):
            assert one.voltage_V < limit_V


@given(st.sampled_from([K.EVERY_TIME, K.EVERY_CHARGE, K.EVERY_X]), st.floats(1.0, 50.0), STEPS)
def test_at_dense_samples_the_number_of_fires_is_that_of_the_lines(
    kind: TriggerKind, lines: float, steps: list[tuple[float, float]]
) -> None:
    end_s = sum(dt for dt, _ in steps)
    dense = [sample(end_s * k / 2000, charge=1e-3 * end_s * k / 2000) for k in range(2001)]
    engine = TriggerEngine([order(kind, every=unit(kind, lines))])
    reached = end_s / lines
    assert math.floor(reached - 2e-3) <= len(fired_at(engine, dense)) <= math.floor(reached + 2e-3)


@given(KINDS, st.floats(1.0, 50.0), STEPS)
def test_one_trigger_fires_at_most_once_a_sample(kind: TriggerKind, lines: float, steps: list[tuple[float, float]]) -> None:
    engine = TriggerEngine([order(kind, every=unit(kind, lines))])
    assert all(len(engine.feed(one)) <= 1 for one in walk(steps))


@pytest.mark.parametrize("kind", list(TriggerKind))
def test_no_kind_breaks_on_a_voltage_that_is_no_number(kind: TriggerKind) -> None:
    engine = TriggerEngine([order(kind, every=1.0, count=2, times_s=(1.0,), x=(0.5,))])
    engine.start(0)
    for t in range(20):
        engine.feed(sample(t, volts=math.nan, charge=0.1 * t))
    engine.end(0)
