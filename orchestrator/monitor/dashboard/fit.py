"""The fitted lines as curves over the newest spectrum: made as that was made, from their own FIDs. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.fourier import FourierSettings, power_of_two, shift_axis_ppm, spectra
from orchestrator.monitor.payloads import Axis, FittedLine, Spectrum
from orchestrator.monitor.tiles import max_hold

Real = NDArray[np.float64]
GAUSS = math.pi**2 / (4.0 * math.log(2.0))
SHOWN_WIDTHS = 6.0
LEAST_ppm = 30.0
SIGNAL = 6.0
"""So many times the noise a point must have to be worth looking at."""
LEAST_PART = 0.04
MARGIN = 0.12
LEAST_SHOWN = 0.25
"""What takes less of the axis is shown with all of it: that nothing stands elsewhere is worth seeing too."""


@dataclass(frozen=True, slots=True)
class Curves:
    """``lines`` float64 (lines, n) over ``shift_ppm`` float64 (n,), falling; of one scan, as the spectrum is."""

    shift_ppm: Real
    lines: Real

    @property
    def whole(self) -> Real:
        """float64 (n,): all lines together."""
        whole: Real = self.lines.sum(axis=0)
        return whole

    def held(self, points: int) -> Real:
        """float64 (points,): all lines together as a row of so many points would show them."""
        return max_hold(self.whole, points)


def shifts_ppm(axis: Axis, points: int) -> Real:
    """float64 (points,), falling: the middles of the points of a row that shows the whole axis."""
    step = (axis.last_ppm - axis.first_ppm) / max(1, axis.points - 1)
    first, last = axis.first_ppm - 0.5 * step, axis.last_ppm + 0.5 * step
    return first + (np.arange(points) + 0.5) * (last - first) / points


def curves(spectrum: Spectrum, lines: Sequence[FittedLine]) -> Curves | None:
    """Each line's spectrum; None where nothing was fitted or it is not said how the spectrum was made."""
    width_Hz, carrier_MHz, reference_MHz = spectrum.spectral_width_Hz, spectrum.carrier_MHz, spectrum.reference_MHz
    if not lines or not spectrum.fid_points or width_Hz is None or carrier_MHz is None or reference_MHz is None:
        return None
    settings = FourierSettings(
        power_of_two(spectrum.fid_points), width_Hz, spectrum.broadening_Hz or 0.0, reversed_axis=spectrum.reversed_axis
    )
    shift_ppm = shift_axis_ppm(settings, carrier_MHz, reference_MHz)
    t_s = np.arange(spectrum.fid_points) / width_Hz
    unphased = spectra(np.stack([_fid(one, spectrum, t_s, carrier_MHz, reference_MHz) for one in lines]), settings)
    taken_off_deg = (spectrum.ph0_deg or 0.0) + (spectrum.ph1_deg_per_ppm or 0.0) * shift_ppm
    phased = (unphased * np.exp(-1j * np.deg2rad(taken_off_deg))).real
    return Curves(shift_ppm[::-1], phased[:, ::-1])


def _fid(line: FittedLine, spectrum: Spectrum, t_s: Real, carrier_MHz: float, reference_MHz: float) -> NDArray[np.complex128]:
    offset_Hz = line.shift_ppm * reference_MHz - (carrier_MHz - reference_MHz) * 1e6
    rate = 2j * math.pi * (-offset_Hz if spectrum.reversed_axis else offset_Hz) - math.pi * line.lorentz_Hz
    started = line.amplitude * np.exp(1j * math.radians(line.phase_deg))
    fid: NDArray[np.complex128] = started * np.exp(rate * t_s - GAUSS * line.gauss_Hz**2 * t_s**2)
    return fid


def width_Hz(line: FittedLine) -> float:
    """Full width at half height (Olivero and Longbothum 1977, good to 0.02 %)."""
    return 0.5346 * line.lorentz_Hz + math.sqrt(0.2166 * line.lorentz_Hz**2 + line.gauss_Hz**2)


def around(spectrum: Spectrum, lines: Sequence[FittedLine]) -> tuple[float, float] | None:
    """From and to which shift the lines are looked at closely, the greater first; None without any."""
    if not lines or not spectrum.reference_MHz:
        return None
    away = [max(LEAST_ppm, SHOWN_WIDTHS * width_Hz(one) / spectrum.reference_MHz) for one in lines]
    return (
        max(one.shift_ppm + far for one, far in zip(lines, away, strict=True)),
        min(one.shift_ppm - far for one, far in zip(lines, away, strict=True)),
    )


def worth_looking(shift_ppm: Real, intensity: Real, noise: float) -> tuple[float, float]:
    """The part of a spectrum, the greater shift first, in which something stands above the noise; all where little does."""
    most = float(np.abs(intensity).max(initial=0.0))
    inside = shift_ppm[np.abs(intensity) > max(SIGNAL * noise, LEAST_PART * most)]
    high, low = float(shift_ppm.max()), float(shift_ppm.min())
    if not inside.size:
        return high, low
    margin = max(LEAST_ppm, MARGIN * float(np.ptp(inside)))
    start, end = min(high, float(inside.max()) + margin), max(low, float(inside.min()) - margin)
    return (start, end) if start - end > LEAST_SHOWN * (high - low) else (high, low)
