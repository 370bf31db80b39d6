"""Checks P2, P5, P8, P11, P12 and P16 of domain.md 7, on FIDs of the twin's cells."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.cell_parameters import FARADAY_C_PER_MOL
from drivers.sim.description import read
from drivers.sim.nuclei import excite, foil_nodes
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin
from orchestrator.analysis.battery import face_excitation
from orchestrator.analysis.spectrum import Stream
from orchestrator.analysis.wanted import Wanted

TWINS = Path(__file__).parents[3] / "configs" / "twins"
REFERENCE_ppm = {
    ("C3", "7Li", "LiC6"): (45.0, 2.0),
    ("C3", "7Li", "plated"): (250.0, 25.0),
    ("C4", "7Li", "bulk"): (250.0, 25.0),
    ("C2", "7Li", "sei"): (0.0, 10.0),
    ("C6", "23Na", "bulk"): (1126.0, 1.0),
    ("C7", "23Na", "moss"): (1131.5, 3.5),
}


def only(cell: str, nucleus: str, *names: str) -> dict[str, Any]:
    """A cell with some lines of one nucleus, no noise, no phase walk."""
    said = json.loads(json.dumps(read(TWINS / f"{cell}.yaml")))
    kept = said["nuclei"]["nucleus"][nucleus]
    kept["lines"] = {name: kept["lines"][name] for name in names}
    kept["noise_counts"] = 0.0
    return dict(said | {"spectrometer": {"phase_walk_deg": 0.0}})


def scan(twin: Twin, nucleus: str, ppm: float, **given: Any) -> Scan:
    base: dict[str, Any] = {
        "t_start_s": 0.0, "t_end_s": 100.0, "scans": 1, "dummies": 0, "recycle_s": 100.0, "points": 1024, "spectral_width_Hz": 2e5,
        "carrier_MHz": twin.larmor_MHz(nucleus) * (1 + ppm * 1e-6), "pulse_s": 5e-6, "dead_s": 0.0,
    }  # fmt: skip
    return Scan(nucleus, **(base | given))


def first(said: dict[str, Any], nucleus: str, ppm: float, **given: Any) -> float:
    """Size of the first point: the area of all lines."""
    twin = Twin(said, seed=1)
    return float(abs(twin.acquire(scan(twin, nucleus, ppm, **given))[0]))


def test_P2_metal_nutates_to_a_maximum_at_123_degrees() -> None:
    nodes, tips = foil_nodes(14.0), np.radians(np.arange(10.0, 200.0, 1.0))
    signal = np.array([np.sum(nodes.weight * np.sin(tip * nodes.reach)) for tip in tips])
    assert math.degrees(tips[np.abs(signal).argmax()]) == pytest.approx(123.0, abs=1.5)
    assert np.abs(signal).max() == pytest.approx(0.468, rel=0.01)


def test_P5_area_of_plated_metal_is_linear_in_charge() -> None:
    """Filaments of 1.5 um: counts = moles x visible part, a constant slope per coulomb."""
    said = only("C2", "7Li", "moss")
    twin = Twin(said, seed=1)
    twin.drive_current(0.0, 1.2e-3)
    areas, charges_C = [], []
    for t_s in (2000.0, 3500.0, 5000.0):
        taken = scan(twin, "7Li", 264.0, t_start_s=t_s - 1.0, t_end_s=t_s, pulse_s=1e-12, recycle_s=0.9)
        areas.append(abs(twin.acquire(taken)[0]))
        charges_C.append(twin.state(t_s).counter.moss_mol * FARADAY_C_PER_MOL)
    slopes = np.diff(areas) / np.diff(charges_C)
    assert slopes[0] == pytest.approx(slopes[1], rel=5e-3)
    assert slopes[0] * FARADAY_C_PER_MOL / 1e6 == pytest.approx(50.0 * 0.45, rel=0.02)


def test_P8_four_times_the_scans_double_the_snr() -> None:
    said = json.loads(json.dumps(read(TWINS / "C4.yaml")))
    twin = Twin(said, seed=3)
    snr = []
    for n, scans in enumerate((64, 256)):
        start_s = 1000.0 * (n + 1)
        fid = twin.acquire(scan(twin, "7Li", 137.0, t_start_s=start_s, t_end_s=start_s + 500.0, scans=scans, points=8192, recycle_s=0.5))
        snr.append(abs(fid[0]) / fid[6000:].real.std())
    assert snr[1] / snr[0] == pytest.approx(2.0, rel=0.08)


def test_P11_doubling_the_recycle_delay_moves_the_electrolyte_as_predicted_and_not_the_metal() -> None:
    """T1 1.5 s and 0.148 s at repetition 0.8 and 1.6 s, 90 degrees, steady state."""
    acquisition_s = 1024 / 2e5
    for name, ppm, T1_s in (("electrolyte", -0.8, 1.5), ("bulk", 246.9, 0.148)):
        said = only("C4", "7Li", name)
        areas = [first(said, "7Li", ppm, recycle_s=t_s - acquisition_s, dummies=60, scans=4, pulse_s=1e-9) for t_s in (0.8, 1.6)]
        predicted = (1.0 - math.exp(-1.6 / T1_s)) / (1.0 - math.exp(-0.8 / T1_s))
        assert areas[1] / areas[0] == pytest.approx(predicted if name == "electrolyte" else 1.0, rel=0.02)


def test_P12_a_carrier_30_kHz_away_and_the_corrected_area_is_the_same() -> None:
    said = only("C4", "7Li", "electrolyte")
    away_ppm = 30e3 / Twin(said, seed=1).larmor_MHz("7Li")
    on, off = (first(said, "7Li", -0.8 + ppm) for ppm in (0.0, away_ppm))
    seen = [abs(excite(np.array([math.pi / 2]), 5e-6, offset_Hz)[0][0]) for offset_Hz in (0.0, -30e3)]
    assert off / seen[1] == pytest.approx(on / seen[0], rel=0.05)
    assert off != pytest.approx(on, rel=1e-3)


@pytest.mark.parametrize("offset_Hz", [-30e3, 30e3])
def test_P12_of_a_thick_face_on_which_side_the_carrier_lies_matters(offset_Hz: float) -> None:
    """The twin's own depths against the analysis' integral; as if it were thin one side would be 4 % wrong."""
    said = only("C4", "7Li", "bulk")
    ppm = Twin(said, seed=1).description.nuclei.nucleus["7Li"].lines["bulk"].shift_ppm
    away_ppm = offset_Hz / Twin(said, seed=1).larmor_MHz("7Li")
    off, on = (first(said, "7Li", ppm - each) for each in (away_ppm, 0.0))
    told, doubtful = face_excitation(offset_Hz, 5.0, 90.0)
    assert not doubtful
    assert off / on == pytest.approx(told, abs=0.01)
    assert told == pytest.approx(0.954 if offset_Hz > 0 else 1.003, abs=0.001)


@pytest.mark.parametrize("tip_deg", [30.0, 90.0])
@pytest.mark.parametrize("away_Hz", [0.0, 30e3])
def test_a_corrected_area_of_bulk_is_the_metal_within_one_skin_depth(away_Hz: float, tip_deg: float) -> None:
    """Two faces of 0.785 cm2, 14.2 um deep, at 50 counts a umol, in the scale of moss: by the fit of a FID that the twin has made."""
    twin = Twin(only("C4", "7Li", "bulk"), seed=1)
    larmor_MHz = twin.larmor_MHz("7Li")
    taken = scan(twin, "7Li", 246.9 - away_Hz / larmor_MHz, pulse_s=5e-6, tip_deg=tip_deg)
    fid = twin.acquire(taken) + np.random.default_rng(1).normal(scale=0.5, size=(1024, 2)).view(np.complex128)[:, 0]
    data = {"name": "one", "nucleus": "7Li", "spectral_width_Hz": 2e5, "reference_MHz": larmor_MHz, "carrier_MHz": taken.carrier_MHz}
    cell = {"working": "upper Li", "counter": "lower Li", "electrode_normal_to_B0_deg": 0}
    told = {
        name: value
        for name, value, *_ in Stream(data, 1024, Wanted(cell=cell, pulses={"one": (5.0, tip_deg)})).told(fid[None], data, None, 1)
    }
    Li_mol_per_cm3 = 0.534 / 6.94
    expected = 50.0 * 2 * 0.785 * 14.2e-4 * Li_mol_per_cm3 * 1e6 * math.sin(math.radians(tip_deg))
    assert told["corrected_area(bulk)"] == pytest.approx(expected, rel=0.01)
    assert told["area(bulk)"] < 0.5 * expected


@pytest.mark.parametrize("where", list(REFERENCE_ppm), ids="-".join)
def test_P16_lines_lie_where_the_literature_has_them(where: tuple[str, str, str]) -> None:
    cell, nucleus, name = where
    ppm, within = REFERENCE_ppm[where]
    assert Twin(read(TWINS / f"{cell}.yaml"), seed=1).description.nuclei.nucleus[nucleus].lines[name].shift_ppm == pytest.approx(
        ppm, abs=within
    )
