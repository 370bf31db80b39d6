"""Complex lines: exact without noise, honest with it, and silent about what is not there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.analysis.lines import Line, LineModel, Sight, fid_noise_sd

FIELD_MHz = 116.6
BULK = Line("bulk", (235.0, 254.0), 246.5, (100.0, 400.0, 3000.0))
MOSS = Line("moss", (254.0, 282.0), 265.0, (100.0, 600.0, 5000.0), optional=True)
METAL = ((1.0, -45.0, 246.5, 300.0, 0.0), (0.5, 3.0, 266.0, 600.0, 0.0))

Component = tuple[float, float, float, float, float]


def sight(**changes: object) -> Sight:
    plain = {"points": 6144, "spectral_width_Hz": 93458.0, "carrier_MHz": FIELD_MHz * (1 + 137e-6), "reference_MHz": FIELD_MHz}
    return Sight(**{**plain, "window_ppm": (200.0, 320.0), **changes})  # type: ignore[arg-type]


def fid(seen: Sight, components: tuple[Component, ...], noise_sd: float = 0.0, seed: int = 0) -> np.ndarray:
    """Amplitude, phase in deg, shift in ppm, Lorentzian and Gaussian width in Hz of each."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(seen.points) / seen.spectral_width_Hz
    signal = noise_sd * (rng.standard_normal(seen.points) + 1j * rng.standard_normal(seen.points))
    for amplitude, phase_deg, shift_ppm, lorentz_Hz, gauss_Hz in components:
        gauss = np.pi**2 * gauss_Hz**2 / (4 * math.log(2))
        turn = 2j * np.pi * seen.offset_Hz(shift_ppm)
        signal += amplitude * np.exp(1j * np.radians(phase_deg) + (turn - np.pi * lorentz_Hz) * t_s - gauss * t_s**2)
    return signal


@pytest.mark.parametrize("reversed_axis", [False, True])
def test_what_was_put_in_comes_out(reversed_axis: bool) -> None:
    seen = sight(reversed_axis=reversed_axis)
    found = LineModel(seen, (BULK, MOSS)).fit(fid(seen, METAL), noise_sd=1e-6)
    for component, (amplitude, phase_deg, shift_ppm, lorentz_Hz, _) in zip(found.components, METAL, strict=True):
        assert component.amplitude == pytest.approx(amplitude, rel=1e-5)
        assert component.phase_deg == pytest.approx(phase_deg, abs=1e-3)
        assert component.shift_ppm == pytest.approx(shift_ppm, abs=1e-5)
        assert component.lorentz_Hz == pytest.approx(lorentz_Hz, rel=1e-5)
        assert component.resolved
    assert found.converged
    assert found.rms_of_maximum < 1e-6


def test_a_gaussian_part_and_a_truncated_fid() -> None:
    """512 points end while the signal still stands: no wiggle is taken for a line."""
    seen = sight(points=512, window_ppm=(0.0, 400.0))
    voigt = Line("moss", (254.0, 282.0), 265.0, (10.0, 100.0, 1000.0), (10.0, 300.0, 2000.0))
    found = LineModel(seen, (voigt,)).fit(fid(seen, ((1.0, 30.0, 266.0, 50.0, 250.0),)), noise_sd=1e-6)["moss"]
    assert (found.lorentz_Hz, found.gauss_Hz) == (pytest.approx(50.0, rel=1e-3), pytest.approx(250.0, rel=1e-3))
    assert (found.amplitude, found.phase_deg) == (pytest.approx(1.0, rel=1e-4), pytest.approx(30.0, abs=0.01))


def test_a_digital_filters_delay_turns_nothing() -> None:
    seen = sight(group_delay_points=44.75)
    spectrum = np.fft.fft(fid(seen, METAL)) * np.exp(-2j * np.pi * np.fft.fftfreq(seen.points) * 44.75)
    found = LineModel(seen, (BULK, MOSS)).fit(np.fft.ifft(spectrum), noise_sd=1e-6)
    assert [one.phase_deg for one in found.components] == pytest.approx([-45.0, 3.0], abs=1e-3)


@pytest.mark.parametrize("noise_sd", [0.01, 0.1])
def test_stated_errors_mean_what_they_say(noise_sd: float) -> None:
    seen = sight()
    model = LineModel(seen, (BULK, MOSS))
    fits = [model.fit(fid(seen, METAL, noise_sd, seed), noise_sd=noise_sd)["moss"] for seed in range(80)]
    pulls = np.array([(one.amplitude - 0.5) / one.amplitude_sd for one in fits])
    assert abs(pulls.mean()) < 3 / math.sqrt(len(pulls))
    assert 0.75 < pulls.std() < 1.3
    assert 0.55 < np.mean(np.abs(pulls) < 1) < 0.81
    turns = np.array([(one.phase_deg - 3.0) / one.phase_sd_deg for one in fits])
    assert 0.75 < turns.std() < 1.3


def test_nothing_is_detected_where_nothing_is() -> None:
    seen = sight()
    model = LineModel(seen, (BULK, MOSS))
    fits = [model.fit(fid(seen, METAL[:1], 0.03, seed)) for seed in range(80)]
    assert not any(one["moss"].resolved for one in fits)
    assert all(one["bulk"].resolved for one in fits)
    assert all(math.isfinite(one["moss"].upper_limit) for one in fits if not one["moss"].resolved)


def test_too_much_noise_gives_a_limit_and_no_number() -> None:
    seen = sight()
    found = LineModel(seen, (BULK, MOSS)).fit(fid(seen, (METAL[0], (0.02, 0.0, 266.0, 600.0, 0.0)), 0.1, seed=4))["moss"]
    assert not found.resolved
    assert found.upper_limit > 0.02


def test_a_curved_baseline_is_not_a_line() -> None:
    seen = sight(polynomial=3)
    wide = (1.0, 80.0, 40.0, 20_000.0, 0.0)
    found = LineModel(seen, (BULK, MOSS)).fit(fid(seen, (*METAL, wide), 0.003), noise_sd=0.003)
    assert found["moss"].amplitude == pytest.approx(0.5, abs=4 * found["moss"].amplitude_sd)
    assert found.chi2_per_point == pytest.approx(1.0, abs=0.15)


def test_the_last_spectrum_helps_the_next() -> None:
    seen = sight()
    model = LineModel(seen, (BULK, MOSS))
    first = model.fit(fid(seen, METAL, 0.01))
    now = fid(seen, METAL, 0.01, seed=1)
    again = model.fit(now, start=first.start)
    assert again.evaluations < model.fit(now).evaluations
    assert again["moss"].amplitude == pytest.approx(0.5, abs=5 * again["moss"].amplitude_sd)


def test_noise_is_measured_beside_a_signal() -> None:
    seen = sight()
    assert fid_noise_sd(fid(seen, METAL, 0.02)) == pytest.approx(0.02, rel=0.06)


@pytest.mark.parametrize("shift_ppm", [137.0, 0.0, -150.0, 340.0])
@pytest.mark.parametrize("points", [256, 1024, 6144])
def test_a_narrow_line_that_has_not_decayed_is_no_noise(shift_ppm: float, points: int) -> None:
    """An electrolyte of 15 Hz lives longer than a short FID: wherever it lies, it is not taken for noise (100 times its size)."""
    seen = sight(points=points)
    found = [fid_noise_sd(fid(seen, ((2.0, 20.0, shift_ppm, 15.0, 0.0),), 0.02, seed)) for seed in range(20)]
    assert np.median(found) == pytest.approx(0.02, rel=0.08)


def test_what_cannot_be_fitted_says_so() -> None:
    with pytest.raises(ValueError, match="too few for 2 lines"):
        LineModel(sight(points=64), (BULK, MOSS))
    with pytest.raises(ValueError, match="outside 235"):
        Line("bulk", (235.0, 254.0), 260.0)
    with pytest.raises(ValueError, match="a FID of shape"):
        LineModel(sight(), (BULK,)).fit(np.zeros(10, complex))
