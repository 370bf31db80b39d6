"""DA/dQ as it is told live: within one step, under current, each with its standard error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.live import LiveAnalysis
from orchestrator.analysis.slopes import SLOPE_FROM, SLOPE_OVER, Slopes
from orchestrator.model.events import Event

SD = 0.02


def told(slopes: Slopes, charges_mAh: Iterable[float], areas: Iterable[float], step: str = "s0001", current_A: float = 4e-4) -> list[Any]:
    """What each of these spectra lets us know."""
    return [
        slopes.of(
            [("area(moss)", float(area), SD, "", "x"), ("area(electrolyte)", 5.0, SD, "", "x"), ("phase(moss)", 1.0, 1.0, "deg", "x")],
            "fast",
            {"current_A": current_A, "charge_step_mAh": float(charge), "step_key": step},
        )
        for charge, area in zip(charges_mAh, areas, strict=True)
    ]


def test_the_slope_of_a_metal_is_told_with_its_standard_error() -> None:
    charges = np.linspace(0.0, 1.0, 20)
    found = told(Slopes(), charges, 3.0 * charges)
    assert [len(each) for each in found[: SLOPE_FROM - 1]] == [0] * (SLOPE_FROM - 1)
    ((name, value, sd, unit, _),) = found[-1]
    assert (name, unit) == ("slope(moss)", "1/mAh")
    assert value == pytest.approx(3.0)
    last = charges[-SLOPE_OVER:]
    assert sd == pytest.approx(SD / np.sqrt(((last - last.mean()) ** 2).sum()))


def test_a_new_step_begins_anew_and_its_parts_do_not() -> None:
    slopes, charges = Slopes(), np.linspace(0.0, 1.0, SLOPE_FROM)
    told(slopes, charges, 3.0 * charges)
    assert told(slopes, [1.1], [3.3], step="s0001.w1")[0], "a part of the same step"
    found = told(slopes, charges, -2.0 * charges, step="s0002")
    assert [len(each) for each in found[:-1]] == [0] * (SLOPE_FROM - 1)
    assert found[-1][0][1] == pytest.approx(-2.0)


def test_without_current_nothing_is_plated() -> None:
    assert not any(told(Slopes(), np.linspace(0.0, 1.0, 12), np.linspace(0.0, 1.0, 12), current_A=0.0))


def test_an_overpotential_is_without_what_the_leads_take() -> None:
    live = LiveAnalysis()
    live.feed(Event(1, 0, 0, "run.started", {"origin_mono_ns": 0, "plan": {"cell": {"type": "symmetric"}, "lead_ohm": 50.0}}))
    area, context = ("area(moss)", 1.0, 0.1, "", "x"), {"current_A": -4e-4, "voltage_V": -0.12}
    ((name, value, _, unit, _),) = live._overpotential([area], context)
    assert (name, unit) == ("overpotential", "V")
    assert value == pytest.approx(0.12 - 4e-4 * 50.0)
    assert live._overpotential([area], context | {"current_A": 0.0}) == []
    assert live._overpotential([("area(electrolyte)", 1.0, 0.1, "", "x")], context) == []
