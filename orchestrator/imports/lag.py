"""By how much two computers' clocks differ, from what both have seen. Pure.

While files grow, each arrival bounds the difference: what is stamped T and appears between two of our looks was written between
them. All bounds together are an interval (``Bounds``). Of files that are finished only physics is left: an area follows the charge
that has passed, and the lag at which it does so best is the difference (``best_lag``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.follow.bounds import Bounds

Floats = NDArray[np.float64]

LEAST_SPECTRA = 12
LEAST_GAIN = 9.0
"""So much must chi² per degree fall from the worst lag to the best, or the data do not know."""
SIGMAS = 2.0
RIVAL = 2.0
"""Another lag does equally well when no more than so much is left there."""
PARAMETERS = 4


class Offset(NamedTuple):
    """``seconds`` to be added to the stamps of one clock to get those of the other, ± ``half_width_s``. ``how``: from what."""

    seconds: float
    half_width_s: float
    how: str


def between(ec: Bounds, console: Bounds) -> Offset:
    """What to add to the cycler's stamps to get the console's; both by what our clock has seen of them."""
    how = f"seen arriving by this computer: {ec.n} times from the cycler, {console.n} times from the console"
    return Offset(ec.middle_s - console.middle_s, ec.half_width_s + console.half_width_s, how)


@dataclass(frozen=True, slots=True, eq=False)
class _Behind:
    """Areas behind a charge: how well they follow it at a lag. All float64 (n,), but ``ec_s``, ``total`` (m,)."""

    start_s: Floats
    end_s: Floats
    area: Floats
    ec_s: Floats
    total: Floats
    """The charge's own integral, so that means over any interval are differences."""

    def inside(self, *lags_s: float) -> NDArray[np.bool_]:
        """Which spectra lie among the samples at all of these lags."""
        first, last = self.ec_s[0], self.ec_s[-1]
        earliest, latest = min(lags_s), max(lags_s)
        found: NDArray[np.bool_] = (self.start_s - latest >= first) & (self.end_s - earliest <= last)
        return found

    def chi2(self, lag_s: float, which: NDArray[np.bool_]) -> float:
        """Sum of squares of what is left of area = a + b·t + c·(mean charge while it was measured), over these spectra."""
        first, last = self.start_s[which] - lag_s, self.end_s[which] - lag_s
        mean_C = (np.interp(last, self.ec_s, self.total) - np.interp(first, self.ec_s, self.total)) / (last - first)
        middle = (first + last) / 2
        model = np.stack([np.ones(middle.size), (middle - middle.mean()) / max(float(np.ptp(middle)), 1.0), mean_C - mean_C.mean()], axis=1)
        solution, *_ = np.linalg.lstsq(model, self.area[which], rcond=None)
        rest = self.area[which] - model @ solution
        return float(rest @ rest)


def best_lag(start_s: Floats, end_s: Floats, area: Floats, ec_s: Floats, current_A: Floats, *, longest_s: float) -> Offset | None:
    """The lag at which areas (float64 (n,)) measured from ``start_s`` to ``end_s`` follow the charge best; None: the data do not know.

    ``ec_s``, ``current_A``: the cycler's samples by its own clock. The half width is where chi² has risen by SIGMAS² of what is left
    of one spectrum at the best lag. Two lags far apart that do equally well (half a period of cycling) are no answer.
    """
    usable = np.isfinite(start_s) & np.isfinite(end_s) & np.isfinite(area) & (end_s > start_s)
    if usable.sum() < LEAST_SPECTRA or ec_s.size < LEAST_SPECTRA or not np.ptp(current_A):
        return None
    charge_C = _integral(ec_s, current_A)
    behind = _Behind(start_s[usable], end_s[usable], area[usable], ec_s, _integral(ec_s, charge_C))
    step_s = max(0.25 * float(np.median(end_s[usable] - start_s[usable])), longest_s / 400)
    coarse = np.arange(-longest_s, longest_s + step_s, step_s)
    mean_squares = np.array([_per_degree(behind, lag) for lag in coarse])
    if not np.isfinite(mean_squares).any():
        return None
    at = int(np.argmin(mean_squares))
    far = np.abs(coarse - coarse[at]) > 4 * step_s
    rivals, finite = mean_squares[far], mean_squares[np.isfinite(mean_squares)]
    if finite.max() < LEAST_GAIN * mean_squares[at] or at in {0, coarse.size - 1} or (rivals < RIVAL * mean_squares[at]).any():
        return None
    return _refined(behind, float(coarse[at]), step_s)


def _integral(at: Floats, values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.diff(at) * (values[1:] + values[:-1]) / 2)])


def _per_degree(behind: _Behind, lag_s: float) -> float:
    which = behind.inside(lag_s)
    n = int(which.sum())
    return behind.chi2(lag_s, which) / (n - PARAMETERS) if n >= LEAST_SPECTRA else math.inf


def _refined(behind: _Behind, near_s: float, width_s: float) -> Offset | None:
    """By ever finer steps over the same spectra."""
    which = behind.inside(near_s - 2 * width_s, near_s + 2 * width_s)
    n = int(which.sum())
    if n < LEAST_SPECTRA:
        return None
    for _ in range(3):
        fine = np.linspace(near_s - 2 * width_s, near_s + 2 * width_s, 81)
        values = np.array([behind.chi2(lag, which) for lag in fine])
        near_s, least = float(fine[int(np.argmin(values))]), float(values.min())
        within = fine[values <= least * (1 + SIGMAS**2 / (n - PARAMETERS))]
        spacing_s = float(fine[1] - fine[0])
        if within.size >= 20 or least <= 0:
            break
        width_s = max(float(np.ptp(within)), 2 * spacing_s)
    half_width_s = max(near_s - float(within[0]), float(within[-1]) - near_s) + spacing_s
    return Offset(near_s, half_width_s, f"best lag of an area behind the charge, {n} spectra")
