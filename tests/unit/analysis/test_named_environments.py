"""A cell that names its environments: windows and lines are those, and a metal without moss has an area whatever its phase."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.spectrum import Stream
from orchestrator.analysis.wanted import Wanted
from orchestrator.analysis.windows import lines_of, windows_of

CELL: dict[str, Any] = {"working": "upper Na", "counter": "lower Na", "electrode_normal_to_B0_deg": 0}
BARE = {**CELL, "environments": ["metal", "electrolyte"]}
DATA: dict[str, Any] = {
    "name": "mrs",
    "nucleus": "23Na",
    "spectral_width_Hz": 200e3,
    "reference_MHz": 105.863,
    "carrier_MHz": 105.863 * (1 + 1126e-6),
}


@pytest.mark.parametrize(("cell", "names"), [(CELL, ["electrolyte", "metal", "bulk", "moss"]), (BARE, ["electrolyte", "metal"])])
def test_windows_are_those_that_the_cell_names(cell: dict[str, Any], names: list[str]) -> None:
    assert [window.name for window in windows_of("23Na", cell)] == names


def test_a_metal_without_moss_is_one_line_of_any_nucleus() -> None:
    assert lines_of("23Na", CELL) == ()
    assert [line.name for line in lines_of("23Na", BARE)] == ["metal"]
    lithium = {**BARE, "working": "upper Li", "counter": "lower Li"}
    assert [line.name for line in lines_of("7Li", lithium)] == ["metal"]
    assert [line.name for line in lines_of("7Li", {**lithium, "environments": []})] == ["bulk", "moss"]
    assert lines_of("7Li", {"working": "graphite", "counter": "LFP", "environments": ["metal"]}) == ()


def scan(phase_deg: float, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """complex128 (1, 2048): one scan of a line on resonance, of amplitude 100."""
    t_s = np.arange(2048) / DATA["spectral_width_Hz"]
    noise = np.random.default_rng(seed).normal(scale=0.5, size=(2048, 2)).view(np.complex128)[:, 0]
    return np.asarray((100.0 * cmath.exp(1j * math.radians(phase_deg)) * np.exp(-math.pi * 600.0 * t_s) + noise)[None])


def test_its_area_does_not_follow_the_phase_and_nothing_is_told_of_moss() -> None:
    stream = Stream(DATA, 2048, Wanted(cell=BARE))
    found = []
    for seed, phase_deg in enumerate((0.0, 20.0, 40.0)):
        told = {name: value for name, value, *_ in stream.told(scan(phase_deg, seed), DATA, None, 64)}
        assert not {"area(moss)", "area(bulk)"} & told.keys()
        found.append(told["area(metal)"])
    assert found == pytest.approx([100.0] * 3, rel=0.01)
    # the common phase is told from the line itself: what is shown stays in absorption
    shown = stream.chain.process(scan(60.0, 9), 0.5)
    assert shown.spectra[0].real.max() == pytest.approx(np.abs(shown.spectra[0]).max(), rel=0.02)
