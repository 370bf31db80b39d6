"""Spectra that came when they came, as an image of even spacing in time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.monitor.tiles import Row

LINES = 240
GAP = 3.0
"""A stretch without a spectrum this many times as long as usual stays empty."""
BRIGHTEST = 99.7
SOFT = 4.0
EMPTY = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """``counts`` uint8 (lines, points), the first line the earliest, 0 where there is nothing; from ``first_s`` to ``last_s``."""

    counts: NDArray[np.uint8]
    first_s: float
    last_s: float


def grid(rows: Sequence[Row], lines: int = LINES) -> Grid | None:
    """Rows in order of time as an image; None without any. Weak lines are lifted out of the noise by an arcsinh.

    Of the absolute value: the phase is for display only, and a line that is half negative must not look like a hole.
    """
    if not rows:
        return None
    middle_s = np.array([one.t_s for one in rows])
    usual_s = float(np.median(np.diff(middle_s))) if len(rows) > 1 else 60.0
    usual_s = usual_s if usual_s > 0 else 60.0
    first_s, last_s = float(middle_s[0] - usual_s / 2), float(middle_s[-1] + usual_s / 2)
    at_s = first_s + (np.arange(lines) + 0.5) * (last_s - first_s) / lines
    nearest = np.abs(at_s[:, None] - middle_s[None, :]).argmin(axis=1)
    counts = _bright(rows)[nearest]
    counts[np.abs(at_s - middle_s[nearest]) > GAP / 2 * usual_s] = EMPTY
    return Grid(counts, first_s, last_s)


def _bright(rows: Sequence[Row]) -> NDArray[np.uint8]:
    stack = np.abs(np.stack([one.intensity for one in rows]))
    noise = float(np.median([one.noise for one in rows if one.noise > 0] or [0.0]))
    most = float(np.percentile(stack, BRIGHTEST))
    soft = SOFT * noise if noise > 0 else (most / 50.0 or 1.0)
    lifted = np.arcsinh(stack / soft)
    full = float(np.arcsinh(max(most, soft) / soft))
    return (1 + np.clip(lifted / full, 0.0, 1.0) * 254).astype(np.uint8)
