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

Floats = NDArray[np.float64]

LEAST_SPECTRA = 12
LEAST_GAIN = 9.0
"""So much must chi² per degree fall from the worst lag to the best, or the data do not know."""
SIGMAS = 2.0


class Offset(NamedTuple):
    """``seconds`` to be added to the stamps of one clock to get those of the other, ± ``half_width_s``. ``how``: from what."""

    seconds: float
    half_width_s: float
    how: str


@dataclass(slots=True)
class Bounds:
    """Our clock less theirs lies between ``low_s`` and ``high_s``. ``n``: arrivals so far."""

    low_s: float = -math.inf
    high_s: float = math.inf
    n: int = 0
    broken: int = 0

    def add(self, stamp_s: float, before_s: float, at_s: float, *, late_s: float, resolution_s: float) -> None:
        """What is stamped ``stamp_s`` (cut to ``resolution_s``) was not there at ``before_s`` and was at ``at_s``.

        ``late_s``: so long after its stamp it may have been written. An arrival that contradicts the others has come late: it does not count.
        """
        high_s = at_s - stamp_s
        low_s = before_s - stamp_s - resolution_s - late_s
        if not math.isfinite(low_s):
            return
        if high_s < self.low_s:
            # It came sooner than any that we believed: they were late, not this one.
            self.low_s, self.high_s, self.n, self.broken = low_s, high_s, 1, self.broken + 1
        elif low_s > self.high_s:
            self.broken += 1
        else:
            self.low_s, self.high_s, self.n = max(self.low_s, low_s), min(self.high_s, high_s), self.n + 1

    @property
    def known(self) -> bool:
        """True when both sides are bounded."""
        return self.n > 0

    @property
    def middle_s(self) -> float:
        """The middle of the interval."""
        return (self.low_s + self.high_s) / 2

    @property
    def half_width_s(self) -> float:
        """Half of the interval."""
        return (self.high_s - self.low_s) / 2


def between(ec: Bounds, console: Bounds) -> Offset:
    """What to add to the cycler's stamps to get the console's; both by what our clock has seen of them."""
    how = f"seen arriving by this computer: {ec.n} times from the cycler, {console.n} times from the console"
    return Offset(ec.middle_s - console.middle_s, ec.half_width_s + console.half_width_s, how)


def best_lag(
    start_s: Floats, end_s: Floats, area: Floats, ec_s: Floats, current_A: Floats, *, longest_s: float, error: Floats | None = None
) -> Offset | None:
    """The lag at which areas (float64 (n,)) measured from ``start_s`` to ``end_s`` follow the charge best; None: the data do not know.

    Model: area = a + b·t + c·(mean charge while it was measured). ``ec_s``, ``current_A``: the cycler's samples by its own clock.
    The half width is where chi² has risen by SIGMAS², scaled by its value at the best lag.
    """
    usable = np.isfinite(start_s) & np.isfinite(end_s) & np.isfinite(area) & (end_s > start_s)
    start_s, end_s, area = start_s[usable], end_s[usable], area[usable]
    if area.size < LEAST_SPECTRA or ec_s.size < LEAST_SPECTRA or not np.ptp(current_A):
        return None
    weight = 1.0 / error[usable] if error is not None and np.all(error[usable] > 0) else np.ones(area.size)
    charge_C = np.concatenate([[0.0], np.cumsum(np.diff(ec_s) * (current_A[1:] + current_A[:-1]) / 2)])
    total = np.concatenate([[0.0], np.cumsum(np.diff(ec_s) * (charge_C[1:] + charge_C[:-1]) / 2)])

    def chi2(lag_s: float) -> float:
        inside = (start_s - lag_s >= ec_s[0]) & (end_s - lag_s <= ec_s[-1])
        if inside.sum() < LEAST_SPECTRA:
            return math.inf
        first, last = start_s[inside] - lag_s, end_s[inside] - lag_s
        mean_C = (np.interp(last, ec_s, total) - np.interp(first, ec_s, total)) / (last - first)
        middle = (first + last) / 2
        model = np.stack([np.ones(middle.size), (middle - middle.mean()) / max(np.ptp(middle), 1.0), mean_C - mean_C.mean()], axis=1)
        own = weight[inside]
        solution, *_ = np.linalg.lstsq(model * own[:, None], area[inside] * own, rcond=None)
        rest = (area[inside] - model @ solution) * own
        return float(rest @ rest) / max(1, int(inside.sum()) - 4)

    step_s = max(0.25 * float(np.median(end_s - start_s)), longest_s / 400)
    coarse = np.arange(-longest_s, longest_s + step_s, step_s)
    values = np.array([chi2(lag) for lag in coarse])
    if not np.isfinite(values).any():
        return None
    worst = float(np.max(values[np.isfinite(values)]))
    near = float(coarse[int(np.argmin(values))])
    fine = np.linspace(near - 2 * step_s, near + 2 * step_s, 161)
    fine_values = np.array([chi2(lag) for lag in fine])
    at = int(np.argmin(fine_values))
    least = float(fine_values[at])
    if least <= 0 or worst / least < LEAST_GAIN or abs(fine[at]) >= longest_s:
        return None
    degrees = max(1, area.size - 4)
    within = fine[fine_values <= least * (1 + SIGMAS**2 / degrees)]
    half_width_s = max(float(np.ptp(within)) / 2, float(fine[1] - fine[0]))
    return Offset(float(fine[at]), half_width_s, f"best lag of the areas behind the charge, {area.size} spectra")
