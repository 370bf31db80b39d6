"""Magic-angle spinning of a powder: what an anisotropic shift becomes, in time. Pure numpy.

A rotor period turns the field around in the rotor's frame; an orientation's frequency b(psi)^T T b(psi) has no mean there, only
harmonics of the rotor, so that the signal is the isotropic line times sidebands. Their sizes are the mean over orientations of the
squared harmonics of exp(i integral), which also averages over where the rotor was at the pulse (Herzfeld and Berger 1980). The bulk
susceptibility and the dipolar field of unpaired electrons act in the same way; homogeneous widths stay the line's own.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MAGIC_rad = math.acos(1.0 / math.sqrt(3.0))
TURNS = 128
"""Places of the rotor that are looked at: sidebands up to half as many on either side."""
DIRECTIONS = 24


@lru_cache(maxsize=64)
def sidebands(anisotropy_Hz: float, asymmetry: float, spinning_Hz: float) -> tuple[float, ...]:
    """Sizes of the sidebands of order -64 to 63; they add up to 1. ``anisotropy_Hz``: largest principal value less the mean."""
    psi = 2.0 * math.pi * np.arange(TURNS) / TURNS
    rotor = np.stack([math.sin(MAGIC_rad) * np.cos(psi), math.sin(MAGIC_rad) * np.sin(psi), np.full(TURNS, math.cos(MAGIC_rad))])
    sizes = np.zeros(TURNS)
    roots, weights = np.polynomial.legendre.leggauss(DIRECTIONS)
    for u, weight in zip(roots, weights, strict=True):
        for n in range(DIRECTIONS):
            tensor = _turned(anisotropy_Hz, asymmetry, math.acos(u), math.pi * (n + 0.5) / DIRECTIONS)
            frequency_Hz = np.einsum("ik,ij,jk->k", rotor, tensor, rotor)
            sizes += 0.5 * weight / DIRECTIONS * _harmonics(frequency_Hz / spinning_Hz)
    return tuple(np.fft.fftshift(sizes).tolist())


def _turned(anisotropy_Hz: float, asymmetry: float, beta_rad: float, alpha_rad: float) -> Floats:
    """float64 (3, 3): the tensor in the rotor's frame."""
    own = anisotropy_Hz * np.diag([-0.5 * (1.0 + asymmetry), -0.5 * (1.0 - asymmetry), 1.0])
    a, b = (math.cos(alpha_rad), math.sin(alpha_rad)), (math.cos(beta_rad), math.sin(beta_rad))
    about_z = np.array([[a[0], -a[1], 0.0], [a[1], a[0], 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[b[0], 0.0, b[1]], [0.0, 1.0, 0.0], [-b[1], 0.0, b[0]]])
    turn = about_y @ about_z
    return np.asarray(turn @ own @ turn.T, dtype=np.float64)


def _harmonics(turns: Floats) -> Floats:
    """float64 (TURNS,): squared harmonics of the signal of one orientation, from its frequency in units of the rotor's."""
    parts = np.fft.fft(turns)
    order = np.fft.fftfreq(TURNS, 1.0 / TURNS)
    phase = np.fft.ifft(np.divide(parts, 1j * order, out=np.zeros_like(parts), where=order != 0.0)).real
    return np.asarray(np.abs(np.fft.fft(np.exp(1j * phase)) / TURNS) ** 2, dtype=np.float64)


def spun(count: int, step_s: float, start_s: float, sizes: tuple[float, ...], spinning_Hz: float) -> NDArray[np.complex128]:
    """complex128 (count,): what a line of one frequency is multiplied with, at start, start + step, …; 1 at time zero."""
    turn = np.exp(2j * math.pi * spinning_Hz * (start_s + step_s * np.arange(count)))
    found = np.zeros(count, dtype=np.complex128)
    for order, size in enumerate(sizes, -TURNS // 2):
        if size > 1e-9:
            found += size * turn**order
    return found
