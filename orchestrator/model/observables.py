"""What rules may look at: every observable by name, its unit and where it comes from. Pure data.

``short_ratio`` = abs(E - I·R_lead) / (abs(I)·R_cell) and ``polarisation_ratio`` = abs(E) / abs(E at step start); R_cell is
the resistance of the last impedance spectrum, or of the first minute, less R_lead. ``noise_sd``: of one scan, relative.
``reflected_power``: relative to the forward power. ``line_snr``: height of a line over the noise of its spectrum.
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


OBSERVABLES: dict[str, Observable] = {
    "voltage": Observable("V", "electrochemistry"),
    "voltage_we": Observable("V", "electrochemistry"),
    "voltage_ce": Observable("V", "electrochemistry"),
    "current": Observable("A", "electrochemistry"),
    "short_ratio": Observable("", "electrochemistry"),
    "polarisation_ratio": Observable("", "electrochemistry"),
    "R_cell": Observable("ohm", "electrochemistry"),
    "area": Observable("", "spectra", of_line=True),
    "shift": Observable("ppm", "spectra", of_line=True),
    "width": Observable("ppm", "spectra", of_line=True),
    "phase": Observable("deg", "spectra", of_line=True),
    "phase_difference_deg": Observable("deg", "spectra"),
    "noise_sd": Observable("", "spectra"),
    "reflected_power": Observable("", "spectra"),
    "line_snr": Observable("", "spectra", of_line=True),
}


def base_name(observable: str) -> str:
    """``area(metal)`` → ``area``."""
    return observable.partition("(")[0]


def declared(observable: str) -> Observable | None:
    """The declaration of an observable written with or without its line; None where there is none."""
    return OBSERVABLES.get(base_name(observable))
