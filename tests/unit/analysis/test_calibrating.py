"""What a preparation reads, from FIDs whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.analysis.calibrating import Seen, largest, ninety_degrees, noise_sd, strongest_line

SEEN = Seen(spectral_width_Hz=50e3, carrier_MHz=116.65, reference_MHz=116.6493)


def fid(shift_ppm: float, width_Hz: float, size: float, sd: float, seed: int) -> NDArray[np.complex128]:
    t_s = np.arange(4096) / SEEN.spectral_width_Hz
    offset_Hz = (SEEN.reference_MHz * (1 + shift_ppm * 1e-6) - SEEN.carrier_MHz) * 1e6
    drawn = np.random.default_rng(seed).normal(size=(4096, 2)) * sd
    return size * np.exp((2j * math.pi * offset_Hz - math.pi * width_Hz) * t_s + 0.7j) + drawn[:, 0] + 1j * drawn[:, 1]


def test_a_line_is_found_where_it_is_and_its_error_is_honest() -> None:
    found = [strongest_line(fid(2.5, 400.0, 3000.0, 60.0, seed), SEEN) for seed in range(40)]
    assert all(one is not None for one in found)
    pulls = np.array([(one.shift_ppm - 2.5) / one.shift_sd_ppm for one in found if one])
    assert 0.4 < float(np.sqrt((pulls**2).mean())) < 1.6


def test_a_mirrored_axis_and_a_digital_filter_change_nothing() -> None:
    delayed = np.concatenate([np.zeros(60), fid(-3.0, 50.0, 300.0, 1.0, 1)])
    line = strongest_line(delayed, Seen(50e3, 116.65, 116.6493, group_delay_points=60.0))
    mirrored = strongest_line(np.conj(fid(-3.0, 50.0, 300.0, 1.0, 1)), Seen(50e3, 116.65, 116.6493, reversed_axis=True))
    assert line is not None
    assert mirrored is not None
    assert line.shift_ppm == pytest.approx(-3.0, abs=0.01)
    assert mirrored.shift_ppm == pytest.approx(-3.0, abs=0.01)


def test_noise_alone_is_no_line() -> None:
    assert strongest_line(fid(0.0, 400.0, 0.0, 60.0, 1), SEEN) is None
    assert ninety_degrees(np.stack([fid(0.0, 400.0, 0.0, 60.0, seed) for seed in range(12)]), np.arange(12) * 2.0 + 2.0, SEEN) is None


@pytest.mark.parametrize("p90_us", [6.5, 8.0, 11.0])
def test_the_pulse_of_a_nutation_is_recovered(p90_us: float) -> None:
    pulse_us = np.arange(2.0, 26.0, 2.0)
    rows = np.stack([fid(1.0, 200.0, 3000.0 * math.sin(0.5 * math.pi * one / p90_us), 60.0, int(one)) for one in pulse_us])
    found = ninety_degrees(rows, pulse_us, SEEN)
    assert found is not None
    assert abs(found.p90_us - p90_us) < max(4.0 * found.p90_sd_us, 0.02 * p90_us)
    assert found.p90_sd_us < 0.2


def test_noise_and_headroom_are_of_one_scan() -> None:
    summed = fid(0.0, 400.0, 0.0, 60.0 * math.sqrt(8.0), 3)
    assert noise_sd(summed, 8) == pytest.approx(60.0, rel=0.05)
    assert largest(np.array([3.0 - 40.0j, 1.0 + 2.0j]), 4) == 10.0
