"""Rows in, events out: times, charge, and why a step ended."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from biologic_bench import LIMITS, step

from drivers.base import ImpedanceOrder, ImpedanceSpectrum, Mode, Reason, SampleBlock, StepEnded, StepStarted
from drivers.biologic.running import BioLogicStep
from drivers.biologic.techniques import plan_of
from drivers.stream.rows import Point, Row
from drivers.stream.running import astray
from drivers.stream.samples import Outbox

S = 10**9
BEGUN_NS = 1000 * S


def begun(order: Any = None, **changes: Any) -> tuple[BioLogicStep, Outbox]:
    outbox = Outbox()
    running = BioLogicStep("step-1", plan_of(order or step()), outbox, BEGUN_NS, **changes)
    running.seen_running = True
    return running, outbox


def told(outbox: Outbox) -> list[Any]:
    async def all_of() -> list[Any]:
        outbox.close()
        return [event async for event in outbox.stream()]

    return asyncio.run(all_of())


def rows(*volts: float, current_A: float = 5e-4, every_s: float = 1.0) -> tuple[Row, ...]:
    return tuple(Row(number * every_s, voltage_V, current_A) for number, voltage_V in enumerate(volts))


def why(running: BioLogicStep, at_s: float = 10.0) -> tuple[Reason, int]:
    reason, _, end_ns = running.why(BEGUN_NS + round(at_s * S))
    return reason, end_ns


def test_samples_lie_on_the_smallest_delay_and_never_go_back() -> None:
    running, outbox = begun()
    for second, late_ms in enumerate((300, 5, 200, 2, 0)):
        running.take((Row(second, 3.7, 5e-4),), BEGUN_NS + second * S + late_ms * 10**6)
    started, *blocks = told(outbox)
    assert isinstance(started, StepStarted)
    mono_ns = np.concatenate([block.mono_ns for block in blocks])
    assert mono_ns.tolist() == [BEGUN_NS + second * S for second in range(5)]
    assert np.concatenate([block.aux["charge_C"] for block in blocks])[-1] == pytest.approx(2e-3)
    assert all(block.half_width_ns >= 10**6 for block in blocks)


def test_a_clock_200_ppm_off_is_followed() -> None:
    for ppm in (200, -200):
        running, outbox = begun()
        for second in range(3000):
            running.take((Row(second * (1 + ppm * 1e-6), 3.7, 5e-4),), BEGUN_NS + second * S + 2 * 10**6)
        blocks = [event for event in told(outbox) if isinstance(event, SampleBlock)]
        assert abs(int(blocks[-1].mono_ns[-1]) - (BEGUN_NS + 2999 * S)) < 30 * 10**6


def test_rows_that_came_before_or_are_none_are_counted_not_shown() -> None:
    running, outbox = begun()
    running.take(
        (Row(1.0, 3.7, 5e-4), Row(1.0, 3.7, 5e-4), Row(0.5, 3.7, 5e-4), Row(math.nan, 3.7, 5e-4), Row(2.0, math.nan, 5e-4)), BEGUN_NS
    )
    assert (running.samples, running.refused) == (2, 3)
    blocks = [event for event in told(outbox) if isinstance(event, SampleBlock)]
    status = np.concatenate([np.asarray(block.status) for block in blocks])
    assert status.tolist() == [0, 1]  # the second is not a number


def test_a_step_that_nobody_saw_begin_is_said_with_its_first_sample() -> None:
    running, outbox = begun(shown=False)
    assert running.shown is False
    running.take(rows(3.7), BEGUN_NS)
    assert [type(event) for event in told(outbox)] == [StepStarted, SampleBlock]


@pytest.mark.parametrize(
    ("order", "came", "reason"),
    [
        (step(ends={"voltage_upper_V": 4.2}), rows(4.0, 4.1, 4.2001), Reason.V_UPPER),
        (step(ends={"voltage_upper_V": 4.2}), rows(4.0, 4.1, 4.19), Reason.V_UPPER),  # the next one would have been beyond
        (step(current_A=-5e-4, ends={"voltage_lower_V": 2.5}), rows(2.7, 2.6, 2.49), Reason.V_LOWER),
        (step(), rows(4.1, 4.2, 4.31), Reason.SAFETY),
        (step(ends={"charge_C": 1e-3}), rows(3.7, 3.7, 3.7), Reason.CHARGE),
        (step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"current_below_A": 5e-5}), rows(4.2, 4.2, current_A=5e-5), Reason.CURRENT),
        (step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"current_below_A": 5e-5}), rows(4.2, 4.2, current_A=-4e-5), Reason.CURRENT),
        (step(Mode.POTENTIOSTATIC, voltage_V=4.2), rows(4.2, current_A=1e-3), Reason.SAFETY),
        (step(), rows(3.7, 3.7001, 3.7002), Reason.LOST),
    ],
)
def test_why_it_stopped(order: Any, came: tuple[Row, ...], reason: Reason) -> None:
    running, _ = begun(order)
    running.take(came, BEGUN_NS + 2 * S)
    assert why(running)[0] is reason


def test_a_step_whose_time_was_over_ended_then() -> None:
    order = replace(step(), ends=replace(step().ends, time_s=7.0))
    running, outbox = begun(order)
    running.take(rows(*[3.7] * 7), BEGUN_NS + 6 * S)
    assert why(running, 7.4) == (Reason.TIME, BEGUN_NS + 7 * S)
    running.end(Reason.TIME, "", BEGUN_NS + 7 * S, BEGUN_NS + 8 * S)
    assert told(outbox)[-1].mono_ns == BEGUN_NS + 7 * S


def test_what_the_instrument_complains_about_is_the_reason_where_no_bound_was_met() -> None:
    for volts, reason in ((4.19, Reason.DEVICE_ERROR), (4.2, Reason.V_UPPER)):
        running, _ = begun(step(ends={"voltage_upper_V": 4.2}))
        running.take(rows(4.1, volts), BEGUN_NS)
        running.trouble = "option error 2"
        assert why(running)[0] is reason


def test_a_step_that_waits_for_its_trigger_begins_with_its_first_sample() -> None:
    running, outbox = begun(waits=True)
    assert running.to_be_ended(BEGUN_NS + 10**6 * S) is None
    assert why(running)[0] is Reason.LOST
    running.take((Row(0.5, 3.7, 5e-4),), BEGUN_NS + 7200 * S)
    started, block = told(outbox)
    assert started.mono_ns == BEGUN_NS + 7200 * S - S // 2
    assert block.mono_ns.tolist() == [BEGUN_NS + 7200 * S]
    assert running.to_be_ended(BEGUN_NS + 10_000 * S) is None
    assert running.to_be_ended(BEGUN_NS + 11_000 * S) is not None


def test_a_step_without_a_sample() -> None:
    running, _ = begun(step(ends={"voltage_upper_V": 4.2}))
    assert why(running)[0] is Reason.V_UPPER  # it ran, and was at its limit before it wrote anything down
    running.seen_running = False
    assert why(running)[0] is Reason.DEVICE_ERROR


def test_the_host_ends_what_the_instrument_does_not() -> None:
    soon = BEGUN_NS + 5 * S
    running, _ = begun()
    running.take(rows(3.7, current_A=-5e-4), BEGUN_NS)
    assert running.to_be_ended(soon) is None  # one sample may be noise
    running.take((Row(9.0, 3.7, -5e-4),), BEGUN_NS + 9 * S)  # the current flows the other way
    assert running.to_be_ended(soon)[0] is Reason.DEVICE_ERROR  # type: ignore[index]
    held, _ = begun(step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"charge_C": 1e-3}))
    held.take(rows(4.2, 4.2, 4.2), BEGUN_NS)
    assert held.to_be_ended(soon)[0] is Reason.CHARGE  # type: ignore[index]
    resting, _ = begun(step(Mode.REST, ends={"voltage_lower_V": 3.0}))
    resting.take(rows(3.1, 2.9), BEGUN_NS)
    assert resting.to_be_ended(soon)[0] is Reason.V_LOWER  # type: ignore[index]
    beyond, _ = begun(step(ends={"voltage_upper_V": 4.2}))
    beyond.take(rows(4.21), BEGUN_NS)
    assert beyond.to_be_ended(soon) is None
    beyond.take((Row(9.0, 4.21, 5e-4),), BEGUN_NS + 9 * S)
    assert beyond.to_be_ended(soon)[0] is Reason.V_UPPER  # type: ignore[index]
    endless, _ = begun()
    assert endless.to_be_ended(BEGUN_NS + 3606 * S) is None
    assert endless.to_be_ended(BEGUN_NS + 3608 * S)[0] is Reason.TIME  # type: ignore[index]


@pytest.mark.parametrize(
    ("asked_A", "current_A", "wrong"),
    [
        (5e-4, 5.1e-4, False),
        (5e-4, 0.0, False),  # at its compliance, or not yet begun
        (5e-4, -5e-4, True),
        (5e-4, 0.5, True),  # a decimal point read otherwise
        (-5e-4, -0.5, True),
        (-5e-4, -4.9e-4, False),
        (1e-8, -3e-8, False),  # noise of the range
        (5e-4, math.nan, False),
    ],
)
def test_a_current_that_was_not_asked_for(asked_A: float, current_A: float, wrong: bool) -> None:
    assert astray(asked_A, current_A) is wrong


def test_a_charge_that_nobody_knows_ends_nothing() -> None:
    running, _ = begun(step(Mode.POTENTIOSTATIC, voltage_V=4.2, ends={"charge_C": 1e-3}), charge_C=math.nan)
    running.take(rows(4.2, 4.2, 4.2), BEGUN_NS)
    assert math.isnan(running.charge_C)
    assert running.to_be_ended(BEGUN_NS + 5 * S) is None


def test_a_sweep_is_one_spectrum_before_its_end() -> None:
    order = step(Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(100.0, 1.0, 2, amplitude_A=1e-4), limits=LIMITS)
    running, outbox = begun(order)
    running.take(
        (Point(0.1, 3.7, 0.0, frequency_Hz=100.0, impedance_ohm=10 - 1j), Point(1.0, 3.7, 0.0, frequency_Hz=1.0, impedance_ohm=20 - 3j)),
        BEGUN_NS + 2 * S,
    )
    reason, detail, end_ns = running.why(BEGUN_NS + 3 * S)
    running.end(reason, detail, end_ns, BEGUN_NS + 3 * S)
    *_, spectrum, ended = told(outbox)
    assert isinstance(spectrum, ImpedanceSpectrum)
    assert spectrum.impedance_ohm.tolist() == [10 - 1j, 20 - 3j]
    assert isinstance(ended, StepEnded)
    assert (ended.reason, ended.last_of_program) == (Reason.TIME, True)


def test_a_broken_off_sweep_is_no_complete_one() -> None:
    order = step(Mode.IMPEDANCE, current_A=None, impedance=ImpedanceOrder(100.0, 1.0, 5, amplitude_A=1e-4))
    running, _ = begun(order)
    high, low = (Point(s, 3.7, 0.0, frequency_Hz=f, impedance_ohm=z) for s, f, z in ((0.1, 100.0, 10 - 1j), (1.0, 1.0, 20 - 3j)))
    running.take((high, low), BEGUN_NS + 2 * S)
    assert why(running)[0] is Reason.LOST
