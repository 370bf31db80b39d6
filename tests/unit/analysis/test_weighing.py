"""The mass of moss by a weighed foil, live; k of a budget holds for its own tip angle only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.findings import FOIL
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.analysis.weighing import by_foil
from orchestrator.model.events import Event

FOIL_RECORD = {"mass_mg": 0.5, "area": 250.0, "area_sd": 5.0, "acquisition": "fast"}
CELL = {"type": "symmetric", "working": "upper Li", "counter": "lower Li", "electrode_normal_to_B0_deg": 0, "foil": FOIL_RECORD}
REFERENCE_MHz, SW_Hz, POINTS = 116.64, 200e3, 2048


def live(cell: dict[str, Any] | None = None, name: str = "fast", **plan: Any) -> tuple[LiveAnalysis, dict[str, Any]]:
    """What is told of bulk 100 and moss 60."""
    made = LiveAnalysis()
    made.feed(Event(1, 0, 0, "run.started", {"origin_mono_ns": 0, "plan": {"cell": cell or CELL, **plan}}))
    t_s = np.arange(POINTS) / SW_Hz
    fid = np.random.default_rng(2).normal(scale=0.05, size=(POINTS, 2)).view(np.complex128)[:, 0]
    for size, ppm in ((100.0 * np.exp(-0.88j), 246.9), (60.0, 266.5)):
        fid = fid + size * np.exp(2j * np.pi * (ppm - 137.0) * REFERENCE_MHz * t_s - np.pi * 600.0 * t_s)
    data = {
        "key": "a1", "block": 0, "name": name, "nucleus": "7Li", "scans": 1, "dtype": "<c16", "shape": [1, POINTS],
        "spectral_width_Hz": SW_Hz, "carrier_MHz": REFERENCE_MHz * (1 + 137e-6), "reference_MHz": REFERENCE_MHz,
    }  # fmt: skip
    made.feed(Event(2, 1, 1, "fid.block", data, fid.astype("<c16").tobytes()))
    return made, {one.name: one for one in made.feed(Event(3, 2, 2, "acquisition.stored", {"key": "a1", "block": 0}))}


def test_the_mass_of_moss_is_told_beside_its_area() -> None:
    _, found = live()
    area, mass = found["area(moss)"], found["mass(moss)"]
    assert mass.value == pytest.approx(area.value * 0.5 / 250.0)
    assert mass.error / mass.value == pytest.approx(np.hypot(area.error / area.value, 5.0 / 250.0))
    assert (mass.unit, mass.algorithm) == ("mg", FOIL)
    assert "mass(bulk)" not in found, "of a thick plate only the skin is seen"


def test_it_is_told_of_the_foils_own_acquisition_only() -> None:
    assert "mass(moss)" not in live(name="wide")[1]
    assert "mass(moss)" not in live({**CELL, "foil": None})[1]


def test_a_thick_foil_counts_for_what_was_seen_of_it() -> None:
    thick = by_foil(FOIL_RECORD | {"thickness_um": 100.0}, "7Li", REFERENCE_MHz, 90.0)
    assert thick is not None
    assert thick.seen == pytest.approx(0.431 * 14.2 / 50.0, rel=0.01)
    assert thick.mg_per_area == pytest.approx(0.5 / 250.0 * thick.seen)
    assert by_foil(FOIL_RECORD | {"thickness_um": 100.0}, "7Li", REFERENCE_MHz, 175.0) is None
    assert by_foil(FOIL_RECORD, "1H", REFERENCE_MHz, 90.0) is None


@pytest.mark.parametrize(("tip_deg", "told"), [(90.0, True), (30.0, False)])
def test_k_of_a_budget_holds_for_its_own_tip_angle(tip_deg: float, told: bool) -> None:
    acquisitions = {"quant": {"template": {}}, "fast": {"template": {"tip_deg": tip_deg}}}
    budget = {"metal_ppm": [235.0, 290.0], "cycles": [2, 4]}
    made, found = live(acquisitions=acquisitions, budget=budget)
    assert "metal_mass" not in found
    assert made._budgeting is not None
    made._budgeting.acquisition, made._budgeting.mAh_per_area = "quant", made._budgeting.mAh_per_area._replace(value=0.002, sd=1e-5)
    row = ("area(235..290 ppm)", 500.0, 1.0, "", "x")
    assert bool(made._budgeted([row], "fast", {"nucleus": "7Li", "step_key": "s"})) == told
    assert made._budgeted([row], "quant", {"nucleus": "7Li", "step_key": "s"})
