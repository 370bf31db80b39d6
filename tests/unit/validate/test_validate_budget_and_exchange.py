"""Budgets, cross peaks, profiles and images, on series whose truth is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Place, Spectrum
from orchestrator.validate.measures import measured

REFERENCE_MHz = 155.5
Complexes = np.ndarray[tuple[int, ...], np.dtype[np.complex128]]


def place(charge_mAh: float, t_s: float = 0.0) -> Place:
    return Place(t_s, "rest", 0.0, 0, 0.0, 0.0, charge_mAh, 0.0)


def asked(words: dict[str, Any], **evidence: Any) -> Found:
    return measured(words, {"": SimpleNamespace(**evidence)})  # type: ignore[dict-item]


# ------------------------------------------------------------------------------------------------------------- the budget

SEI, DEAD, PER_AREA = 0.1, 0.05, 0.02


def cycles(count: int) -> list[tuple[Place, float, float]]:
    """A cell that plates 1 mAh a cycle: a tenth makes SEI, a twentieth of the metal stays; area 50 a mAh."""
    charge, left, rows = 0.0, 0.0, [(place(0.0), 0.0, 0.01)]
    for _ in range(count):
        charge, metal = charge + 1.0, 1.0 - SEI
        rows.append((place(charge), (left + metal) / PER_AREA, 0.01))
        charge, left = charge - (1.0 - DEAD) * metal, left + DEAD * metal
        rows.append((place(charge), left / PER_AREA, 0.01))
    return rows


METAL = {"observable": "area(metal)", "of": "fast"}


@pytest.mark.parametrize(("part", "truth"), [("sei", SEI), ("dead", DEAD * (1.0 - SEI)), ("closes", 1.0)])
def test_the_budget_is_found_from_areas_and_charge(part: str, truth: float) -> None:
    found = asked({"budget": part, "cycles": [2, 5], "metal": METAL}, observed=lambda *_: cycles(5))
    assert found.value == pytest.approx(truth, abs=1e-9)
    assert 0.0 < found.sigma < 0.01


def test_a_budget_whose_metal_hides_does_not_close() -> None:
    hidden = [(where, area if n < 9 else 0.7 * area, sd) for n, (where, area, sd) in enumerate(cycles(5))]
    assert abs(asked({"budget": "closes", "cycles": [5, 5], "metal": METAL}, observed=lambda *_: hidden).value - 1.0) > 0.1


# ------------------------------------------------------------------------------------------------------------ cross peaks


def exchange_rows(cross: float) -> list[Spectrum]:
    """24 evolution times of two lines at 2.4 and 1.2 ppm, of which each shows a part of the other's label."""
    data = {"spectral_width_Hz": 1e4, "carrier_MHz": REFERENCE_MHz, "reference_MHz": REFERENCE_MHz, "scans": 1}
    t_s, noise = np.arange(1024) / 1e4, np.random.default_rng(4)
    rows = []
    for n in range(24):
        labels = [math.cos(2 * math.pi * ppm * REFERENCE_MHz * 1e-3 * n) * math.exp(-0.03 * n) for ppm in (2.4, 1.2)]
        shown = [(1 - cross) * labels[0] + cross * labels[1], (1 - cross) * labels[1] + cross * labels[0]]
        fid = sum(
            (
                100.0 * part * np.exp(2j * math.pi * ppm * REFERENCE_MHz * t_s - 30.0 * t_s)
                for part, ppm in zip(shown, (2.4, 1.2), strict=True)
            ),
            np.zeros(1024, dtype=np.complex128),
        )
        fid = fid + noise.normal(scale=1.0, size=1024) + 1j * noise.normal(scale=1.0, size=1024)
        rows.append(Spectrum("a", np.asarray(fid, dtype=np.complex128), place(0.0), data, n))
    return rows


@pytest.mark.parametrize("cross", [0.25, 0.0])
def test_cross_peaks_are_found_as_large_as_they_are(cross: float) -> None:
    lines = {"S": {"ppm": [2.2, 2.4, 2.6], "lorentz_Hz": [3, 10, 50]}, "P": {"ppm": [1.0, 1.2, 1.4], "lorentz_Hz": [3, 10, 50]}}
    words = {"cross_peaks": ["S", "P"], "of": "exsy", "window_ppm": [-1, 5], "lines": lines}
    evidence = {"spectra": lambda *_: exchange_rows(cross), "swept": lambda *_: 1e3 * np.arange(24.0)}
    found = asked(words, **evidence)
    assert found.value == pytest.approx(cross / (1.0 - cross), abs=0.01)
    if cross:
        assert asked({**words, "tell": "symmetry"}, **evidence).value == pytest.approx(1.0, abs=0.03)


# ------------------------------------------------------------------------------------------------------ profiles, images


def test_the_rise_along_the_stack_is_that_of_the_echoes() -> None:
    z_mm = np.linspace(-0.6, 0.7, 14)
    shape = np.exp(-np.arange(64) / 3.0) * (1 + 1j)

    def spectra(_: str, where: dict[str, str]) -> list[Spectrum]:
        slope = 0.4 if where["step"] == "strip" else 0.0
        return [
            Spectrum("a", 100.0 * (1.0 + slope * z) * shape, place(0.0), {"carrier_MHz": 116.0 * (1 + z * 2e-3), "reference_MHz": 116.0})
            for z in z_mm
        ]

    words = {"rise_per_mm": "profile", "where": {"step": "strip"}, "over": {"step": "rest"}, "ppm_per_mm": 2000.0}
    assert asked(words, spectra=spectra).value == pytest.approx(0.4)
    assert asked({**words, "tell": "middle"}, spectra=spectra).value == pytest.approx(1.0)


def picture(reached_mm: float) -> tuple[Any, Any]:
    """A gap of 1 mm, skins on both sides, metal that reaches in from the upper face."""
    z_mm = (np.arange(64) - 32) * 0.1
    data = np.abs(np.random.default_rng(5).normal(size=(32, 64, 2)) @ np.array([1, 1j]))
    data[:, np.isclose(np.abs(z_mm), 0.5)] += 100.0
    data[10, (z_mm < 0.45) & (z_mm > 0.45 - reached_mm)] += 30.0
    return z_mm, data


@pytest.mark.parametrize("reached_mm", [0.0, 0.3, 0.9])
def test_metal_in_the_gap_is_seen_as_far_as_it_reaches(reached_mm: float) -> None:
    found = asked({"reach_mm": "image", "gap_mm": 1.0}, image=lambda *_: picture(reached_mm))
    assert found.value == pytest.approx(reached_mm, abs=0.051)
    assert asked({"reach_mm": "image", "gap_mm": 1.0, "from": "counter"}, image=lambda *_: picture(min(reached_mm, 0.3))).value == 0.0


def test_images_foretell_the_crossing() -> None:
    evidence = {
        "image": lambda _, n: picture(0.2 * n),
        "image_series_h": lambda _: [(float(n), n + 0.5) for n in range(5)],
        "place": lambda t_s: place(t_s / 3600.0),
        "events": lambda *_, **__: [{"time": 5.0 * 3600.0}],
    }
    words = {"crosses_at": "image", "images": [1, 2, 3], "since": 0, "gap_mm": 1.0, "rule": "short"}
    found = asked(words, **evidence)
    assert found.value == pytest.approx(1.0, abs=0.06)
    assert 0.0 < found.sigma < 0.2
