"""The live analysis tells areas as on resonance too: of moss as of a thin layer, of bulk as of a thick face whose skin is taken off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.battery import excitation, face_excitation, metal_face, skin_share, unsorted_metal
from orchestrator.analysis.findings import PULSE
from orchestrator.analysis.spectrum import Stream
from orchestrator.analysis.wanted import Wanted

CELL: dict[str, Any] = {"working": "upper Li", "counter": "lower Li", "electrode_normal_to_B0_deg": 0}
REFERENCE_MHz, OFFSET_Hz = 116.64, 30e3
BULK_ppm, MOSS_ppm = 246.0, 271.0
DATA: dict[str, Any] = {
    "name": "metal",
    "nucleus": "7Li",
    "spectral_width_Hz": 200e3,
    "reference_MHz": REFERENCE_MHz,
}


def fid_of(away_Hz: float, *lines: tuple[complex, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """complex128 (1, 2048): lines of these sizes and shifts, the carrier so far below bulk."""
    t_s = np.arange(2048) / DATA["spectral_width_Hz"]
    fid = np.random.default_rng(1).normal(scale=0.05, size=(2048, 2)).view(np.complex128)[:, 0]
    for size, ppm in lines:
        offset_Hz = away_Hz + (ppm - BULK_ppm) * REFERENCE_MHz
        fid = fid + size * np.exp(2j * np.pi * offset_Hz * t_s - np.pi * 400.0 * t_s)
    return np.asarray(fid[None])


def told(tip_deg: float = 90.0, away_Hz: float = OFFSET_Hz, *, full: bool = False, **more: Any) -> dict[str, tuple[Any, ...]]:
    """Of bulk 100 and moss 60; ``more``: of the cell."""
    data = DATA | {"carrier_MHz": REFERENCE_MHz * (1 + BULK_ppm * 1e-6) - away_Hz * 1e-6}
    stream = Stream(data, 2048, Wanted(cell=CELL | more, pulses={"metal": (5.0, tip_deg)}), full=full)
    fid = fid_of(away_Hz, (100.0 * np.exp(-0.88j), BULK_ppm), (60.0, MOSS_ppm))
    return {name: rest for name, *rest in stream.told(fid, data, None, 64)}


@pytest.mark.parametrize("full", [False, True])
def test_each_line_is_corrected_as_what_it_is(*, full: bool) -> None:
    """Live and in a reprocessing alike."""
    found = told(full=full)
    shares = {"bulk": face_excitation(OFFSET_Hz, 5.0, 90.0)[0]}
    shares["moss"] = float(excitation(OFFSET_Hz + (MOSS_ppm - BULK_ppm) * REFERENCE_MHz, 5.0, 90.0)[0])
    assert shares["bulk"] < 0.96 < 0.99 < shares["moss"]
    for line, share in shares.items():
        area, error, *_ = found[f"area({line})"]
        corrected, corrected_error, unit, algorithm = found[f"corrected_area({line})"]
        assert found[f"excitation({line})"][0] == pytest.approx(share, abs=2e-3)
        assert corrected == pytest.approx(area / share / (0.431 if line == "bulk" else 1.0), rel=3e-3)
        assert corrected_error / corrected == pytest.approx(error / area)
        assert (unit, algorithm) == ("", PULSE)


def test_of_a_half_turn_no_skin_is_taken_off() -> None:
    """As of a thin plate, which shows next to nothing then, bulk was told many times too large."""
    found = told(175.0, away_Hz=0.0)
    assert "area(bulk)" in found
    assert "corrected_area(bulk)" not in found


def test_a_single_line_of_metal_has_bounds_and_no_corrected_area() -> None:
    """Foil, deposit or both: nobody knows; as thin it was told too small by the half that a skin hides."""
    found = told(environments=["metal", "electrolyte"])
    assert not {"corrected_area(metal)", "excitation(metal)"} & found.keys()
    area, error, *_ = found["area(metal)"]
    least, least_error, *_ = found["corrected_area_least(metal)"]
    most, _, _, algorithm = found["corrected_area_most(metal)"]
    assert (least / area, most / area) == pytest.approx((1.0, 1.0 / 0.41), rel=0.01)
    assert least_error / least == pytest.approx(error / area)
    assert algorithm == PULSE


@pytest.mark.parametrize("offset_Hz", [-30e3, 0.0, 30e3])
@pytest.mark.parametrize("tip_deg", [20.0, 90.0, 123.0, 150.0])
def test_no_thickness_and_no_mixture_lies_outside_the_bounds(tip_deg: float, offset_Hz: float) -> None:
    least, most = unsorted_metal(offset_Hz, 5.0, tip_deg)
    thin, thick = float(excitation(offset_Hz, 5.0, tip_deg)[0]), face_excitation(offset_Hz, 5.0, tip_deg)[0] * skin_share(tip_deg)
    assert 0.0 < least <= min(thin, thick) <= max(thin, thick) <= most + 1e-9
    if offset_Hz == 0.0:
        plates = [metal_face(tip_deg, skins) / (min(1.0, skins) * np.sin(np.radians(tip_deg))) for skins in (0.01, 0.3, 1.0, 2.0, 8.0)]
        parts = np.random.default_rng(2).dirichlet([0.3] * len(plates), 2000)
        mixed = np.abs(parts @ np.array(plates))
        assert least - 1e-3 <= mixed.min() < least * 1.05
        assert most * 0.95 < mixed.max() <= most + 1e-3


def test_how_deep_bulk_is_seen_is_left_to_a_reprocessing() -> None:
    assert "seen_depth(bulk)" not in told()
    assert "seen_depth(bulk)" in told(full=True)
