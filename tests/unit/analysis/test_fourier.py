"""The Fourier chain against lines whose place, phase and width are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.analysis.fourier import FourierSettings, estimate_ph0_deg, power_of_two, rephased, shift_axis_ppm, spectra

SW = 100_000.0
POINTS = 4096
BASE = FourierSettings(points=POINTS, spectral_width_Hz=SW, LB_Hz=0.0)


def fid(offset_Hz: float, *, phase_deg: float = 0.0, width_Hz: float = 200.0, delay: float = 0.0) -> np.ndarray:
    t = (np.arange(POINTS) - delay) / SW
    signal = np.exp(2j * np.pi * offset_Hz * t - np.pi * width_Hz * t + 1j * np.deg2rad(phase_deg))
    return np.where(t >= 0, signal, 0).astype(np.complex64)


def peak_ppm(spectrum: np.ndarray, settings: FourierSettings, carrier: float, reference: float) -> float:
    return float(shift_axis_ppm(settings, carrier, reference)[np.argmax(np.abs(spectrum))])


@pytest.mark.parametrize("reversed_axis", [False, True])
def test_a_line_lies_where_its_frequency_says(reversed_axis: bool) -> None:
    settings = replace(BASE, reversed_axis=reversed_axis)
    offset = -12_000.0
    physical = -offset if reversed_axis else offset
    axis = shift_axis_ppm(settings, 116.64, 116.61)
    assert np.all(np.diff(axis) > 0)
    expected = (116.64e6 + physical - 116.61e6) / 116.61e6 * 1e6
    assert peak_ppm(spectra(fid(offset), settings), settings, 116.64, 116.61) == pytest.approx(expected, abs=SW / POINTS / 116.61)


def test_a_line_in_phase_is_positive_absorption_of_its_width() -> None:
    line = spectra(fid(1000.0), BASE)
    real = line.real
    assert real.min() > -0.01 * real.max()
    above_half = np.count_nonzero(real > real.max() / 2) * SW / POINTS
    assert above_half == pytest.approx(200, abs=2 * SW / POINTS)
    broad = spectra(fid(1000.0), replace(BASE, LB_Hz=300.0)).real
    assert np.count_nonzero(broad > broad.max() / 2) * SW / POINTS == pytest.approx(500, abs=2 * SW / POINTS)


@pytest.mark.parametrize("delay", [12.0, 67.98])
def test_group_delay_is_a_first_order_phase(delay: float) -> None:
    settings = replace(BASE, group_delay_points=delay, first_point=1.0)
    two = spectra(fid(-20_000.0, delay=delay) + fid(15_000.0, delay=delay), settings)
    for offset in (-20_000.0, 15_000.0):
        at = round(offset / SW * POINTS) + POINTS // 2
        near = two[at - 3 : at + 4]
        strongest = near[np.argmax(np.abs(near))]
        assert abs(np.degrees(np.angle(strongest))) < 25
        untreated = spectra(fid(-20_000.0, delay=delay) + fid(15_000.0, delay=delay), replace(settings, group_delay_points=0.0))
        assert np.abs(untreated[at]) == pytest.approx(np.abs(two[at]))


def test_the_offset_of_the_receiver_vanishes() -> None:
    with_dc = spectra(fid(9000.0) + np.complex64(5 + 3j), BASE)
    assert np.abs(with_dc[POINTS // 2]) < 0.02 * np.abs(with_dc).max()


def test_a_stack_is_its_rows() -> None:
    rows = np.stack([fid(1000.0), fid(-7000.0, phase_deg=40)])
    assert np.array_equal(spectra(rows, BASE), np.stack([spectra(row, BASE) for row in rows]))


@pytest.mark.parametrize("phase", [-170.0, -45.0, 0.0, 60.0, 179.0])
def test_phase_is_found_and_taken_back(phase: float) -> None:
    settings = replace(BASE, points=8192, LB_Hz=50.0)
    line = spectra(fid(3333.0, phase_deg=phase), settings)
    found = estimate_ph0_deg(line)
    assert found is not None
    assert (found - phase + 180) % 360 - 180 == pytest.approx(0, abs=3)
    assert rephased(line, found).real.max() == pytest.approx(np.abs(line).max(), rel=0.01)


def test_noise_has_no_phase() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS)
    assert estimate_ph0_deg(spectra(noise, BASE)) is None
    assert estimate_ph0_deg(np.zeros(16, complex)) is None


def test_powers_of_two() -> None:
    assert [power_of_two(n) for n in (1, 2, 3, 4000, 4096, 4097)] == [1, 2, 4, 4096, 4096, 8192]
