"""Relaxation times of many curves at once: T1 by saturation or inversion recovery, T2 by echoes (domain.md 4.8).

One Levenberg-Marquardt loop over all curves together: small normal equations side by side, no loop over curves; where a step was
good the next one uses the true curvature (Newton), so that noisy curves settle in few rounds too. Weights are 1/σ. Errors come from
the covariance; a curve that does not tell (flat, lost in the noise, beyond the times measured) is not ``determined``. Noise of
magnitudes: ``MEAN`` adds its mean σ√(π/2) (Rayleigh), ``RICE`` adds 2σ² to the square; complex or phased data have none.
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
ROUNDING = 1e-12
"""Of chi²: no rise at all."""
SINGULAR = 1e-12
"""So far below the product of the variances may the determinant lie, and two parameters are still told apart."""
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


Symmetric = dict[tuple[int, int], Floats]
"""A symmetric matrix a curve: (i, j) with j <= i, (curves,) each."""


class _Problem(NamedTuple):
    """``model``: value (times, curves) and a slope of that shape by each parameter, at parameters (k, curves) of the curves chosen.

    ``bend``: the sum over residual times second derivative, from parameters, gradient, and the part of the gradient by the rate that
    is weighted with rate times time: every second derivative of these models is a slope over a parameter, or a slope times that product.
    """

    model: Callable[[Floats, Any], tuple[Floats, tuple[Floats, ...]]]
    bend: Callable[[Floats, list[Floats], Floats], Symmetric]
    times: Floats
    start: Floats


def echo_decay(signals: NDArray[np.floating[Any]], echo_s: Floats, noise_sd: float | Floats, *, noise: Noise = Noise.RICE) -> Relaxation:
    """T2 from signals float64 (…, times) at echo times (times,); ``noise_sd``: of the real part, one or (…). Raises ValueError."""
    return _fitted(Law.ECHO, signals, echo_s, noise_sd, noise)


def recovery(signals: NDArray[np.floating[Any]], delay_s: Floats, noise_sd: float | Floats, *, inversion: bool = False) -> Relaxation:
    """T1 from phased signals float64 (…, times): S0 (1 - f exp(-t/T1)), f = 1 or 2 at start and free. Raises ValueError."""
    return _fitted(Law.INVERSION if inversion else Law.SATURATION, signals, delay_s, noise_sd, Noise.NONE)


def above_T1(T2_s: Floats, T2_sd_s: Floats, T1_s: float, T1_sd_s: float) -> Bools:
    """Shape of ``T2_s``: True where T2 - 2σ exceeds T1 (practice.md 26: only then; the strict bound is 2 T1, and never clip)."""
    return np.asarray(T2_s - 2.0 * np.hypot(T2_sd_s, T1_sd_s) > T1_s)


def echo_times_s(shortest_s: float, expected_T2_s: float, n: int) -> Floats:
    """float64 (n,): echo times for the least error of T2 where it is expected: half as short as can be, half near 1.28 T2 later."""
    early = n // 2
    return np.concatenate([np.full(early, shortest_s), np.full(n - early, shortest_s + 1.2785 * expected_T2_s)])


def _fitted(law: Law, signals: NDArray[np.floating[Any]], times_s: Floats, noise_sd: float | Floats, noise: Noise) -> Relaxation:
    times_s = np.asarray(times_s, dtype=np.float64)
    shape = signals.shape[:-1]
    data = np.ascontiguousarray(np.asarray(signals, dtype=np.float64).reshape(-1, signals.shape[-1]).T)
    sd = np.broadcast_to(np.asarray(noise_sd, dtype=np.float64), shape).reshape(-1)
    _require(data, times_s, sd, law)
    unit_s = float(times_s.max())
    scaled = times_s / unit_s
    problem = _echo(data, scaled, sd, noise) if law is Law.ECHO else _recovery(data, scaled, 1.0 if law is Law.SATURATION else 2.0)
    parameters, covariance, chi2, settled = _least_squares(problem, data, sd)
    return _told(parameters, covariance, chi2 / max(1, len(data) - len(parameters)), settled, unit_s, shape)


def _require(data: Floats, times_s: Floats, sd: Floats, law: Law) -> None:
    needed = 2 if law is Law.ECHO else 3
    if times_s.ndim != 1 or len(data) != len(times_s):
        raise ValueError(f"{len(data)} signals where {len(times_s)} times are given")
    if len(np.unique(times_s)) < needed:
        raise ValueError(f"{law.value}: at least {needed} different times are needed")
    if (times_s < 0).any() or not np.isfinite(times_s).all() or times_s.max() <= 0:
        raise ValueError("times are finite and not negative")
    if not (sd > 0).all():
        raise ValueError("the noise is above zero")


def _echo(data: Floats, t: Floats, sd: Floats, noise: Noise) -> _Problem:
    """Parameters: amplitude, logarithm of the rate."""
    mean, floor, column = sd * math.sqrt(math.pi / 2.0), 2.0 * sd**2, t[:, None]

    def model(p: Floats, chosen: Any) -> tuple[Floats, tuple[Floats, ...]]:
        fallen = np.exp(p[1]) * column
        decay = np.exp(-fallen)
        plain = p[0] * decay
        fallen *= -plain
        if noise is not Noise.RICE:
            return plain + (mean[chosen] if noise is Noise.MEAN else 0.0), (decay, fallen)
        value = np.sqrt(plain**2 + floor[chosen])
        plain /= value
        return value, (decay * plain, fallen * plain)

    def bend(p: Floats, downhill: list[Floats], weighted: Floats) -> Symmetric:
        """Of the decay; what RICE's root bends besides is left out: it counts only where the signal lies in the noise."""
        return {(1, 0): downhill[1] / p[0], (1, 1): downhill[1] - weighted}

    first, last = int(np.argmin(t)), int(np.argmax(t))
    high = np.maximum(data[first], sd)
    low = np.clip(data[last], 0.05 * high, 0.95 * high)
    rate = np.log(high / low) / (t[last] - t[first])
    return _Problem(model, bend, t, np.stack([high * np.exp(rate * t[first]), np.log(rate)]))


def _recovery(data: Floats, t: Floats, fraction: float) -> _Problem:
    """Parameters: amplitude, logarithm of the rate, fraction."""
    column = t[:, None]

    def model(p: Floats, _: Any) -> tuple[Floats, tuple[Floats, ...]]:
        fallen = np.exp(p[1]) * column
        decay = np.exp(-fallen)
        left = 1.0 - p[2] * decay
        return p[0] * left, (left, p[0] * p[2] * fallen * decay, -p[0] * decay)

    def bend(p: Floats, downhill: list[Floats], weighted: Floats) -> Symmetric:
        _, by_rate, by_fraction = downhill
        return {(1, 0): by_rate / p[0], (2, 0): by_fraction / p[0], (1, 1): by_rate - weighted, (2, 1): by_rate / p[2]}

    full = data[int(np.argmax(t))]
    target = full * (1.0 - fraction * math.exp(-1.0))
    nearest = np.argmin(np.abs(data - target) + (column <= 0) * 1e300, axis=0)
    return _Problem(model, bend, t, np.stack([full, -np.log(t[nearest]), np.full(data.shape[1], fraction)]))


def _least_squares(problem: _Problem, data: Floats, sd: Floats) -> tuple[Floats, Floats, Floats, Bools]:
    """Parameters (k, curves), covariances (k, k, curves), chi² (curves,), settled (curves,). What has settled is left alone.

    Curves lie along the last axis: every step is one pass over all that still move, whatever else is in the batch.
    """
    p, weight = problem.start.copy(), 1.0 / sd**2
    all_chi2, settled = np.empty(len(sd)), np.zeros(len(sd), bool)
    going, damping, now = np.arange(len(sd)), np.full(len(sd), DAMPING[0]), p.copy()
    value, slopes = problem.model(now, going)
    residual, w = data - value, weight
    chi2, good = _chi2(residual, w), np.zeros(len(sd), bool)
    for _ in range(ROUNDS):
        matrix, downhill = _normal(slopes), [np.einsum("tn,tn->n", slope, residual) for slope in slopes]
        diagonal = [np.maximum(matrix[i, i], 1e-300) for i in range(len(now))]
        with np.errstate(all="ignore"):  # what bends beyond all bounds makes a bad step, and the next one does without
            weighted = np.exp(now[1]) * np.einsum("t,tn,tn->n", problem.times, slopes[1], residual)
            for (i, j), bent in problem.bend(now, downhill, weighted).items():
                matrix[i, j] = matrix[i, j] - np.where(good, bent, 0.0)
        for i, one in enumerate(diagonal):
            matrix[i, i] = matrix[i, i] + damping * one
        step, convex = _solved(matrix, downhill)
        step[1] = np.clip(step[1], -2.0, 2.0)
        tried = now + step
        value, tried_slopes = problem.model(tried, going)
        tried_residual = data[:, going] - value if len(going) < len(sd) else data - value
        tried_chi2 = _chi2(tried_residual, w)
        good = convex & (tried_chi2 <= chi2 * (1.0 + ROUNDING))
        damping = np.clip(np.where(good, 0.2, 5.0) * damping, *DAMPING[1:])
        over = good & (np.abs(step) * np.sqrt(diagonal * w) < SETTLED).all(axis=0)
        worse = np.flatnonzero(~good)
        for new, old in zip((tried, tried_residual, *tried_slopes), (now, residual, *slopes), strict=True):
            new[:, worse] = old[:, worse]
        tried_chi2[worse] = chi2[worse]
        now, residual, slopes, chi2 = tried, tried_residual, tried_slopes, tried_chi2
        if over.any():
            p[:, going[over]], all_chi2[going[over]], settled[going[over]] = now[:, over], chi2[over], True
            left = ~over
            now, residual, chi2, damping, w = (each[..., left] for each in (now, residual, chi2, damping, w))
            going, good = going[left], good[left]
            slopes = tuple(each[:, left] for each in slopes)
        if not len(going):
            break
    p[:, going], all_chi2[going] = now, chi2
    _, slopes = problem.model(p, slice(None))
    return p, _inverted(_normal(slopes), len(p)) / weight, all_chi2, settled


def _chi2(residual: Floats, weight: Floats) -> Floats:
    found: Floats = np.einsum("tn,tn->n", residual, residual) * weight
    return np.where(np.isfinite(found), found, np.inf)


def _normal(slopes: tuple[Floats, ...]) -> Symmetric:
    """The normal matrix for a noise of one."""
    return {(i, j): np.einsum("tn,tn->n", slopes[i], slopes[j]) for i in range(len(slopes)) for j in range(i + 1)}


def _solved(matrix: Symmetric, downhill: list[Floats]) -> tuple[Floats, Bools]:
    """float64 (k, curves), by elimination side by side; (curves,): the matrix is positive. Zero where there is no solution."""
    k, left, right = len(downhill), dict(matrix), list(downhill)
    with np.errstate(all="ignore"):
        convex = np.ones(right[0].shape, bool)
        for i in range(k):
            convex &= left[i, i] > 0.0
            for row in range(i + 1, k):
                factor = left[row, i] / left[i, i]
                right[row] = right[row] - factor * right[i]
                for column in range(i + 1, row + 1):
                    left[row, column] = left[row, column] - factor * left[column, i]
        found = np.empty((k, *right[0].shape))
        for i in reversed(range(k)):
            found[i] = (right[i] - sum(left[j, i] * found[j] for j in range(i + 1, k))) / left[i, i]
    found[:, ~np.isfinite(found).all(axis=0)] = 0.0
    return found, convex


def _inverted(normal: Symmetric, k: int) -> Floats:
    """float64 (k, k, curves): covariances; the pseudo-inverse where a parameter is not determined."""
    matrices = np.array([[normal[max(i, j), min(i, j)] for j in range(k)] for i in range(k)])
    if k != 2:
        return np.moveaxis(_pseudo_inverse(np.moveaxis(matrices, -1, 0)), 0, -1)
    (a, b), (_, c) = matrices
    determinant = a * c - b * b
    sound = np.isfinite(determinant) & (determinant > SINGULAR * a * c)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.array([[c, -b], [-b, a]]) / determinant
    if not sound.all():
        found[..., ~sound] = np.moveaxis(_pseudo_inverse(np.moveaxis(matrices[..., ~sound], -1, 0)), 0, -1)
    return found


def _pseudo_inverse(matrices: Floats) -> Floats:
    with np.errstate(all="ignore"):  # what is not determined may be as large as it likes
        return np.linalg.pinv(matrices, rcond=1e-13, hermitian=True).astype(np.float64)


def _told(p: Floats, covariance: Floats, chi2_per_point: Floats, settled: Bools, unit_s: float, shape: tuple[int, ...]) -> Relaxation:
    with np.errstate(over="ignore"):
        time_s = unit_s * np.exp(-p[1])
    sd = np.sqrt(np.maximum(np.einsum("iin->in", covariance), 0.0))
    alone = len(p) == 2
    fraction, fraction_sd = (np.ones(p.shape[1]), np.zeros(p.shape[1])) if alone else (p[2], sd[2])
    determined = settled & (sd[1] > 0) & (sd[1] <= DETERMINED) & (p[0] > 3.0 * sd[0])
    amplitude, amplitude_sd, times, time_sd, fraction, fraction_sd, misfit = (
        column.reshape(shape) for column in (p[0], sd[0], time_s, time_s * sd[1], fraction, fraction_sd, chi2_per_point)
    )
    return Relaxation(amplitude, amplitude_sd, times, time_sd, fraction, fraction_sd, misfit, determined.reshape(shape))
