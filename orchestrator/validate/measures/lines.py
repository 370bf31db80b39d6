"""Lines of spectra: position, size and phase by a fit, and what a formula makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.analysis.battery import excitation, face_excitation
from orchestrator.analysis.lines import Component, LineFit
from orchestrator.validate.compare import Found
from orchestrator.validate.evidence import Evidence, Fid, Spectrum, fitted, lines_of, mean_fid
from orchestrator.validate.measures.words import NotFound, Runs, Words, measure, measured, run_of


def _fit(words: Words, runs: Runs) -> LineFit:
    evidence = run_of(words, runs)
    return fit_of(evidence.spectra(str(words["of"]), words.get("where")), words, blank_of(words, evidence))


def blank_of(words: Words, evidence: Evidence) -> Fid | float:
    """complex128 (points,): the mean of what ``less`` admits, or nothing."""
    return mean_fid(evidence.spectra(str(words["of"]), words["less"])) if isinstance(words.get("less"), Mapping) else 0.0


def fit_of(spectra: Sequence[Spectrum], words: Words, blank: Fid | float = 0.0) -> LineFit:
    """``lines`` in ``window_ppm`` of the mean of these spectra."""
    return fitted(
        mean_fid(spectra) - blank, spectra[0].data, lines_of(words["lines"]), words["window_ppm"], int(words.get("polynomial", 2))
    )


def _component(words: Words, runs: Runs, name: str) -> Component:
    line = _fit(words, runs)[name]
    if not line.resolved:
        raise NotFound(f"the line `{name}` is not resolved")
    return line


@measure
def shift(words: Words, runs: Runs) -> Found:
    """Position in ppm of a line in the mean of the spectra that ``where`` admits, fitted with all ``lines`` of ``window_ppm``.

    ``less``: a where of the same acquisition, whose mean is taken off first.
    """
    line = _component(words, runs, str(words["shift"]))
    return Found(line.shift_ppm, line.shift_sd_ppm)


@measure
def area(words: Words, runs: Runs) -> Found:
    """Amplitude of a line: of one scan's FID at time zero."""
    line = _component(words, runs, str(words["area"]))
    return Found(line.amplitude, line.amplitude_sd)


@measure
def width(words: Words, runs: Runs) -> Found:
    """Full width at half height of a line's Lorentzian part, in Hz."""
    line = _component(words, runs, str(words["width"]))
    return Found(line.lorentz_Hz, line.lorentz_sd_Hz)


@measure
def amplitude(words: Words, runs: Runs) -> Found:
    """The same, resolved or not."""
    line = _fit(words, runs)[str(words["amplitude"])]
    return Found(line.amplitude, line.amplitude_sd)


@measure
def phase_between(words: Words, runs: Runs) -> Found:
    """Phase of the first of two lines less that of the second, in degrees, less what they turned before the first point."""
    spectra = run_of(words, runs).spectra(str(words["of"]), words.get("where"))
    first, second = (fit_of(spectra, words)[name] for name in words["phase_between"])
    apart_Hz = (first.shift_ppm - second.shift_ppm) * float(spectra[0].data["reference_MHz"])
    turned_deg = 360.0 * apart_Hz * float(words.get("evolved_us", 0.0)) * 1e-6
    value = (first.phase_deg - second.phase_deg - turned_deg + 180.0) % 360.0 - 180.0
    return Found(value, math.hypot(first.phase_sd_deg, second.phase_sd_deg))


@measure
def excited_area(words: Words, runs: Runs) -> Found:
    """Amplitude of a line over what a pulse of ``pulse_us`` and ``tip_deg`` excites so far from the carrier (domain.md 4.10).

    ``thick``: of a thick metal face, each depth under its own field (4.12).
    """
    spectra = run_of(words, runs).spectra(str(words["of"]), words.get("where"))
    line, data = fit_of(spectra, words)[str(words["excited_area"])], spectra[0].data
    offset_Hz = line.shift_ppm * float(data["reference_MHz"]) - (float(data["carrier_MHz"]) - float(data["reference_MHz"])) * 1e6
    seen, _ = (face_excitation if words.get("thick") else excitation)(
        offset_Hz, float(words["pulse_us"]), float(words.get("tip_deg", 90.0))
    )
    return Found(line.amplitude, line.amplitude_sd).scaled(1.0 / float(seen))


@measure
def highest(words: Words, runs: Runs) -> Found:
    """Position in ppm of the largest point of the magnitude spectrum inside ``highest: [low, high]``; ``broadened_Hz`` 300."""
    evidence = run_of(words, runs)
    spectra = evidence.spectra(str(words["of"]), words.get("where"))
    data, fid = spectra[0].data, mean_fid(spectra) - blank_of(words, evidence)
    width_Hz, reference_MHz = float(data["spectral_width_Hz"]), float(data["reference_MHz"])
    t_s = np.arange(len(fid)) / width_Hz
    spectrum = np.fft.fftshift(np.fft.fft(fid * np.exp(-math.pi * float(words.get("broadened_Hz", 300.0)) * t_s), 4 * len(fid)))
    offset_Hz = np.fft.fftshift(np.fft.fftfreq(4 * len(fid), 1.0 / width_Hz))
    ppm = (offset_Hz + (float(data["carrier_MHz"]) - reference_MHz) * 1e6) / reference_MHz
    low, high = (float(edge) for edge in words["highest"])
    inside = (ppm >= low) & (ppm <= high)
    at = float(ppm[inside][int(np.argmax(np.abs(spectrum[inside])))])
    return Found(at, float(words.get("broadened_Hz", 300.0)) / reference_MHz / 2.0)


@measure
def saturation(words: Words, runs: Runs) -> Found:
    """By what a 90 degree line with the T1 that ``saturation`` measures (s) gains between two repetition times ``TR_s``."""
    T1 = measured(words["saturation"], runs)
    first_s, second_s = (float(each) for each in words["TR_s"])

    def gain(T1_s: float) -> float:
        return -math.expm1(-second_s / T1_s) / -math.expm1(-first_s / T1_s)

    return Found(gain(T1.value), abs(gain(T1.value + T1.sigma) - gain(T1.value)))


@measure
def echo_left(words: Words, runs: Runs) -> Found:
    """exp(-TE / T2) for the T2 that ``echo_left`` measures (s), and what a 180 degree pulse refocuses ``offset_kHz`` off resonance.

    ``pulse_us``: of 90 degrees. Refocused is half of what the pulse inverts.
    """
    T2, echo_s = measured(words["echo_left"], runs), 1e-3 * float(words["TE_ms"])
    field_kHz, offset_kHz = 250.0 / float(words.get("pulse_us", 10.0)), float(words.get("offset_kHz", 0.0))
    total_kHz = math.hypot(field_kHz, offset_kHz)
    refocused = (field_kHz / total_kHz * math.sin(0.5 * math.pi * total_kHz / field_kHz)) ** 2
    left = refocused * math.exp(-echo_s / T2.value)
    return Found(left, left * echo_s / T2.value**2 * T2.sigma)
