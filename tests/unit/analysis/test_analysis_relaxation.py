"""T1 and T2 of many curves at once: right, with errors that mean what they say, the same as one curve at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from orchestrator.analysis.relaxation import Noise, above_T1, echo_decay, echo_times_s, recovery

ECHO_s = np.array([2.0, 6.0, 10.0, 18.0, 30.0]) * 1e-3
DELAY_s = np.array([5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]) * 1e-3


def magnitudes(T2_s: np.ndarray, amplitude: float, seed: int = 0) -> np.ndarray:
    """Of noise 1 in each part."""
    rng = np.random.default_rng(seed)
    signal = amplitude * np.exp(-ECHO_s / T2_s[..., None])
    return np.abs(signal + rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))


def test_what_was_put_in_comes_out() -> None:
    T2_s = np.array([[3e-3, 8e-3], [16e-3, 40e-3]])
    found = echo_decay(7.0 * np.exp(-ECHO_s / T2_s[..., None]), ECHO_s, 1e-6, noise=Noise.NONE)
    assert found.time_s == pytest.approx(T2_s, rel=1e-6)
    assert found.amplitude == pytest.approx(np.full((2, 2), 7.0), rel=1e-6)
    assert found.determined.all()


def test_a_pixels_error_means_what_it_says() -> None:
    T2_s = np.random.default_rng(1).uniform(5e-3, 16e-3, 3000)
    found = echo_decay(magnitudes(T2_s, 30.0), ECHO_s, 1.0)
    pull = (found.time_s - T2_s) / found.time_sd_s
    assert abs(pull.mean()) < 0.3
    assert 0.9 < pull.std() < 1.1
    assert 0.64 < np.mean(np.abs(pull) < 1) < 0.73
    assert 0.85 < found.chi2_per_point.mean() < 1.0, "magnitudes near the floor scatter less than σ"


def test_noise_of_magnitudes_biases_whoever_does_not_know_it() -> None:
    """SNR 8: the plain fit takes the floor for slow decay; the square with 2 σ² does not."""
    T2_s = np.full(4000, 6e-3)
    data = magnitudes(T2_s, 8.0, seed=2)
    bias_s = {noise: float(np.median(echo_decay(data, ECHO_s, 1.0, noise=noise).time_s)) - 6e-3 for noise in Noise}
    assert bias_s[Noise.NONE] > 1.5e-3
    assert abs(bias_s[Noise.RICE]) < 0.25 * bias_s[Noise.NONE]


def test_the_same_as_one_curve_at_a_time() -> None:
    data = magnitudes(np.full(20, 9e-3), 25.0, seed=3)
    found = echo_decay(data, ECHO_s, 1.0, noise=Noise.NONE)
    for n, curve in enumerate(data):
        best, covariance = curve_fit(lambda t, a, T: a * np.exp(-t / T), ECHO_s, curve, (20.0, 8e-3), np.ones(5), absolute_sigma=True)
        assert found.time_s[n] == pytest.approx(best[1], rel=1e-4)
        assert found.time_sd_s[n] == pytest.approx(covariance[1, 1] ** 0.5, rel=1e-2)


@pytest.mark.parametrize(("inversion", "fraction"), [(False, 0.95), (True, 1.9)])
def test_recovery_with_an_imperfect_pulse(inversion: bool, fraction: float) -> None:
    rng = np.random.default_rng(4)
    T1_s = rng.uniform(10e-3, 200e-3, 1500)
    data = 100.0 * (1.0 - fraction * np.exp(-DELAY_s / T1_s[:, None])) + rng.standard_normal((1500, 7))
    found = recovery(data, DELAY_s, 1.0, inversion=inversion)
    pull = (found.time_s - T1_s) / found.time_sd_s
    assert found.determined.all()
    assert (abs(pull.mean()) < 0.12, 0.9 < pull.std() < 1.1) == (True, True)
    assert np.median(found.fraction) == pytest.approx(fraction, abs=0.01)


def test_a_pixel_of_noise_is_not_determined() -> None:
    found = echo_decay(magnitudes(np.full(2000, 9e-3), 0.0, seed=5), ECHO_s, 1.0)
    assert found.determined.mean() < 0.01


def test_only_what_exceeds_T1_by_two_sigma_is_flagged() -> None:
    delay, echo = DELAY_s, np.array([5e-3, 20e-3, 60e-3, 120e-3, 200e-3])
    t1 = recovery(100 * (1 - np.exp(-delay / np.array([[20e-3], [20e-3]]))), delay, 0.5)
    t2 = echo_decay(100 * np.exp(-echo / np.array([[20e-3], [40e-3]])), echo, 0.5, noise=Noise.NONE)
    assert above_T1(t2.time_s, t2.time_sd_s, float(t1.time_s[0]), float(t1.time_sd_s[0])).tolist() == [False, True]


def test_two_groups_of_echoes_beat_even_spacing() -> None:
    best, even = echo_times_s(2e-3, 10e-3, 6), np.linspace(2e-3, 40e-3, 6)
    errors = [echo_decay(20 * np.exp(-t / 10e-3)[None], t, 1.0, noise=Noise.NONE).time_sd_s[0] for t in (best, even)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize(
    ("times_s", "noise_sd", "says"),
    [
        ([1e-3, 1e-3], 1.0, "at least 2 different"),
        ([1e-3, 2e-3, 3e-3], 1.0, "signals where"),
        ([1e-3, -1.0], 1.0, "not negative"),
        ([1e-3, 2e-3], 0.0, "above zero"),
    ],
)
def test_what_cannot_be_fitted_says_so(times_s: list[float], noise_sd: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        echo_decay(np.ones((3, 2)), np.array(times_s), noise_sd)
