"""Rows in, samples and reasons out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.base import GARBLED, EndConditions, Limits, Mode, PotentiostatEvent, Reason, SampleBlock, StepOrder, StepStarted
from drivers.neware.running import CyclerStep
from drivers.neware.steps import plan_of
from drivers.stream.rows import Row
from drivers.stream.running import astray
from drivers.stream.samples import Outbox

S = 1_000_000_000
LIMITS = Limits(voltage_upper_V=4.4, voltage_lower_V=2.3, current_A=1e-3, charge_C=18.0, time_s=50_000.0)
CHARGE = StepOrder("s1", Mode.GALVANOSTATIC, EndConditions(60.0, 4.2, 2.5), LIMITS, current_A=5e-4)
HOLD = StepOrder("s1", Mode.POTENTIOSTATIC, EndConditions(60.0, charge_C=0.02, current_below_A=5e-5), LIMITS, voltage_V=4.2)
REST = StepOrder("s1", Mode.REST, EndConditions(60.0, voltage_upper_V=3.9, voltage_lower_V=2.5), LIMITS)


def rows(*points: tuple[float, float, float], first: int = 1) -> tuple[Row, ...]:
    """Time, voltage, current; the charge is what passed at the last current."""
    return tuple(Row(t, volts, amps, abs(amps) * t, first + n) for n, (t, volts, amps) in enumerate(points))


def after(order: StepOrder, *points: tuple[float, float, float], **known: Any) -> CyclerStep:
    step = CyclerStep(order.key, plan_of(order), Outbox(), 0, **known)
    step.belongs(7)
    for n, row in enumerate(rows(*points)):
        step.take((row,), (round(row.time_s * S) if math.isfinite(row.time_s) else 0) + n % 3 * 1_000_000)
    return step


async def told(step: CyclerStep) -> list[PotentiostatEvent]:
    step._outbox.close()
    return [event async for event in step._outbox.stream()]


def why(step: CyclerStep, status: str = "finish") -> Reason:
    return step.verdict(status, 100 * S)[0]


@pytest.mark.parametrize(
    ("order", "points", "status", "reason"),
    [
        (CHARGE, [(59.0, 3.5, 5e-4), (60.0, 3.5, 5e-4)], "finish", Reason.TIME),
        (CHARGE, [(9.0, 4.1, 5e-4), (9.4, 4.2, 5e-4)], "finish", Reason.V_UPPER),
        (replace(CHARGE, current_A=-5e-4), [(9.0, 2.6, -5e-4), (9.4, 2.4999, -5e-4)], "finish", Reason.V_LOWER),
        (CHARGE, [(9.0, 2.49, 5e-4)], "protect", Reason.V_LOWER),
        (CHARGE, [(9.0, 4.5, 5e-4)], "protect", Reason.SAFETY),
        (CHARGE, [(9.0, 3.5, 2e-3)], "protect", Reason.SAFETY),
        (CHARGE, [(9.0, 3.5, 5e-4)], "stop", Reason.LOST),
        (CHARGE, [(9.0, 3.5, 5e-4)], "finish", Reason.LOST),
        (CHARGE, [(8.0, 4.0, 5e-4), (9.0, 4.15, 5e-4)], "finish", Reason.V_UPPER),
        (CHARGE, [], "finish", Reason.V_UPPER),
        (HOLD, [(9.0, 4.2, 5e-5)], "finish", Reason.CURRENT),
        (HOLD, [(9.0, 4.2, 8e-5)], "finish", Reason.CURRENT),
        (HOLD, [(30.0, 4.2, 7e-4)], "protect", Reason.CHARGE),
        (HOLD, [(60.0, 4.2, 3e-4)], "finish", Reason.TIME),
        (REST, [(60.0, 3.5, 0.0)], "finish", Reason.TIME),
    ],
)
def test_the_last_rows_say_why(order: StepOrder, points: list[tuple[float, float, float]], status: str, reason: Reason) -> None:
    assert why(after(order, *points), status) is reason


def test_a_step_of_which_nothing_was_seen_never_ran() -> None:
    step = CyclerStep("s1", plan_of(CHARGE), Outbox(), 0, before=6)
    assert not step.belongs(6)
    assert why(step) is Reason.DEVICE_ERROR
    assert step.belongs(7)
    assert not step.belongs(8)


@pytest.mark.parametrize(
    ("order", "points", "reason"),
    [
        (CHARGE, [(1.0, 3.5, -5e-4), (2.0, 3.5, -5e-4)], Reason.DEVICE_ERROR),
        (CHARGE, [(1.0, 3.5, 5e-3), (2.0, 3.5, 5e-3)], Reason.DEVICE_ERROR),
        (CHARGE, [(1.0, 4.3, 5e-4), (2.0, 4.31, 5e-4)], Reason.V_UPPER),
        (CHARGE, [(1.0, 4.3, 5e-4)], None),
        (HOLD, [(30.0, 4.2, 7e-4)], Reason.CHARGE),
        (REST, [(1.0, 3.95, 0.0)], Reason.V_UPPER),
        (REST, [(1.0, 2.4, 0.0)], Reason.V_LOWER),
        (CHARGE, [(1.0, 3.5, 5e-4)], None),
    ],
)
def test_what_this_program_ends_it_for(order: StepOrder, points: list[tuple[float, float, float]], reason: Reason | None) -> None:
    found = after(order, *points).to_be_ended(3 * S)
    assert (found[0] if found else None) is reason


def test_a_step_that_goes_on_beyond_its_time_is_ended_but_not_one_whose_rows_are_late() -> None:
    step = after(CHARGE, (58.0, 3.5, 5e-4))
    assert step.to_be_ended(66 * S) is None
    assert step.to_be_ended(68 * S) is not None
    step.stands = True
    assert step.to_be_ended(68 * S) is None


def test_astray() -> None:
    assert not astray(5e-4, -1e-7)
    assert not astray(5e-4, 6e-4)
    assert astray(5e-4, 8e-4)
    assert astray(-5e-4, 5e-4)


async def test_samples_are_on_our_clock_with_the_instruments_own_charge() -> None:
    step = after(replace(CHARGE, current_A=-5e-4), (0.0, 3.6, -5e-4), (1.0, 3.5, -5e-4), (2.0, 3.4, -5e-4))
    events = await told(step)
    blocks = [event for event in events if isinstance(event, SampleBlock)]
    assert isinstance(events[0], StepStarted)
    assert np.concatenate([block.mono_ns for block in blocks]).tolist() == [0, S, 2 * S]
    assert np.concatenate([block.aux["charge_C"] for block in blocks]).tolist() == pytest.approx([0.0, -5e-4, -1e-3])


async def test_rows_out_of_order_are_counted_and_no_samples() -> None:
    step = after(CHARGE, (1.0, 3.5, 5e-4), (1.0, 3.5, 5e-4), (math.nan, 3.5, 5e-4), (2.0, math.nan, 5e-4))
    blocks = [event for event in await told(step) if isinstance(event, SampleBlock)]
    assert sum(len(block) for block in blocks) == 2
    assert blocks[0].aux[GARBLED][-1] == 2
    status = blocks[-1].status
    assert status is not None
    assert status[-1] == 1


def test_the_clients_own_time_holds_where_rows_come_late() -> None:
    step = CyclerStep("s1", plan_of(CHARGE), Outbox(), 0, test=7)
    for second in range(1, 200):
        step.at(float(second), second * S)
        step.take(rows((float(second), 3.5, 5e-4), first=second), (second + 30) * S)
    assert abs(step.last_mono_ns - 199 * S) < S
