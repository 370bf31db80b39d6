"""Relaxation times of many curves at once: T1 by saturation or inversion recovery, T2 by echoes (domain.md 4.8).

One Levenberg-Marquardt loop over all curves together: small normal equations side by side, no loop over curves. Weights are
1/σ. Errors come from the covariance; a curve that does not tell (flat, lost in the noise, beyond the times measured) is not
``determined``. Noise of magnitudes: ``MEAN`` adds its mean σ√(π/2) (Rayleigh), ``RICE`` adds 2σ² to the square; complex or
phased data have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROUNDS = 60
SETTLED = 1e-5
"""Of a standard deviation: a step shorter than this ends a fit."""
DAMPING = (1e-3, 1e-12, 1e12)
DETERMINED = 0.5
"""Largest relative standard error of a time that is still told."""


class Noise(StrEnum):
    """What the noise adds to a magnitude."""

    NONE = "none"
    MEAN = "mean"
    RICE = "rice"


class Law(StrEnum):
    """How the signal depends on time."""

    ECHO = "echo"
    SATURATION = "saturation"
    INVERSION = "inversion"


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """float64 (curves,) each; ``*_sd``: one standard deviation. ``fraction``: of the magnetisation that was turned (1 = perfect).

    ``determined``: the fit stands, and the time is known to half of itself. Nothing is clipped; what is not determined is there
    as it was found, with its error.
    """

    amplitude: Floats
    amplitude_sd: Floats
    time_s: Floats
    time_sd_s: Floats
    fraction: Floats
    fraction_sd: Floats
    chi2_per_point: Floats
    determined: Bools


class _Problem(NamedTuple):
    """``model``: value (curves, times) and slopes (curves, times, parameters) at parameters (curves, k) of the curves chosen."""

    model: Callable[[Floats, Any], tuple[Floats, Floats]]
    start: Floats


def echo_decay(signals: NDArray[np.floating[Any]], echo_s: Floats, noise_sd: float | Floats, *, noise: Noise = Noise.RICE) -> Relaxation:
    """T2 from signals float64 (…, times) at echo times (times,); ``noise_sd``: of the real part, one or (…). Raises ValueError."""
    return _fitted(Law.ECHO, signals, echo_s, noise_sd, noise)


def recovery(signals: NDArray[np.floating[Any]], delay_s: Floats, noise_sd: float | Floats, *, inversion: bool = False) -> Relaxation:
    """T1 from phased signals float64 (…, times): S0 (1 - f exp(-t/T1)), f = 1 or 2 at start and free. Raises ValueError."""
    return _fitted(Law.INVERSION if inversion else Law.SATURATION, signals, delay_s, noise_sd, Noise.NONE)


def within_bound(t2: Relaxation, t1: Relaxation) -> Bools:
    """Shape (curves,): False where T2 - 2σ exceeds T1 (practice.md 26: only then; the strict bound is 2 T1, and never clip)."""
    return ~(t2.time_s - 2.0 * np.hypot(t2.time_sd_s, t1.time_sd_s) > t1.time_s)


def echo_times_s(shortest_s: float, expected_T2_s: float, n: int) -> Floats:
    """float64 (n,): echo times for the least error of T2 where it is expected: half as short as can be, half near 1.28 T2 later."""
    early = n // 2
    return np.concatenate([np.full(early, shortest_s), np.full(n - early, shortest_s + 1.2785 * expected_T2_s)])


def _fitted(law: Law, signals: NDArray[np.floating[Any]], times_s: Floats, noise_sd: float | Floats, noise: Noise) -> Relaxation:
    times_s = np.asarray(times_s, dtype=np.float64)
    shape = signals.shape[:-1]
    data = np.ascontiguousarray(signals, dtype=np.float64).reshape(-1, signals.shape[-1])
    sd = np.broadcast_to(np.asarray(noise_sd, dtype=np.float64), shape).reshape(-1)
    _require(data, times_s, sd, law)
    unit_s = float(times_s.max())
    scaled = times_s / unit_s
    problem = _echo(data, scaled, sd, noise) if law is Law.ECHO else _recovery(data, scaled, 1.0 if law is Law.SATURATION else 2.0)
    parameters, covariance, chi2, settled = _least_squares(problem, data, sd)
    return _told(parameters, covariance, chi2 / max(1, data.shape[1] - parameters.shape[1]), settled, unit_s, shape)


def _require(data: Floats, times_s: Floats, sd: Floats, law: Law) -> None:
    needed = 2 if law is Law.ECHO else 3
    if times_s.ndim != 1 or data.shape[1] != len(times_s):
        raise ValueError(f"{data.shape[1]} signals where {len(times_s)} times are given")
    if len(np.unique(times_s)) < needed:
        raise ValueError(f"{law.value}: at least {needed} different times are needed")
    if (times_s < 0).any() or not np.isfinite(times_s).all() or times_s.max() <= 0:
        raise ValueError("times are finite and not negative")
    if not (sd > 0).all():
        raise ValueError("the noise is above zero")


def _echo(data: Floats, t: Floats, sd: Floats, noise: Noise) -> _Problem:
    """Parameters: amplitude, logarithm of the rate."""
    mean, floor = sd[:, None] * math.sqrt(math.pi / 2.0), 2.0 * sd[:, None] ** 2

    def model(p: Floats, chosen: Any) -> tuple[Floats, Floats]:
        rate = np.exp(p[:, 1:2])
        decay = np.exp(-rate * t)
        plain = p[:, 0:1] * decay
        by = np.stack([decay, -rate * t * plain], axis=-1)
        if noise is not Noise.RICE:
            return plain + (mean[chosen] if noise is Noise.MEAN else 0.0), by
        value = np.sqrt(plain**2 + floor[chosen])
        return value, by * (plain / value)[..., None]

    first, last = int(np.argmin(t)), int(np.argmax(t))
    high = np.maximum(data[:, first], sd)
    low = np.clip(data[:, last], 0.05 * high, 0.95 * high)
    rate = np.log(high / low) / (t[last] - t[first])
    return _Problem(model, np.stack([high * np.exp(rate * t[first]), np.log(rate)], axis=1))


def _recovery(data: Floats, t: Floats, fraction: float) -> _Problem:
    """Parameters: amplitude, logarithm of the rate, fraction."""

    def model(p: Floats, _: Any) -> tuple[Floats, Floats]:
        rate = np.exp(p[:, 1:2])
        decay = np.exp(-rate * t)
        left = 1.0 - p[:, 2:3] * decay
        by = np.stack([left, p[:, 0:1] * p[:, 2:3] * rate * t * decay, -p[:, 0:1] * decay], axis=-1)
        return p[:, 0:1] * left, by

    full = data[:, int(np.argmax(t))]
    target = full * (1.0 - fraction * math.exp(-1.0))
    nearest = np.argmin(np.abs(data - target[:, None]) + (t <= 0) * 1e300, axis=1)
    return _Problem(model, np.stack([full, -np.log(t[nearest]), np.full(len(data), fraction)], axis=1))


def _least_squares(problem: _Problem, data: Floats, sd: Floats) -> tuple[Floats, Floats, Floats, Bools]:
    """Parameters (curves, k), covariances (curves, k, k), chi² (curves,), settled (curves,). What has settled is left alone."""
    p = problem.start.copy()
    damping = np.full(len(p), DAMPING[0])
    chi2 = _chi2(data, problem.model(p, slice(None))[0], sd)
    going = np.arange(len(p))
    for _ in range(ROUNDS):
        value, slopes = problem.model(p[going], going)
        normal, downhill = _normal(slopes, data[going] - value, sd[going])
        diagonal = np.maximum(np.einsum("nii->ni", normal), 1e-300)
        damped = normal + np.einsum("ni,ij->nij", damping[going, None] * diagonal, np.eye(p.shape[1]))
        step = np.linalg.solve(damped, downhill[..., None])[..., 0]
        step[:, 1] = np.clip(step[:, 1], -2.0, 2.0)
        tried = p[going] + step
        tried_chi2 = _chi2(data[going], problem.model(tried, going)[0], sd[going])
        better = tried_chi2 <= chi2[going]
        p[going[better]], chi2[going[better]] = tried[better], tried_chi2[better]
        damping[going] = np.clip(np.where(better, 0.2, 5.0) * damping[going], *DAMPING[1:])
        going = going[~(better & (np.abs(step) * np.sqrt(diagonal) < SETTLED).all(axis=1))]
        if not len(going):
            break
    settled = np.ones(len(p), bool)
    settled[going] = False
    value, slopes = problem.model(p, slice(None))
    normal, _ = _normal(slopes, data - value, sd)
    covariance: Floats = np.linalg.pinv(normal, rcond=1e-13, hermitian=True).astype(np.float64)
    return p, covariance, chi2, settled


def _chi2(data: Floats, value: Floats, sd: Floats) -> Floats:
    found: Floats = (((data - value) / sd[:, None]) ** 2).sum(axis=1)
    return np.where(np.isfinite(found), found, np.inf)


def _normal(slopes: Floats, residual: Floats, sd: Floats) -> tuple[Floats, Floats]:
    weighted = slopes / (sd**2)[:, None, None]
    k = range(slopes.shape[2])
    normal = np.empty((len(slopes), len(k), len(k)))
    for i in k:
        for j in range(i + 1):
            normal[:, i, j] = normal[:, j, i] = np.einsum("nt,nt->n", weighted[:, :, i], slopes[:, :, j])
    return normal, np.stack([np.einsum("nt,nt->n", weighted[:, :, i], residual) for i in k], axis=1)


def _told(p: Floats, covariance: Floats, chi2_per_point: Floats, settled: Bools, unit_s: float, shape: tuple[int, ...]) -> Relaxation:
    with np.errstate(over="ignore"):
        time_s = unit_s * np.exp(-p[:, 1])
    sd = np.sqrt(np.maximum(np.einsum("nii->ni", covariance), 0.0))
    alone = p.shape[1] == 2
    fraction, fraction_sd = (np.ones(len(p)), np.zeros(len(p))) if alone else (p[:, 2], sd[:, 2])
    determined = settled & (sd[:, 1] > 0) & (sd[:, 1] <= DETERMINED) & (p[:, 0] > 3.0 * sd[:, 0])
    amplitude, amplitude_sd, times, time_sd, fraction, fraction_sd, misfit = (
        column.reshape(shape) for column in (p[:, 0], sd[:, 0], time_s, time_s * sd[:, 1], fraction, fraction_sd, chi2_per_point)
    )
    return Relaxation(amplitude, amplitude_sd, times, time_sd, fraction, fraction_sd, misfit, determined.reshape(shape))
