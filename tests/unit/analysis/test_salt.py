"""Limiting current and Sand's time, from the cell record to the observable of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.analysis.findings import SALT
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.events import Event
from orchestrator.model.salt import SaltBetween, sand_time_s, unknown

CELL: dict[str, Any] = {
    "salt": {"diffusion_cm2_per_s": 1e-6, "mol_per_L": 1.0, "t_plus": 0.4, "gap_mm": 2.0},
    "area_cm2": 0.785,
}


def test_the_published_case() -> None:
    """domain.md 4.9 and P17: 634 s at 5.66 mA/cm2 for 1 M, D 1e-10 m2/s, anion number 0.6; limiting 1.6 mA/cm2 over 2 mm."""
    salt = SaltBetween.of(CELL)
    assert salt is not None
    assert salt.limiting_mA_per_cm2 == pytest.approx(1.608, rel=1e-3)
    assert salt.lasts_s(-5.66e-3 * 0.785) == pytest.approx(634, rel=5e-3)
    assert sand_time_s(3e-6, 1.0, 1.0, 0.6) / sand_time_s(3e-6, 1.0, 2.0, 0.6) == pytest.approx(4.0)


def test_up_to_the_limiting_current_the_salt_lasts_for_ever() -> None:
    salt = SaltBetween.of(CELL)
    assert salt is not None
    limiting_A = salt.limiting_mA_per_cm2 * 0.785e-3
    assert math.isinf(salt.lasts_s(limiting_A))
    assert math.isinf(salt.lasts_s(0.0))
    assert math.isfinite(salt.lasts_s(1.001 * limiting_A))


@pytest.mark.parametrize("missing", ["salt", "area_cm2"])
def test_what_the_record_does_not_say_is_named(missing: str) -> None:
    cell = {name: value for name, value in CELL.items() if name != missing}
    assert SaltBetween.of(cell) is None
    assert unknown(cell) == (missing,)


def told(cell: Mapping[str, Any], current_A: float) -> list[Any]:
    analysis = LiveAnalysis()
    analysis.feed(Event(1, 0, 0, "run.started", {"origin_mono_ns": 0, "plan": {"cell": cell}}))
    return list(analysis._sand({"current_A": current_A}))


def test_a_spectrum_under_too_much_current_carries_it_with_its_provenance() -> None:
    ((name, value, _, unit, algorithm),) = told(CELL, 5.66e-3 * 0.785)
    assert (name, unit, algorithm) == ("sand_time", "s", SALT)
    assert value == pytest.approx(634, rel=5e-3)
    assert told(CELL, 1e-3) == []
    assert told({"area_cm2": 0.785}, 5.66e-3) == []
