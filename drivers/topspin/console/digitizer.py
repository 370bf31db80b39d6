"""From the twin's FID to the numbers of a data set: digital filter, scaling, bytes. Pure.

A decimation filter answers before its pulse is over: the FID begins ``delay_points`` late behind a ramp. Here it is a windowed
sinc of twice that length, so that its delay is exact and its pass-band flat (inferred: the true coefficients are Bruker's own).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.topspin.console.releases import Release

BLOCK = 1024
KAISER = 8.0
MOST = 2**30


def delayed(signal: NDArray[np.complex128], delay_points: float) -> NDArray[np.complex128]:
    """complex128 (points,): the signal as the digital filter gives it, the ramp in front, as many points as before."""
    length = int(2 * delay_points) + 1
    place = np.arange(length) - delay_points
    inside = np.clip(1.0 - (place / (delay_points + 1.0)) ** 2, 0.0, None)
    taps = np.sinc(place) * np.i0(KAISER * np.sqrt(inside)) / np.i0(KAISER)
    points = signal.size
    whole = 1 << (points + length - 1).bit_length()
    mixed = np.fft.ifft(np.fft.fft(signal, whole) * np.fft.fft(taps, whole))
    return np.asarray(mixed[:points], dtype=np.complex128)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes without padding, the power of two they are to be multiplied by, the greatest and the least number."""

    data: bytes
    NC: int
    most: float
    least: float


def stored(signal: NDArray[np.complex128], release: Release) -> Stored:
    """Real and imaginary parts in turn, scaled up as far as the release does and the integers allow."""
    numbers = np.empty(2 * signal.size)
    numbers[0::2], numbers[1::2] = signal.real, signal.imag
    if release.DTYPA == 2:
        return Stored(numbers.astype(release.raw_dtype).tobytes(), 0, float(numbers.max()), float(numbers.min()))
    peak = float(np.max(np.abs(numbers), initial=1.0))
    NC = max(release.NC_least, -int(math.log2(MOST / peak))) if peak < MOST else 0
    whole = np.rint(numbers * 2.0**-NC).astype(release.raw_dtype)
    return Stored(whole.tobytes(), NC, int(whole.max()), int(whole.min()))


def padded(data: bytes) -> bytes:
    """Up to whole blocks of 1024 bytes."""
    return data + bytes(-len(data) % BLOCK)
