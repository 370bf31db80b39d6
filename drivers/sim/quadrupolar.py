"""Powder patterns of spin 3/2 in time: satellites of first order, central transition of second. Pure numpy, eta = 0.

With nu_Q = Cq / 2 and u = cos of the angle to the field, the satellites lie at +-nu_Q (3 u^2 - 1) / 2 (0.3 of the intensity
each, horns at +-Cq/4), the central transition at -nu_Q^2 / (16 nu_0) (I (I + 1) - 3/4) (1 - u^2) (9 u^2 - 1) (0.4; horns at +A
and -16 A / 9). Source: domain.md 5.2; held to mrsimulator 1.0.0 by tests/golden/mrsimulator. The pulse turns all three alike: that the
central line nutates up to twice as fast is not simulated.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
CENTRAL, SATELLITES = 0.4, 0.6
NEGLIGIBLE_Hz = 2.0


def second_order_Hz(Cq_kHz: float, larmor_MHz: float) -> float:
    """A: the upper horn of the central transition."""
    return 3.0 * (500.0 * Cq_kHz) ** 2 / (16.0 * larmor_MHz * 1e6)


@lru_cache(maxsize=32)
def pattern(count: int, step_s: float, start_s: float, Cq_kHz: float, larmor_MHz: float) -> NDArray[np.complex128]:
    """complex128 (count,): what a line of one frequency is multiplied with, at start, start + step, …; 1 at time zero."""
    t_s = start_s + step_s * np.arange(count, dtype=np.float64)
    both = CENTRAL * _central(t_s, second_order_Hz(Cq_kHz, larmor_MHz)) + SATELLITES * _satellites(t_s, 500.0 * Cq_kHz)
    return np.asarray(both, dtype=np.complex128)


def _satellites(t_s: Times, nu_Q_Hz: float) -> NDArray[np.complex128]:
    """complex128 (n,): the mean of both over all directions, by Fresnel's integrals."""
    from scipy.special import fresnel

    turn = np.maximum(math.pi * nu_Q_Hz * t_s, 1e-12)
    reach = np.sqrt(6.0 * turn / math.pi)
    sine, cosine = fresnel(reach)
    return np.asarray((np.exp(-1j * turn) * (cosine + 1j * sine) / reach).real, dtype=np.complex128)


def _central(t_s: Times, horn_Hz: float) -> NDArray[np.complex128]:
    if horn_Hz < NEGLIGIBLE_Hz:
        return np.ones(t_s.size, dtype=np.complex128)
    roots, weights = np.polynomial.legendre.leggauss(64 + int(16.0 * horn_Hz * t_s[-1]))
    u2 = (0.5 * (roots + 1.0)) ** 2
    shift_Hz = -horn_Hz * (1.0 - u2) * (9.0 * u2 - 1.0)
    return np.asarray(np.exp(2j * math.pi * np.outer(t_s, shift_Hz)) @ (0.5 * weights), dtype=np.complex128)
