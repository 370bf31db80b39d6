"""What rules may look at: every observable by name, its unit and where it comes from. Pure data.

``short_ratio`` = abs(E - I·R_lead) / (abs(I)·R_cell) and ``polarisation_ratio`` = abs(E) / abs(E as the step's current began); R_cell is
the resistance of the last impedance spectrum, or of the first minute, less R_lead. ``Re(Z) at 1000 Hz``: the real part of the last
impedance spectrum at a frequency inside it, as measured, leads and all. ``noise_sd``: of one scan, relative.
``reflected_power``: relative to the forward power. ``line_snr``: height of a line over the noise of its spectrum.
``area``: amplitude of one scan's FID at time zero, of a fitted line, or of what is real inside a window; ``window_area``: the latter
where a line is fitted too. ``upper_limit``: of the area of a line that is not resolved (95 %). ``slope``: of an area by the charge of
the running step, over its last spectra. ``phase``: of a line less the common phase; of the electrolyte what the common phase has
wandered. ``fit_rms``: what the lines leave, relative to the largest point. Of an array: ``T1``, ``T2``, ``diffusion``, ``pulse_90`` of a
window, ``drift``: what its first value, measured once more at the end, has changed by. Of a series of images: ``T2(electrode)``, its
``T2_width`` (full width at half height of the histogram), ``T2(cluster)`` of the isolated cluster of long T2, ``pixels`` of each
(none of a cluster: 0) and of those ``beyond_T1``, ``drift(image)``; ``image_snr``: the brightest pixel of one image over its noise.
``T2_excess``: standard errors by which a T2 lies above T1, as measured in the run, else Korringa's of the metal: above 2 it is not to be
believed. Of all passes of an image or series in one step together: ``image_error`` (noise over the brightest pixel), ``T2_of_passes``,
and ``T2_error``, relative, of
``electrode`` and ``cluster``: what a rule looks at that ends the step once enough is known. Of the lithium budget
``mAh_per_area``, and of ``this cycle`` (of ``cycle 1`` … those before k was known): ``dead_Li``, ``SEI_Li``, ``CE``,
``plating_efficiency``, ``budget_closes`` in sigmas; ``metal_mass``: of all metal in a spectrum, once k is known for its pulse.
``mass(moss)``: by a weighed foil. ``excitation``: of what a pulse on resonance would show this one shows so much of a line off the
carrier, of ``bulk`` as of a thick face; ``area`` is told as it is,
``corrected_area`` is the area over that, and over what a skin leaves: of ``bulk`` that of the metal within one skin depth of its faces,
as if all of it was seen. Of a single line ``metal``, which may be foil, deposit or both, only ``corrected_area_least`` and
``corrected_area_most`` are told: all of it a film, and the thickness or mixture that shows least. ``seen_depth(bulk)`` (in a
reprocessing): thickness of a plate without a skin that would be as bright.
``plateau``: 1 while E over charge is flat, else 0 (domain.md 3.7); ``knees``: so many entries and exits in this step. ``overpotential``:
abs(E - I·R_lead) of a symmetric cell at the middle of a spectrum, under current: what the area of its metal is set against (sodium's
transition). ``sand_time``: after which the salt at the plated face is gone, of the current at the middle of a spectrum, where that is more
than the salt bears for ever and the cell record has ``salt``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Observable:
    """Unit (as in ``model.units``; "" = a ratio or relative), source, and whether a line or a window must be named."""

    unit: str
    source: Literal["electrochemistry", "spectra"]
    of_line: bool = False


REAL_PART = "Re(Z)"

OBSERVABLES: dict[str, Observable] = {
    "voltage": Observable("V", "electrochemistry"),
    "voltage_we": Observable("V", "electrochemistry"),
    "voltage_ce": Observable("V", "electrochemistry"),
    "current": Observable("A", "electrochemistry"),
    "short_ratio": Observable("", "electrochemistry"),
    "polarisation_ratio": Observable("", "electrochemistry"),
    "R_cell": Observable("ohm", "electrochemistry"),
    "Re(Z)": Observable("ohm", "electrochemistry"),
    "plateau": Observable("", "electrochemistry"),
    "knees": Observable("", "electrochemistry"),
    "area": Observable("", "spectra", of_line=True),
    "shift": Observable("ppm", "spectra", of_line=True),
    "width": Observable("ppm", "spectra", of_line=True),
    "phase": Observable("deg", "spectra", of_line=True),
    "phase_difference_deg": Observable("deg", "spectra", of_line=True),
    "noise_sd": Observable("", "spectra"),
    "reflected_power": Observable("", "spectra"),
    "line_snr": Observable("", "spectra", of_line=True),
    "slope": Observable("1/mAh", "spectra", of_line=True),
    "window_area": Observable("", "spectra", of_line=True),
    "upper_limit": Observable("", "spectra", of_line=True),
    "fit_rms": Observable("", "spectra"),
    "T1": Observable("s", "spectra", of_line=True),
    "T2": Observable("s", "spectra", of_line=True),
    "pulse_90": Observable("us", "spectra", of_line=True),
    "diffusion": Observable("m2/s", "spectra", of_line=True),
    "drift": Observable("", "spectra", of_line=True),
    "T2_width": Observable("s", "spectra", of_line=True),
    "T2_excess": Observable("", "spectra", of_line=True),
    "pixels": Observable("", "spectra", of_line=True),
    "image_snr": Observable("", "spectra"),
    "image_error": Observable("", "spectra"),
    "T2_of_passes": Observable("s", "spectra", of_line=True),
    "T2_error": Observable("", "spectra", of_line=True),
    "overpotential": Observable("V", "spectra"),
    "sand_time": Observable("s", "spectra"),
    "mAh_per_area": Observable("mAh", "spectra"),
    "dead_Li": Observable("mAh", "spectra", of_line=True),
    "SEI_Li": Observable("mAh", "spectra", of_line=True),
    "CE": Observable("", "spectra", of_line=True),
    "plating_efficiency": Observable("", "spectra", of_line=True),
    "budget_closes": Observable("", "spectra", of_line=True),
    "metal_mass": Observable("mg", "spectra"),
    "mass": Observable("mg", "spectra", of_line=True),
    "excitation": Observable("", "spectra", of_line=True),
    "corrected_area": Observable("", "spectra", of_line=True),
    "corrected_area_least": Observable("", "spectra", of_line=True),
    "corrected_area_most": Observable("", "spectra", of_line=True),
    "seen_depth": Observable("um", "spectra", of_line=True),
}


def window_name(low_ppm: float, high_ppm: float) -> str:
    """``240..290 ppm``: a window without a name of its own."""
    return f"{low_ppm:g}..{high_ppm:g} ppm"


def base_name(observable: str) -> str:
    """``area(metal)`` → ``area``; ``Re(Z) at 1000 Hz`` → ``Re(Z)``."""
    return REAL_PART if observable.startswith(REAL_PART) else observable.partition("(")[0]


def real_part_at(frequency_Hz: float) -> str:
    """``Re(Z) at 1000 Hz``: its name at one frequency."""
    return f"{REAL_PART} at {frequency_Hz:.12g} Hz"


def frequency_of(observable: str) -> float | None:
    """The frequency that ``real_part_at`` has named, in Hz; None for any other observable."""
    return float(observable.removesuffix(" Hz").rpartition(" ")[2]) if observable.startswith(f"{REAL_PART} at ") else None


def declared(observable: str) -> Observable | None:
    """The declaration of an observable written with or without its line; None where there is none."""
    return OBSERVABLES.get(base_name(observable))
