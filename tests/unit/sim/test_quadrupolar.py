"""Powder patterns of spin 3/2: horns where P10 of domain.md 7 has them, intensity 0.4 and 0.6, nothing made of nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.sim.quadrupolar import _central, pattern, second_order_Hz


def spectrum_of(
    Cq_kHz: float, larmor_MHz: float, *, width_Hz: float, points: int, line_Hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies and real spectrum of a pattern with a Lorentzian of ``line_Hz`` half width."""
    t_s = np.arange(points) / width_Hz
    fid = pattern(points, 1.0 / width_Hz, 0.0, Cq_kHz, larmor_MHz) * np.exp(-2 * np.pi * line_Hz * t_s)
    fid[0] *= 0.5
    size = 8 * points
    return np.fft.fftshift(np.fft.fftfreq(size, 1.0 / width_Hz)), np.fft.fftshift(np.fft.fft(fid, size)).real


@pytest.mark.parametrize("Cq_kHz", [20.0, 45.0])
def test_satellites_have_horns_at_a_quarter_of_Cq(Cq_kHz: float) -> None:
    """P10: 1 %; mrsimulator gave 11.23 kHz for 45 kHz (domain.md 5.2)."""
    frequency_Hz, spectrum = spectrum_of(Cq_kHz, 116.65, width_Hz=4e5, points=1 << 14, line_Hz=15.0)
    for sign in (-1.0, 1.0):
        outside = sign * frequency_Hz > 2e3
        assert frequency_Hz[outside][spectrum[outside].argmax()] == pytest.approx(sign * 250.0 * Cq_kHz, rel=0.01)


def test_central_line_holds_two_fifths_of_the_intensity() -> None:
    frequency_Hz, spectrum = spectrum_of(45.0, 116.65, width_Hz=4e5, points=1 << 14, line_Hz=15.0)
    step_Hz, central = frequency_Hz[1] - frequency_Hz[0], np.abs(frequency_Hz) < 1500.0
    beside = 0.5 * (spectrum[np.abs(frequency_Hz - 2500.0) < 200.0].mean() + spectrum[np.abs(frequency_Hz + 2500.0) < 200.0].mean())
    inside = (spectrum[central].sum() - beside * central.sum()) * step_Hz / (0.5 * 4e5)
    assert inside == pytest.approx(0.4, abs=0.02)


def test_central_transition_of_second_order_has_its_horns() -> None:
    """P10: +A and -16 A / 9, 1 %: 1758 and -3125 Hz for 23Na, Cq 2 MHz, 9.4 T."""
    larmor_MHz = 11.262 * 9.4
    high_Hz = second_order_Hz(2000.0, larmor_MHz)
    assert high_Hz == pytest.approx(1758.0, rel=0.01)
    frequency_Hz, spectrum = spectrum_of(2000.0, larmor_MHz, width_Hz=2e4, points=1024, line_Hz=10.0)
    for sign, horn_Hz in ((1.0, high_Hz), (-1.0, -16.0 / 9.0 * high_Hz)):
        side = sign * frequency_Hz > 500.0
        assert frequency_Hz[side][spectrum[side].argmax()] == pytest.approx(horn_Hz, rel=0.01)


def test_the_first_order_pattern_is_the_mean_over_all_directions() -> None:
    t_s = np.linspace(0.0, 2e-4, 41)
    u = (np.arange(20000) + 0.5) / 20000
    wanted = 0.4 + 0.6 * np.cos(2 * math.pi * 0.5 * 22500.0 * np.outer(t_s, 3 * u**2 - 1)).mean(axis=1)
    np.testing.assert_allclose(pattern(41, 5e-6, 0.0, 45.0, 116.65), wanted, atol=1e-6)


def reference(case: str) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Seconds and the decay that mrsimulator has of a case (tests/golden/mrsimulator, made by make.py there)."""
    text = (Path(__file__).parents[2] / "golden" / "mrsimulator" / "patterns.csv").read_text("utf-8")
    rows = np.array([line.split(",")[3:] for line in text.splitlines() if line.startswith(f"{case},")], dtype=np.float64)
    return 1e-6 * rows[:, 0], rows[:, 1] + 1j * rows[:, 2]


def test_satellites_are_those_of_mrsimulator() -> None:
    """There all three transitions weigh the same; here 3 : 4 : 3, as a pulse excites them."""
    t_s, theirs = reference("LiC6")
    own = pattern(t_s.size, t_s[1], 0.0, 45.0, 116.65)
    np.testing.assert_allclose((own - 0.4) / 0.6, (3.0 * theirs - 1.0) / 2.0, atol=2e-3)


def test_the_central_transition_is_that_of_mrsimulator() -> None:
    """23Na, Cq 2 MHz at 9.4 T: its satellites are far away by then, and take no part."""
    t_s, theirs = reference("central")
    own = _central(t_s, second_order_Hz(2000.0, 105.8628))
    np.testing.assert_allclose(own, theirs, atol=1e-3)


def test_without_delay_nothing_is_lost() -> None:
    assert pattern(1, 1e-5, 0.0, 45.0, 116.65)[0] == pytest.approx(1.0, abs=1e-6)
