"""Ions that hop: narrowing from its two limits, and what mixes while magnetisation is stored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from drivers.sim.description import DescriptionError, read
from drivers.sim.hopping import Exchanging, Hopping, narrowed, stored
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin

TWINS = Path(__file__).parents[3] / "configs" / "twins"


def test_slow_hops_leave_the_gaussian_and_fast_ones_an_exponential() -> None:
    t_s = np.linspace(0.0, 5e-5, 50)
    spread = (2.0 * math.pi * 8000.0) ** 2
    assert narrowed(t_s, 8000.0, 1e-3) == pytest.approx(np.exp(-0.5 * spread * t_s**2))
    assert narrowed(t_s, 8000.0, 10.0) == pytest.approx(np.exp(-0.5 * spread * t_s**2), rel=1e-3)
    late_s = np.linspace(1e-4, 1e-3, 20)
    assert narrowed(late_s, 8000.0, 1e7) == pytest.approx(np.exp(-spread / 1e7 * late_s), rel=2e-3)


def test_hops_need_an_ion_here_and_a_vacancy_there_and_heat() -> None:
    rates = [Hopping(vacant=part).rate_per_s(300.0) for part in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert rates[0] == rates[-1] == 0.0
    assert rates[1] == pytest.approx(rates[3])
    assert rates[2] > rates[1]
    warm, cold = (Hopping(barrier_eV=0.35).rate_per_s(kelvin) for kelvin in (330.0, 300.0))
    assert math.log(warm / cold) == pytest.approx(0.35 / 8.617333e-5 * (1 / 300 - 1 / 330))


def test_what_is_stored_mixes_and_is_conserved() -> None:
    pair = (Exchanging(("a", "b"), 5.0),)
    labels, amounts = np.array([1.0, -0.5, 0.2]), [2.0, 6.0, 1.0]
    none, some, all_ = (stored(labels, amounts, ("a", "b", "c"), pair, mixing_s) for mixing_s in (0.0, 0.1, 100.0))
    assert none == pytest.approx(labels)
    assert all_[0] == pytest.approx(all_[1])
    assert some[2] == all_[2] == 0.2
    for mixed in (some, all_):
        assert float(np.dot(mixed, amounts)) == pytest.approx(float(np.dot(labels, amounts)))
    cross = [stored(np.eye(2)[n], [2.0, 6.0], ("a", "b"), pair, 0.1) for n in (0, 1)]
    assert 6.0 * cross[0][1] == pytest.approx(2.0 * cross[1][0])  # detailed balance


def amplitudes(per_s: float) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """complex128 (2,): what Li2S and Li6PS5Br show after 0.3 s, where only Li2S was labelled; no noise."""
    said = read(TWINS / "Q17.yaml")
    nucleus = said["nuclei"]["nucleus"]["7Li"]
    nucleus["exchanging"][0]["per_s"] = per_s
    nucleus["noise_counts"] = 1e-6
    twin = Twin(said, seed=1)
    per_ppm_Hz = twin.larmor_MHz("7Li")
    quarter_s = 0.25 / (1.2 * per_ppm_Hz)  # of a turn of Li6PS5Br: nothing of its label is left
    scan = Scan("7Li", 0.0, 10.0, 1, 0, 9.0, 1024, 1e4, per_ppm_Hz, sequence="exchange", delay_s=0.3, evolution_s=quarter_s)
    t_s = np.arange(1024) / 1e4 + scan.dead_s
    decay = np.exp(-20.0 * math.pi * t_s - 2.0 * (5.0 * math.pi * t_s) ** 2)
    lines = np.stack([np.exp(2j * math.pi * ppm * per_ppm_Hz * t_s) * decay for ppm in (2.4, 1.2)], axis=1)
    return np.asarray(np.linalg.lstsq(lines, twin.acquire(scan), rcond=None)[0], dtype=np.complex128)


def test_an_exchange_spectrum_of_the_twin_has_a_cross_peak_only_where_ions_exchange() -> None:
    with_, without = amplitudes(4.0), amplitudes(0.0)
    assert abs(without[1]) < 0.01 * abs(without[0])
    # of 40 and 80 umol, a third of what 40 lost has come back to it
    moved = (1.0 - math.exp(-4.0 * 0.3)) * 2.0 / 3.0
    assert abs(with_[0] / without[0]) == pytest.approx(1.0 - moved, abs=0.02)
    assert abs(with_[1] / without[0]) == pytest.approx(moved, abs=0.03)


def test_a_description_names_lines_that_there_are() -> None:
    said = read(TWINS / "Q17.yaml")
    said["nuclei"]["nucleus"]["7Li"]["exchanging"] = [{"between": ["Li2S", "nothing"], "per_s": 1}]
    with pytest.raises(DescriptionError, match="`nothing` exchanges"):
        Twin(said, seed=1)
    said["nuclei"]["nucleus"]["7Li"]["exchanging"] = [{"between": ["Li2S"], "per_s": 1}]
    with pytest.raises(DescriptionError, match="names two lines"):
        Twin(said, seed=1)
