"""Ring 1 kept by the host alone, and samples that are no number: whole nights on the simulated pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.base import EndConditions, Mode, SampleBlock, StepOrder

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: first-ring
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.9, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
protocol:
  - Rest for 1 minute
"""
UNTIL = {
    "time": "  - Plate working at 1 mA/cm2 for 3 minutes\n",
    "charge": "  - {current_mA: -0.4, until: {charge_mAh: 0.01, time_h: 1}}\n",
    "v_lower": "  - {current_mA: -0.8, until: {voltage_V: -0.04, time_h: 1}}\n",
    "current": "  - Hold at -0.02 V until 0.3 mA or 30 minutes\n",
}


# half of what the second ring allows in time; elsewhere 5 s, and what passes meanwhile of 1 % or 2 mV
LATE_S = {"time": 40.0, "charge": 12.0, "v_lower": 12.0, "current": 30.0}


def fired(night: Any) -> list[str]:
    return [event.data["rule"] for event in night.of("rule.fired")]


def ended(night: Any) -> Any:
    return night.of("step.ended")[-1].data


# ------------------------------------------------------------------------------------------------------------- the cut-off


def endless_order(order: StepOrder) -> StepOrder:
    """A step under current that knows no end but a very late one."""
    return order if order.mode is Mode.REST else replace(order, ends=EndConditions(order.ends.time_s * 3 + 600.0))


def deaf(night: Any) -> None:
    """An instrument that ends nothing by itself but a rest."""
    load = night.potentiostat.load

    async def endless(program: Any) -> None:
        await load(tuple(endless_order(order) for order in program))

    night.potentiostat.load = endless


@pytest.mark.parametrize("reason", list(UNTIL))
def test_the_host_ends_a_step_that_the_instrument_would_not(live: Live, reason: str) -> None:
    whole, alone = live(HEAD + UNTIL[reason]), live(HEAD + UNTIL[reason], before=deaf)
    assert (ended(whole)["reason"], ended(alone)["reason"]) == (reason, reason)
    assert alone.outcome.exit_code == 0
    late_s = alone.seconds(alone.of("step.ended")[-1]) - whole.seconds(whole.of("step.ended")[-1])
    assert 0.0 <= late_s < LATE_S[reason]
    assert (fired(whole), fired(alone)) == ([], ["step cut-off"])
    assert alone.of("rule.fired")[0].data["where"] == reason
    assert alone.of("alarm.raised", id="end-not-kept")[0].data["level"] == "warn"


def test_a_step_that_never_comes_to_its_other_ends_has_its_full_time(live: Live) -> None:
    """The honest cell: noise near an end is not the end, and what was not reached cuts nothing off."""
    night = live(HEAD + "  - {current_mA: -0.4, until: {voltage_V: -0.4, charge_mAh: 0.1, time_h: 0.1}}\n")
    began = night.of("step.started")[-1]
    assert ended(night)["reason"] == "time"
    assert (night.of("step.ended")[-1].mono_ns - began.mono_ns) / 1e9 == pytest.approx(360.0, abs=1.5)


# -------------------------------------------------------------------------------------------------------------- unreadable


def unreadable(night: Any, first: int, how_many: int, column: str) -> None:
    """From one sample of the night on, so many of which nobody can read the voltage or the current."""
    stream, seen = night.potentiostat.events(), 0

    async def spoilt() -> Any:
        nonlocal seen
        async for event in stream:
            if isinstance(event, SampleBlock):
                numbers = np.arange(seen, seen + len(event))
                seen += len(event)
                bad = (numbers >= first) & (numbers < first + how_many)
                yield replace(event, **{column: np.where(bad, math.nan, getattr(event, column))})
            else:
                yield event

    night.potentiostat.events = spoilt


@pytest.mark.parametrize("column", ["voltage_V", "current_A"])
def test_three_samples_that_are_no_number_open_the_circuit(live: Live, column: str) -> None:
    night = live(HEAD + UNTIL["time"], before=lambda night: unreadable(night, 90, 10_000, column))
    assert fired(night) == ["unreadable samples"]
    assert night.of("cell.state")[-1].data["cell"] == "off"
    assert night.outcome.exit_code == 4
    (alarm,) = night.of("alarm.raised", id="limit")
    assert alarm.data["level"] == "critical"
    assert "no valid reading for 3 samples" in alarm.data["text"]
    fired_s, spoilt_s = (night.seconds(night.of(kind)[0]) for kind in ("rule.fired", "step.started"))
    assert 90.0 - 1.0 < fired_s - spoilt_s < 90.0 + 10.0


@pytest.mark.parametrize("column", ["voltage_V", "current_A"])
def test_two_samples_that_are_no_number_are_honest(live: Live, column: str) -> None:
    """A range that changes, a line that was garbled: the cell goes on, and the file shows that they were not read."""
    night = live(HEAD + UNTIL["time"], before=lambda night: unreadable(night, 90, 2, column))
    assert fired(night) == []
    assert night.outcome.exit_code == 0
    assert ended(night)["reason"] == "time"
