"""T1, T2, pulses and maps out of made-up data with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.analysis import maps, sweeps
from orchestrator.analysis.chain import Axis, Chain
from orchestrator.analysis.fourier import FourierSettings
from orchestrator.analysis.windows import Window

SW, POINTS, CARRIER = 50e3, 1024, 100.0
T2_s = 0.008


def chain(*, reversed_axis: bool = False) -> Chain:
    settings = FourierSettings(points=POINTS, spectral_width_Hz=SW, reversed_axis=reversed_axis)
    return Chain(
        settings,
        Axis(CARRIER, CARRIER),
        [Window("electrolyte", -20, 20), Window("metal", 90, 110, metal=True), Window("empty", -150, -110)],
    )


def rows(signal: np.ndarray, noise_sd: float, *, reversed_axis: bool = False, seed: int = 1) -> np.ndarray:
    """Lines at 0 and 100 ppm; the second has the signal of each row and a skin's phase."""
    t = np.arange(POINTS) / SW
    shape = np.exp(-2 * math.pi * 100 * t)
    fids = 3.0 * shape + np.outer(signal, np.exp(1j * (2 * math.pi * 100 * CARRIER * t - 0.9)) * shape)
    fids = np.conj(fids) if reversed_axis else fids
    rng = np.random.default_rng(seed)
    return fids + noise_sd * (rng.standard_normal(fids.shape) + 1j * rng.standard_normal(fids.shape))


def found(
    sequence: str, name: str, values: np.ndarray, signal: np.ndarray, *, reversed_axis: bool = False, settings: dict | None = None
) -> dict:
    sweep = sweeps.Sweep(sequence, name, values, "7Li", settings or {})
    told = sweeps.told(sweep, chain(reversed_axis=reversed_axis), rows(signal, 0.05, reversed_axis=reversed_axis), 0.05)
    return {one.name: (one.value, one.error) for one in told}


def close(pair: tuple[float, float], truth: float) -> bool:
    """Within four errors, and the error says something."""
    return abs(pair[0] - truth) < 4 * pair[1] < 0.4 * truth


@pytest.mark.parametrize("reversed_axis", [False, True])
def test_T2_of_an_array_of_echoes(reversed_axis: bool) -> None:
    TE_ms = np.array([1.0, 2, 4, 8, 16, 1])
    told = found("hahn_echo", "TE_ms", TE_ms, 2.0 * np.exp(-TE_ms / 8.0), reversed_axis=reversed_axis)
    assert close(told["T2(metal)"], 0.008)
    assert abs(told["drift(metal)"][0]) < 4 * told["drift(metal)"][1]
    assert not any("empty" in name for name in told)


@pytest.mark.parametrize(("sequence", "fraction"), [("saturation_recovery", 1.0), ("inversion_recovery", 1.8)])
def test_T1_of_a_recovery_keeps_its_sign(sequence: str, fraction: float) -> None:
    tau_ms = np.array([5.0, 20, 50, 100, 200, 400, 1000])
    told = found(sequence, "tau_ms", tau_ms, 2.0 * (1 - fraction * np.exp(-tau_ms / 148.0)))
    assert close(told["T1(metal)"], 0.148)


def test_the_90_degree_pulse_in_free_space_and_in_metal() -> None:
    pulse_us = np.array([2.0, 4, 6, 8, 10, 12, 16, 20])
    assert close(found("nutation", "pulse_us", pulse_us, 2.0 * np.sin(0.5 * math.pi * pulse_us / 7.0))["pulse_90(metal)"], 7.0)
    assert close(found("nutation", "pulse_us", pulse_us, 2.0 * sweeps.thick_skin(0.5 * math.pi * pulse_us / 7.0))["pulse_90(metal)"], 7.0)


def test_a_thick_skin_is_brightest_at_123_degrees_of_surface_angle() -> None:
    """domain.md 4.12."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    u = 0.5 * (nodes + 1)
    angles = np.radians(np.arange(60, 181))
    sizes = [abs((np.sin(b * u) * u ** (2j) * 0.5 * weights).sum()) for b in angles]
    assert np.degrees(angles[int(np.argmax(sizes))]) == pytest.approx(123, abs=2)
    assert sweeps.thick_skin(np.array([math.pi / 2]))[0] == pytest.approx(1.0)


def test_diffusion_by_gradients() -> None:
    settings = {"full_gradient_T_per_m": 10.0, "gradient_ms": 2.0, "diffusion_ms": 50.0}
    percent = np.array([5.0, 20, 40, 60, 80, 100])
    b = sweeps.gradient_factor(sweeps.Sweep("stimulated_echo", "gradient_percent", percent, "7Li", settings))
    told = found("stimulated_echo", "gradient_percent", percent, 2.0 * np.exp(-b * 1e-11), settings=settings)
    assert close(told["diffusion(metal)"], 1e-11)


# ----------------------------------------------------------------------------------------------------------------- maps

ECHO_s = np.array([3.0, 5, 8, 13, 20, 3]) * 1e-3


def series(*, cluster: float, seed: int = 1, mirrored: bool = False) -> np.ndarray:
    """Two electrodes of 60 pixels at a signal of 30 times the noise, T2 8 ms; a cluster of 16 pixels at 4 times the noise, T2 16 ms."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(ECHO_s), 32, 64), complex)
    T2 = np.clip(rng.normal(T2_s, 0.001, (32, 64)), 0.005, 0.012)
    images[:, 1:31, 20] = images[:, 1:31, 44] = 1.0
    images *= np.exp(-ECHO_s[:, None, None] / T2) * 45.0
    images[:, 18:22, 33:37] = (cluster * 4.8 * np.exp(-ECHO_s / 0.016))[:, None, None]
    images *= np.exp(0.7j)
    images += rng.standard_normal(images.shape) + 1j * rng.standard_normal(images.shape)
    shifted = np.fft.fft2(np.fft.ifftshift(images, axes=(-2, -1)))
    k = np.fft.fftshift(shifted, axes=(-2, -1))
    return np.conj(k) if mirrored else k


def test_an_image_comes_back_in_either_sense_of_rotation() -> None:
    assert np.allclose(maps.magnitudes(series(cluster=1.0)), maps.magnitudes(series(cluster=1.0, mirrored=True), mirrored=True))
    assert maps.image_noise_sd(series(cluster=1.0)) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_isolated_cluster_of_long_T2_is_found_and_where_there_is_none_none_is(seed: int) -> None:
    with_it = maps.mapped(series(cluster=1.0, seed=seed), ECHO_s, 1.0)
    assert with_it.summary.cluster is not None
    assert abs(with_it.summary.cluster.T2_s - 0.016) < 3.5 * with_it.summary.cluster.sd_s
    assert with_it.cluster[18:22, 33:37].sum() >= 8
    assert with_it.cluster.sum() == with_it.summary.cluster.pixels <= 24
    assert maps.mapped(series(cluster=0.0, seed=seed), ECHO_s, 1.0).summary.cluster is None


def test_the_electrodes_T2_its_histogram_and_no_drift() -> None:
    found = maps.mapped(series(cluster=1.0), ECHO_s, 1.0)
    assert found.summary.electrode_s == pytest.approx(T2_s, abs=4 * found.summary.electrode_sd_s)
    assert found.histogram.sum() == (found.determined & (found.T2_s < maps.BINS[-1])).sum()
    assert maps.BINS[int(np.argmax(found.histogram))] == pytest.approx(T2_s, abs=1.5e-3)
    assert abs(found.summary.drift) < 4 * found.summary.drift_sd


def test_a_loss_of_signal_during_the_series_is_drift() -> None:
    k = series(cluster=1.0)
    k[-1] *= 0.9
    found = maps.mapped(k, ECHO_s, 1.0).summary
    assert found.drift == pytest.approx(-0.1, abs=4 * found.drift_sd)


def test_nothing_but_noise_gives_an_empty_map() -> None:
    rng = np.random.default_rng(3)
    k = rng.standard_normal((6, 16, 16)) + 1j * rng.standard_normal((6, 16, 16))
    found = maps.mapped(k, ECHO_s, maps.image_noise_sd(k))
    assert found.summary.cluster is None
    assert math.isnan(found.summary.electrode_s) or found.summary.pixels < 5


def test_a_pixel_is_above_the_metals_T1_only_where_two_errors_say_so() -> None:
    """practice.md 26: at a signal of four times the noise a good 16 ms scatters to 24; P4 wants what cannot be metal told."""
    T2_s = np.array([[8.0, 16.0, 24.0, 40.0, 40.0, 60.0]]) * 1e-3
    T2_sd_s = np.array([[0.1, 3.0, 6.0, 0.5, 20.0, 0.5]]) * 1e-3
    determined = np.array([[True, True, True, True, True, False]])
    summary = maps.Summary(8e-3, 1e-4, 1e-3, 5, None, math.nan, math.nan)
    found = maps.Mapped(T2_s, T2_sd_s, T2_s, determined, determined, determined, np.zeros(1, np.int64), summary)
    assert maps.above_metals_T1(found, "23Na") == 1
    assert maps.above_metals_T1(found, "7Li") == 0, "148 ms"
