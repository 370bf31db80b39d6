"""The live analysis tells areas as on resonance too: of moss as of a thin layer, of bulk as of a thick face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.battery import excitation, face_excitation
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
    "carrier_MHz": REFERENCE_MHz * (1 + BULK_ppm * 1e-6) - OFFSET_Hz * 1e-6,
}


def told(tip_deg: float = 90.0, **more: Any) -> dict[str, tuple[Any, ...]]:
    """Of bulk 100 and moss 60, the carrier 30 kHz below bulk."""
    t_s = np.arange(2048) / DATA["spectral_width_Hz"]
    fid = np.random.default_rng(1).normal(scale=0.05, size=(2048, 2)).view(np.complex128)[:, 0]
    for size, ppm in ((100.0 * np.exp(-0.88j), BULK_ppm), (60.0, MOSS_ppm)):
        offset_Hz = OFFSET_Hz + (ppm - BULK_ppm) * REFERENCE_MHz
        fid = fid + size * np.exp(2j * np.pi * offset_Hz * t_s - np.pi * 400.0 * t_s)
    stream = Stream(DATA, 2048, Wanted(cell=CELL, pulses={"metal": (5.0, tip_deg)}), **more)
    return {name: rest for name, *rest in stream.told(fid[None], DATA, None, 64)}


def test_each_line_is_corrected_as_what_it_is() -> None:
    found = told()
    shares = {"bulk": face_excitation(OFFSET_Hz, 5.0, 90.0)[0]}
    shares["moss"] = float(excitation(OFFSET_Hz + (MOSS_ppm - BULK_ppm) * REFERENCE_MHz, 5.0, 90.0)[0])
    assert shares["bulk"] < 0.96 < 0.99 < shares["moss"]
    for line, share in shares.items():
        area, error, *_ = found[f"area({line})"]
        corrected, corrected_error, unit, algorithm = found[f"corrected_area({line})"]
        assert found[f"excitation({line})"][0] == pytest.approx(share, abs=2e-3)
        assert corrected == pytest.approx(area / share, rel=2e-3)
        assert corrected_error / corrected == pytest.approx(error / area)
        assert (unit, algorithm) == ("", PULSE)


def test_how_deep_bulk_is_seen_is_left_to_a_reprocessing() -> None:
    assert "seen_depth(bulk)" not in told()
    assert "seen_depth(bulk)" in told(full=True)
