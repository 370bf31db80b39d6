"""Cross peaks of a two-dimensional exchange spectrum, by least squares in both dimensions."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.analysis.lines import LineFit
from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Spectrum
from orchestrator.validate.measures.lines import fit_of
from orchestrator.validate.measures.words import Floats, Runs, Words, measure, run_of

Complexes = np.ndarray[tuple[int, ...], np.dtype[np.complex128]]


def _decay(fit: LineFit, name: str, t_s: Floats) -> Floats:
    """float64 (n,): of one line, by its fitted widths (full at half height)."""
    line = fit[name]
    gauss_sd_Hz = line.gauss_Hz / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    return np.asarray(np.exp(-math.pi * line.lorentz_Hz * t_s - 2.0 * (math.pi * gauss_sd_Hz * t_s) ** 2), dtype=np.float64)


def _offset_Hz(fit: LineFit, name: str, one: Spectrum) -> float:
    reference_MHz = float(one.data["reference_MHz"])
    return fit[name].shift_ppm * reference_MHz - (float(one.data["carrier_MHz"]) - reference_MHz) * 1e6


def _shown(rows: list[Spectrum], fit: LineFit, names: list[str]) -> Complexes:
    """complex128 (rows, 2): how much of each line every row shows."""
    t_s = np.arange(len(rows[0].fid)) / float(rows[0].data["spectral_width_Hz"])
    turned = [np.exp(2j * math.pi * _offset_Hz(fit, name, rows[0]) * t_s) * _decay(fit, name, t_s) for name in names]
    found, *_ = np.linalg.lstsq(np.stack(turned, axis=1), np.stack([one.fid for one in rows], axis=1), rcond=None)
    return np.asarray(found.T, dtype=np.complex128)


@measure
def cross_peaks(words: Words, runs: Runs) -> Found:
    """Of two lines: both cross peaks over both diagonal ones; ``tell: symmetry``: one cross peak over the other.

    Lines are fitted in the first row, at no evolution; then amplitudes alone, of both dimensions.
    """
    evidence, names = run_of(words, runs), [str(name) for name in words["cross_peaks"]]
    rows = evidence.spectra(str(words["of"]), words.get("where"))
    evolved_s = 1e-6 * evidence.swept(str(words["of"]), "evolution")
    fit = fit_of(rows[:1], words)
    shown = _shown(rows, fit, names)
    shown = np.asarray(shown * np.exp(-1j * np.angle(shown[0]))[None])
    labels = np.stack(
        [np.cos(2.0 * math.pi * _offset_Hz(fit, name, rows[0]) * evolved_s) * _decay(fit, name, evolved_s) for name in names], axis=1
    )
    peaks, *_ = np.linalg.lstsq(labels, shown.real, rcond=None)
    left = shown.real - labels @ peaks
    sd = np.sqrt(np.outer(np.diag(np.linalg.inv(labels.T @ labels)), (left**2).sum(axis=0) / (len(rows) - 2)))
    if words.get("tell") == "symmetry":
        value = float(peaks[0, 1] / peaks[1, 0])
        return Found(value, abs(value) * math.hypot(sd[0, 1] / peaks[0, 1], sd[1, 0] / peaks[1, 0]))
    diagonal = float(peaks[0, 0] + peaks[1, 1])
    return Found(float(peaks[0, 1] + peaks[1, 0]) / diagonal, math.hypot(sd[0, 1], sd[1, 0]) / abs(diagonal))
