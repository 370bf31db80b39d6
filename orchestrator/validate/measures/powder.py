"""A powder pattern of spin 3/2 in a spectrum, fitted as a whole: the coupling, not the largest point."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Fid, Floats, mean_fid, ppm_axis
from orchestrator.validate.measures.lines import blank_of
from orchestrator.validate.measures.words import Runs, Words, measure, run_of

CENTRAL, SATELLITES = 0.4, 0.6
DIRECTIONS = 400


class Part(NamedTuple):
    """What is fitted: times from the pulse on in s, ppm of the points, which of them count, their values, ppm to Hz."""

    t_s: Floats
    ppm: Floats
    inside: Any
    wanted: Fid
    MHz: float


def pattern(t_s: Floats, Cq_Hz: float) -> Floats:
    """float64 (n,): satellites of first order at +-Cq (3 u^2 - 1) / 4 over all directions u, and the central line: 1 at time 0."""
    u, weights = _directions()
    satellites = np.cos(2.0 * math.pi * np.outer(t_s, 0.25 * Cq_Hz * (3.0 * u * u - 1.0))) @ weights
    return np.asarray(CENTRAL + SATELLITES * satellites, dtype=np.float64)


@cache
def _directions() -> tuple[Floats, Floats]:
    """float64 (DIRECTIONS,) each: cosines from 0 to 1 and their weights, by Gauss and Legendre."""
    roots, weights = np.polynomial.legendre.leggauss(DIRECTIONS)
    return 0.5 * (roots + 1.0), 0.5 * weights


def _left_over(found: Floats, part: Part) -> Floats:
    """float64 (2 n,): data less the best pattern on a complex parabola, for coupling in kHz, shift in ppm, widths in kHz."""
    Cq_kHz, shift_ppm, lorentz_kHz, gauss_kHz = found
    centre_Hz = (shift_ppm - part.ppm[len(part.ppm) // 2]) * part.MHz
    decay = np.exp(part.t_s * (2j * math.pi * centre_Hz - math.pi * 1e3 * lorentz_kHz) - 2.0 * (math.pi * 1e3 * gauss_kHz * part.t_s) ** 2)
    line = np.fft.fftshift(np.fft.fft(decay * pattern(part.t_s, 1e3 * Cq_kHz)))[part.inside]
    unit = np.linspace(-1.0, 1.0, line.size)
    columns = np.stack([line, np.ones_like(line), unit.astype(complex), unit.astype(complex) ** 2], axis=1)
    best, *_ = np.linalg.lstsq(columns, part.wanted, rcond=None)
    off = part.wanted - columns @ best
    return np.concatenate([off.real, off.imag])


@measure
def coupling_kHz(words: Words, runs: Runs) -> Found:
    """Quadrupolar coupling Cq of the line near ``coupling_kHz: [Cq, ppm]``, in ``window_ppm`` without what ``but_ppm`` holds.

    ``dead_us``: from the pulse to the first point; ``points``: of the FID that are used (512).
    """
    evidence = run_of(words, runs)
    spectra = evidence.spectra(str(words["of"]), words.get("where"))
    data, count = spectra[0].data, int(words.get("points", 512))
    fid = (mean_fid(spectra) - blank_of(words, evidence))[:count]
    ppm = ppm_axis(count, data)
    low, high = (float(edge) for edge in words["window_ppm"])
    inside = (ppm >= low) & (ppm <= high)
    for begin, end in words.get("but_ppm", ()):
        inside &= (ppm < float(begin)) | (ppm > float(end))
    t_s = np.arange(count) / float(data["spectral_width_Hz"]) + 1e-6 * float(words.get("dead_us", 10.0))
    part = Part(t_s, ppm, inside, np.fft.fftshift(np.fft.fft(fid))[inside], float(data["reference_MHz"]))
    Cq_kHz, shift_ppm = (float(each) for each in words["coupling_kHz"])
    made = least_squares(_left_over, (Cq_kHz, shift_ppm, 0.4, 0.3), args=(part,), x_scale=(1.0, 1.0, 0.1, 0.1))
    slopes = np.asarray(made.jac, dtype=np.float64)
    covariance = np.linalg.inv(slopes.T @ slopes) * 2.0 * float(made.cost) / (2 * int(inside.sum()) - 12)
    return Found(float(made.x[0]), math.sqrt(float(covariance[0, 0])))
