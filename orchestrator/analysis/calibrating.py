"""What a preparation reads from its FIDs: the line of a reference, the 90 degree pulse, the level of the noise, the headroom. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.lines import fid_noise_sd
from orchestrator.analysis.sweeps import pulse_90

Complexes = NDArray[np.complex128]
ZERO_FILLING = 4
LEAST_SNR = 10.0
"""A line below this is none that a spectrum is referenced by (inferred)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The axis of a FID, as the console tells it."""

    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    group_delay_points: float = 0.0
    reversed_axis: bool = False


class Line(NamedTuple):
    """The strongest line, weighted by its own width: shift and its error, width at half height (absolute value), SNR."""

    shift_ppm: float
    shift_sd_ppm: float
    width_ppm: float
    snr: float


class Pulse(NamedTuple):
    """The pulse of 90 degrees and its error."""

    p90_us: float
    p90_sd_us: float


def noise_sd(fid: NDArray[np.complexfloating[Any, Any]], scans: int) -> float:
    """Of one scan, in stored units, from the end of a FID (points,) or of all rows (rows, points)."""
    rows = np.atleast_2d(np.asarray(fid, dtype=np.complex128))
    return float(np.median([fid_noise_sd(row) for row in rows])) / math.sqrt(scans)


def largest(fid: NDArray[np.complexfloating[Any, Any]], scans: int) -> float:
    """The largest part of a FID (any shape), of one scan, in stored units."""
    return float(max(np.abs(fid.real).max(initial=0.0), np.abs(fid.imag).max(initial=0.0))) / scans


def _spectrum(rows: Complexes, seen: Seen) -> tuple[Complexes, NDArray[np.float64]]:
    """complex128 (rows, n) and ppm float64 (n,), ascending in frequency; the digital filter's delay is cut off."""
    rows = np.conj(rows) if seen.reversed_axis else rows
    rows = rows[:, round(seen.group_delay_points) :]
    n = ZERO_FILLING * 2 ** math.ceil(math.log2(rows.shape[1]))
    offset_Hz = np.fft.fftshift(np.fft.fftfreq(n, 1.0 / seen.spectral_width_Hz))
    ppm = ((seen.carrier_MHz - seen.reference_MHz) * 1e6 + offset_Hz) / seen.reference_MHz
    return np.fft.fftshift(np.fft.fft(rows, n, axis=1), axes=1), ppm


def _around(magnitude: NDArray[np.float64], top: int) -> tuple[int, int]:
    """First and last index at which a line is at least half as high as at its top."""
    below = magnitude < 0.5 * magnitude[top]
    left = np.flatnonzero(below[:top])
    right = np.flatnonzero(below[top:])
    return (int(left[-1]) + 1 if left.size else 0), (top + int(right[0]) - 1 if right.size else magnitude.size - 1)


def strongest_line(fid: NDArray[np.complexfloating[Any, Any]], seen: Seen) -> Line | None:
    """Of a FID (points,); None where nothing stands out of the noise."""
    rows = np.asarray(fid, dtype=np.complex128)[None]
    raw_sd = fid_noise_sd(rows[0])
    width_ppm, filtered = 0.0, np.ones(rows.shape[1])
    for _ in range(2):  # once as it is, then weighted by the width that was seen
        spectra, ppm = _spectrum(rows * filtered, seen)
        magnitude = np.abs(spectra[0])
        top = int(np.argmax(magnitude))
        snr = float(magnitude[top] / max(raw_sd * math.sqrt(float((filtered**2).sum())), 1e-300))
        first, last = _around(magnitude, top)
        seen_ppm = float(ppm[last] - ppm[first]) + float(ppm[1] - ppm[0])
        width_ppm = width_ppm or seen_ppm
        filtered = _matched(rows.shape[1], width_ppm * seen.reference_MHz / math.sqrt(3.0), seen)
    if raw_sd <= 0.0 or snr < LEAST_SNR:
        return None
    return Line(_vertex(magnitude, ppm, top), 0.5 * seen_ppm / snr, width_ppm, snr)


def _matched(points: int, width_Hz: float, seen: Seen) -> NDArray[np.float64]:
    """float64 (points,): the decay of a Lorentzian of that width, from the end of the digital filter's delay on."""
    t_s = np.maximum(np.arange(points) - round(seen.group_delay_points), 0) / seen.spectral_width_Hz
    return np.asarray(np.exp(-math.pi * width_Hz * t_s), dtype=np.float64)


def _vertex(magnitude: NDArray[np.float64], ppm: NDArray[np.float64], top: int) -> float:
    """The top of the parabola through what is nearly as high as the highest point."""
    low = magnitude < 0.8 * magnitude[top]
    left, right = np.flatnonzero(low[:top]), np.flatnonzero(low[top:])
    first = max(0, min(int(left[-1]) + 1 if left.size else 0, top - 1))
    last = min(magnitude.size, max(top + int(right[0]) if right.size else magnitude.size, top + 2))
    away = ppm[first:last] - ppm[top]
    bend, slope, _ = np.polyfit(away, magnitude[first:last], 2)
    return float(ppm[top] + (-0.5 * slope / bend if bend < 0.0 else 0.0))


def ninety_degrees(fids: NDArray[np.complexfloating[Any, Any]], pulse_us: NDArray[np.float64], seen: Seen) -> Pulse | None:
    """From a nutation: FIDs (rows, points) and their pulses (rows,); None where no law of ``sweeps`` fits the strongest line."""
    rows = np.asarray(fids, dtype=np.complex128)
    spectra, _ = _spectrum(rows, seen)
    strongest = int(np.argmax(np.abs(spectra).max(axis=1)))
    magnitude = np.abs(spectra[strongest])
    first, last = _around(magnitude, int(np.argmax(magnitude)))
    integrals = spectra[:, first : last + 1].sum(axis=1)
    turned = (integrals * np.conj(integrals[strongest]) / abs(integrals[strongest])).real
    points = last + 1 - first
    sd = float(np.median([fid_noise_sd(row) for row in rows])) * math.sqrt(rows.shape[1] * points * min(points, ZERO_FILLING))
    signal = turned * (1.0 if turned[0] > 0 else -1.0)
    if np.abs(signal).max() < LEAST_SNR * sd:
        return None
    found = next(pulse_90("reference", signal, pulse_us, sd), None)
    return None if found is None else Pulse(found.value, found.error)
