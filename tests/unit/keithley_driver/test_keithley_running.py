"""Readings in, samples and reasons out; the instrument's clock against ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from drivers.base import EndConditions, Limits, Mode, PotentiostatEvent, Reason, SampleBlock, StepOrder
from drivers.keithley import wire
from drivers.keithley.models import MODELS, Options
from drivers.keithley.running import TriggeredStep
from drivers.keithley.setup import setup_of
from drivers.keithley.timing import LEAST_HALF_WIDTH_NS, WINDOW, BeatAlignment
from drivers.stream.samples import Outbox

S = 1_000_000_000
EPOCH_NS = 1_700_000_000 * S
SYMMETRIC = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=5e-4, charge_C=0.432, time_s=1e4)
FULL = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=1e-3, charge_C=0.5, time_s=1e5)
PLATE = StepOrder("plate", Mode.GALVANOSTATIC, EndConditions(60.0, 0.45, -0.45), SYMMETRIC, current_A=-4e-4)
CHARGE = StepOrder("charge", Mode.GALVANOSTATIC, EndConditions(60.0, 4.2), FULL, current_A=5e-4)
HOLD = StepOrder("hold", Mode.POTENTIOSTATIC, EndConditions(60.0, charge_C=2e-3, current_below_A=5e-5), FULL, voltage_V=4.2)
REST = StepOrder("rest", Mode.REST, EndConditions(60.0), FULL)


def running(order: StepOrder, options: Options | None = None) -> TriggeredStep:
    setup = setup_of(order, MODELS["2450"], options or Options())
    return TriggeredStep(setup.tag, Outbox(), setup)


def row(second: float, read: float, source: float, status: int = 8, source_status: int = 200) -> wire.Row:
    return wire.Row(read, source, status, source_status, EPOCH_NS + round(second * S))


def after(order: StepOrder, *rows: wire.Row, options: Options | None = None) -> TriggeredStep:
    step = running(order, options)
    for one in rows:
        step.take((one,), one.device_ns - EPOCH_NS + 5 * S)
    return step


def blocks(step: TriggeredStep) -> list[SampleBlock]:
    step.outbox.close()

    async def collect() -> list[PotentiostatEvent]:
        return [event async for event in step.outbox.stream()]

    import asyncio

    return [event for event in asyncio.run(collect()) if isinstance(event, SampleBlock)]


# -------------------------------------------------------------------------------------------------------------- reasons

ROWS = {
    "upper": (PLATE, [row(0, 0.1, -4e-4), row(1, 0.46, -4e-4)], Reason.V_UPPER),
    "lower": (PLATE, [row(0, -0.1, -4e-4), row(1, -0.46, -4e-4)], Reason.V_LOWER),
    "ring 2": (PLATE, [row(0, -0.1, -4e-4), row(1, -0.61, -4e-4)], Reason.SAFETY),
    "overflow": (PLATE, [row(0, -0.1, -4e-4), row(1, math.nan, -4e-4)], Reason.SAFETY),
    "time": (PLATE, [row(0, -0.1, -4e-4), row(60, -0.1, -4e-4)], Reason.TIME),
    "watchdog": (PLATE, [row(0, -0.1, -4e-4), row(31, -0.1, -4e-4)], Reason.LOST),
    "over-voltage": (PLATE, [row(0, -0.1, -4e-4, source_status=204)], Reason.DEVICE_ERROR),
    "too hot": (PLATE, [row(0, -0.1, -4e-4, source_status=216)], Reason.DEVICE_ERROR),
    "nothing": (PLATE, [], Reason.DEVICE_ERROR),
    "target": (CHARGE, [row(0, 5e-4, 3.9), row(1, 4.6e-4, 4.1995)], Reason.V_UPPER),
    "not the target": (CHARGE, [row(0, 5e-4, 3.9), row(1, 4e-4, 3.9)], Reason.DEVICE_ERROR),
    "taper": (HOLD, [row(0, 5e-4, 4.2), row(1, 4.9e-5, 4.2)], Reason.CURRENT),
    "hold over": (HOLD, [row(0, 5e-4, 4.2), row(60, 3e-4, 4.2)], Reason.TIME),
}


@pytest.mark.parametrize("name", ROWS)
def test_why_it_ended(name: str) -> None:
    order, rows, reason = ROWS[name]
    step = running(order)
    for one in rows:
        step.fetched_all = False  # not every beat stands here
        step.take((one,), one.device_ns - EPOCH_NS + 5 * S)
    assert step.why("IDLE")[0] is reason


def test_charge_that_the_instrument_kept_as_a_time() -> None:
    order = replace(PLATE, ends=EndConditions(60.0, 0.45, -0.45, charge_C=8e-3))
    step = after(order, *(row(second, -0.1, -4e-4) for second in range(21)))
    assert step.why("IDLE")[0] is Reason.CHARGE


def test_a_cut_off_on_the_limit_is_a_cut_off() -> None:
    order = replace(PLATE, ends=EndConditions(60.0, 0.6, -0.6))
    assert after(order, row(0, 0.61, -4e-4)).why("IDLE")[0] is Reason.V_UPPER


def test_a_lower_limit_counts_once_it_is_armed() -> None:
    order = replace(CHARGE, limits=replace(FULL, voltage_lower_armed_above_V=3.0))
    low, high = row(0, 1.0, 5e-4), row(1, 3.1, 5e-4)
    assert after(order, low).why("IDLE")[0] is Reason.LOST
    assert after(order, low, high, row(2, 2.3, 5e-4)).why("IDLE")[0] is Reason.SAFETY


def test_what_only_the_host_sees_is_ended_by_the_host() -> None:
    step = after(HOLD, *(row(second, 5e-4, 4.2) for second in range(4)))
    assert step.reached(9 * S) is None
    step.take((row(4, 5e-4, 4.2),), 9 * S)
    reached = step.reached(9 * S)
    assert reached is not None
    assert reached[0] is Reason.CHARGE
    assert after(PLATE, row(0, 0.5, -4e-4)).reached(5 * S) is None, "a current source watches its voltage by itself"
    lifted = after(CHARGE, row(0, 5e-4, 2.3)).reached(5 * S)
    assert lifted is not None
    assert lifted[0] is Reason.SAFETY


def test_the_host_ends_a_step_at_its_very_time() -> None:
    step = after(PLATE, *(row(1.0033 * n, -0.1, -4e-4) for n in range(60)))
    assert step.reached(65 * S - 1) is None
    assert step.reached(65 * S) == (Reason.TIME, "60 s")


def test_a_model_that_stands_still_is_ended() -> None:
    step = after(PLATE, row(0, -0.1, -4e-4), row(1, -0.1, -4e-4))
    assert step.reached(11 * S) is None
    stalled = step.reached(12 * S)
    assert stalled is not None
    assert stalled[0] is Reason.DEVICE_ERROR


# -------------------------------------------------------------------------------------------------------------- samples


def test_which_is_voltage_and_which_is_current() -> None:
    for order, one in ((PLATE, row(0, -0.1, -4e-4)), (CHARGE, row(0, 5e-4, 3.9))):
        (block,) = blocks(after(order, one))
        assert sorted((float(block.voltage_V[0]), float(block.current_A[0]))) == sorted((one.read, one.source))
        assert abs(block.current_A[0]) < 1e-3 < abs(block.voltage_V[0])


def test_a_rest_has_no_current_unless_it_has() -> None:
    found = [float(block.current_A[0]) for block in blocks(after(REST, row(0, 3.5, 2e-8), row(1, 3.5, -3e-7)))]
    assert found == [0.0, -3e-7]


@pytest.mark.parametrize(
    ("order", "one", "status"),
    [
        (PLATE, row(0, -0.1, -4e-4), 0),
        (PLATE, row(0, -0.1, -4e-4, source_status=232), wire.LIMITED),
        (CHARGE, row(0, 5e-4, 3.9, source_status=232), 0),
        (PLATE, row(0, -0.1, -4e-4, status=9), wire.QUESTIONABLE),
        (PLATE, row(0, math.nan, -4e-4), wire.QUESTIONABLE),
    ],
)
def test_the_status_word_is_zero_when_all_is_well(order: StepOrder, one: wire.Row, status: int) -> None:
    (block,) = blocks(after(order, one))
    assert block.status is not None
    assert block.status[0] == status


def test_blocks_hold_at_most_a_second() -> None:
    step = running(replace(PLATE, sample_interval_s=0.1))
    step.take(tuple(row(n / 10, -0.1, -4e-4) for n in range(25)), 10 * S)
    assert [len(block) for block in blocks(step)] == [10, 10, 5]


def test_a_reading_that_comes_twice_is_no_sample() -> None:
    assert sum(len(block) for block in blocks(after(PLATE, row(0, 0, 0), row(1, 0, 0), row(1, 0, 0), row(2, 0, 0)))) == 3


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_somebody_sets_moves_no_sample(step_s: float) -> None:
    order = replace(HOLD, ends=EndConditions(60.0))
    step = running(order)
    for second in range(20):
        shown = second + (step_s if second >= 10 else 0.0)
        step.take((row(shown, 5e-4, 4.2),), (second + 5) * S)
    assert step.elapsed_ms == pytest.approx(19_000.0)
    assert step.charge_C == pytest.approx(19 * 5e-4)
    mono_ns = np.concatenate([block.mono_ns for block in blocks(step)])
    assert np.all(np.diff(mono_ns) == S)


# ----------------------------------------------------------------------------------------------------------------- time


def aligned(delays_ns: Iterable[int], skew_ppm: float = 0.0) -> BeatAlignment:
    alignment = BeatAlignment()
    for n, delay_ns in enumerate(delays_ns):
        device_ns = round(n * S * (1 + skew_ppm / 1e6))
        alignment.seen(device_ns, n * S + delay_ns)
        alignment.place(device_ns)
    return alignment


def test_the_smallest_delay_is_nearest_to_the_truth() -> None:
    assert aligned([50_000_000, 3_000_000, 40_000_000]).offset_ns == pytest.approx(3_000_000, abs=600_000), "as old as it is"


def test_bounds_from_both_sides() -> None:
    alignment = aligned([50_000_000])
    assert alignment.half_width_ns == LEAST_HALF_WIDTH_NS
    alignment.not_yet(0, 20_000_000)
    assert alignment.half_width_ns == pytest.approx(30_000_000, abs=20_000)
    alignment.seen(S, S + 30_000_000)
    assert alignment.half_width_ns == pytest.approx(10_000_000, abs=600_000)


@pytest.mark.parametrize("skew_ppm", [200.0, -200.0])
def test_a_bound_that_nobody_renews_does_not_hold_a_clock_that_walks_away(skew_ppm: float) -> None:
    """Once, long ago, a reading was not there yet: from then on only the other bound is renewed."""
    alignment = aligned([1_000_000])
    alignment.not_yet(0, 500_000)
    for n in range(1, 3600):
        device_ns = round(n * S * (1 + skew_ppm / 1e6))
        alignment.seen(device_ns, n * S + 1_000_000)
    true_ns = 3599 * S - round(3599 * S * (1 + skew_ppm / 1e6))
    assert alignment.offset_ns - alignment.half_width_ns <= true_ns <= alignment.offset_ns


def test_a_skewed_clock_does_not_walk_away() -> None:
    alignment = aligned([1_000_000] * 3600, skew_ppm=200.0)
    assert abs(alignment.last_mono_ns - 3599 * S) < (WINDOW * 200_000 + 2_000_000)


def test_samples_never_go_back() -> None:
    alignment = BeatAlignment()
    alignment.seen(0, 90_000_000)
    first = alignment.place(0)
    alignment.seen(10_000_000, 11_000_000)
    assert alignment.place(10_000_000) == first + 1
