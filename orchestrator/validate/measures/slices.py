"""Where along the stack: spectra of slices (phase encodes before a FID), and echoes at several offsets in a stray field."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orchestrator.validate.compare import Found, mean
from orchestrator.validate.evidence import Encoded, Evidence, Fid, Floats, Place, Spectrum, ppm_axis
from orchestrator.validate.measures.words import Runs, Words, measure, run_of

SD_OF_MEDIAN = 1.0 / 0.6745


def _sum_over(window_ppm: Sequence[float], fid: Fid, one: Spectrum | Encoded) -> Fid:
    """complex128 (...): the spectrum summed over a window, whatever the number of points: the FID's part in it at time 0."""
    low, high = (float(edge) for edge in window_ppm)
    whole = np.fft.fftshift(np.fft.fft(fid, axis=-1), axes=-1)
    ppm = ppm_axis(fid.shape[-1], one.data)
    return np.asarray(whole[..., (ppm >= low) & (ppm <= high)].sum(axis=-1) / fid.shape[-1], dtype=np.complex128)


def slices(one: Encoded, window_ppm: Sequence[float]) -> tuple[Floats, Floats, float]:
    """float64 (views,), (views,), sd: places in mm, how much of a window's signal lies there, in the phase of all of it, and its error.

    The error is what lies in imaginary parts.
    """
    summed = _sum_over(window_ppm, one.kspace, one)
    shown = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(summed)))
    turned = shown * np.exp(-1j * np.angle(shown.sum()))
    return one.z_mm, np.asarray(turned.real, dtype=np.float64), float(np.median(np.abs(turned.imag))) * SD_OF_MEDIAN


def centre(one: Encoded, window_ppm: Sequence[float], inside_mm: Sequence[float] | None = None) -> Found:
    """Mean place in mm of a window's signal; ``inside_mm``: of the slices between two places."""
    z_mm, shown, sd = slices(one, window_ppm)
    low, high = inside_mm if inside_mm is not None else (-math.inf, math.inf)
    kept = (z_mm >= low) & (z_mm <= high)
    z_mm, shown = z_mm[kept], shown[kept]
    total = float(shown.sum())
    middle = float(z_mm @ shown) / total
    return Found(middle, sd * float(np.sqrt(((z_mm - middle) ** 2).sum())) / abs(total))


def centres(words: Words, evidence: Evidence) -> list[tuple[Place, float, float]]:
    """Of each image of ``centre`` that ``where`` admits."""
    taken = [(one, centre(one, words["ppm"], words.get("inside_mm"))) for one in evidence.encoded(str(words["centre"]), words.get("where"))]
    return [(one.place, found.value, found.sigma) for one, found in taken]


@measure
def centre_mm(words: Words, runs: Runs) -> Found:
    """Where along the stack the signal of a window ``ppm`` lies, in mm from its middle, of the images that ``where`` admits."""
    found = run_of(words, runs).encoded(str(words["centre_mm"]), words.get("where"))
    return mean(centre(one, words["ppm"], words.get("inside_mm")) for one in found)


@measure
def slices_close(words: Words, runs: Runs) -> Found:
    """The sum of all slices over a window, over the same of the spectrum ``of`` a single pulse, less 1."""
    evidence = run_of(words, runs)
    sliced = evidence.encoded(str(words["slices_close"]), words.get("where"))[0]
    plain = evidence.spectra(str(words["of"]), words.get("where"))[0]
    _, shown, sd = slices(sliced, words["ppm"])
    whole = abs(complex(_sum_over(words["ppm"], plain.fid, plain)))
    return Found(float(shown.sum()) / whole - 1.0, sd * math.sqrt(len(shown)) / whole)
