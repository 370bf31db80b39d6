"""The running half-cycle beside the same one of the cycle before: what a tired person looks at first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REST_A = 1e-9
C_PER_mAh = 3.6
NEAR_V = 0.02
NEAR_PART = 0.1
"""As expected: within 20 mV of the cycle before, or a tenth of what its half-cycle spans."""
LEAST = 2

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Voltage of one step: ``along`` float64 (n,) in mAh under current, in minutes at rest."""

    step: int
    cycle: int
    along: Real
    voltage_V: Real


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas of a line in the running step (``now``) and in the same one of the cycle before: ``along`` as in ``Curve``."""

    name: str
    now: tuple[Real, Real]
    before: tuple[Real, Real]


@dataclass(frozen=True, slots=True)
class Halves:
    """The running step and the same one of an earlier cycle; ``above_V``: how far the newest point lies above it."""

    now: Curve
    before: Curve | None
    resting: bool
    above_V: float | None

    @property
    def expected(self) -> bool | None:
        """Is the voltage where it was a cycle ago? None: nobody knows."""
        if self.above_V is None or self.before is None:
            return None
        span_V = float(np.ptp(self.before.voltage_V))
        return abs(self.above_V) <= max(NEAR_V, NEAR_PART * span_V)


def halves(samples: NDArray[Any]) -> Halves | None:
    """The newest step of ``SAMPLE`` (n,) and its like of the cycle before; None without a sample."""
    samples = samples[np.isfinite(samples["voltage_V"])]
    if not samples.size:
        return None
    starts = np.flatnonzero(np.r_[True, np.diff(samples["step"]) != 0])
    steps = [samples[first:end] for first, end in zip(starts, np.r_[starts[1:], samples.size], strict=True)]
    kinds = [_direction(step) for step in steps]
    cycles = [int(step["cycle"][-1]) for step in steps]
    kind, led_in = kinds[-1], kinds[-2] if len(kinds) > 1 else 0
    like = [
        number
        for number in range(len(steps) - 1)
        if kinds[number] == kind and cycles[number] < cycles[-1] and (kind or (kinds[number - 1] if number else 0) == led_in)
    ]
    now = _curve(steps[-1], kind)
    before = _curve(steps[like[-1]], kind) if like and steps[like[-1]].size >= LEAST else None
    return Halves(now, before, kind == 0, _above(now, before))


def areas(half: Halves | None, name: str, seen: NDArray[Any], samples: NDArray[Any]) -> Areas | None:
    """``SEEN`` (n,) of an area beside the voltage of the same half-cycles; None where nothing of it falls into them."""
    if half is None or not seen.size:
        return None
    now, before = (_seen_in(None if one is None else one.step, seen, samples, resting=half.resting) for one in (half.now, half.before))
    return Areas(name, now, before) if now[0].size or before[0].size else None


def _seen_in(step: int | None, seen: NDArray[Any], samples: NDArray[Any], *, resting: bool) -> tuple[Real, Real]:
    own = samples[samples["step"] == step] if step is not None else samples[:0]
    if not own.size:
        return np.empty(0), np.empty(0)
    inside = seen[(seen["t_s"] >= own["t_s"][0]) & (seen["t_s"] <= own["t_s"][-1])]
    minutes, mAh = (own["t_s"] - own["t_s"][0]) / 60.0, np.abs(own["charge_step_C"].astype(np.float64)) / C_PER_mAh
    return np.interp(inside["t_s"], own["t_s"], minutes if resting else mAh), inside["value"].astype(np.float64)


def _direction(step: NDArray[Any]) -> int:
    current_A = float(np.median(step["current_A"]))
    return 0 if not abs(current_A) > REST_A else 1 if current_A > 0 else -1


def _curve(step: NDArray[Any], kind: int) -> Curve:
    charge, time = np.abs(step["charge_step_C"].astype(np.float64)) / C_PER_mAh, (step["t_s"] - step["t_s"][0]) / 60.0
    return Curve(int(step["step"][-1]), int(step["cycle"][-1]), charge if kind else time, step["voltage_V"].astype(np.float64))


def _above(now: Curve, before: Curve | None) -> float | None:
    """Above the earlier curve at the same charge or time; None beyond its end."""
    if before is None or not now.along[-1] <= before.along.max():
        return None
    order = np.argsort(before.along, kind="stable")
    return float(now.voltage_V[-1] - np.interp(now.along[-1], before.along[order], before.voltage_V[order]))
