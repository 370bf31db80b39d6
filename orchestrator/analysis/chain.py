"""The live chain: FID → spectrum → one phase → baseline → window integrals, for stacks of spectra at once (domain.md 4.1-4.4).

The phase is estimated once, from lines that are no bulk metal, and then frozen; what wanders in common (detuning, drift) is
one ph0(t), tracked against that first spectrum in the same windows. A window integral is a linear functional of the FID, so
its standard error follows exactly from the noise of the FID. Areas are in units of the FID's amplitude at time zero, like
those of ``analysis.lines``, so that both can be compared; the real part of a bulk metal line is -41 to -56 degrees off and
counts for its cosine only (practice.md 23).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.fourier import (
    LINE_SNR,
    FourierSettings,
    apodisation,
    estimate_ph0_deg,
    shift_axis_ppm,
    slope_deg_per_ppm,
    spectra,
)
from orchestrator.analysis.windows import Window

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]
Fids = NDArray[np.complexfloating[Any, Any]]

FREE_MARGIN_ppm = 20.0
"""So far from any window the axis counts as free of signal."""
FEW_FREE_POINTS = 32


def group_delay_points(grpdly: float, decim: int, dspfvs: int) -> float:
    """Delay of a vendor's digital filter in points: GRPDLY where it is given, else by DECIM and DSPFVS (nmrglue's table).

    Raises ValueError for a pair that the table does not have.
    """
    if grpdly >= 0.0:
        return float(grpdly)
    from nmrglue.fileio.bruker import bruker_dsp_table

    try:
        return float(bruker_dsp_table[dspfvs][decim])
    except KeyError:
        raise ValueError(f"no group delay is known for DECIM {decim}, DSPFVS {dspfvs}") from None


@dataclass(frozen=True, slots=True)
class Axis:
    """Where 0 ppm lies and where the receiver stood."""

    carrier_MHz: float
    reference_MHz: float


@dataclass(frozen=True, slots=True)
class Phase:
    """``ph0_deg`` at ``pivot_ppm``, and its slope along the axis."""

    ph0_deg: float = 0.0
    ph1_deg_per_ppm: float = 0.0
    pivot_ppm: float = 0.0

    def turned(self, spectrum: Complexes, axis_ppm: Floats, ph0_deg: Floats | float = 0.0) -> Complexes:
        """complex128 (…, points) turned back by this phase and by ``ph0_deg`` (one, or (…)) besides."""
        back: Complexes = spectrum * self.turn(axis_ppm) * np.exp(-1j * np.deg2rad(np.asarray(ph0_deg)[..., None]))
        return back

    def turn(self, axis_ppm: Floats) -> Complexes:
        """complex128 (points,): what a spectrum is multiplied by."""
        angle = self.ph0_deg + self.ph1_deg_per_ppm * (axis_ppm - self.pivot_ppm)
        found: Complexes = np.exp(-1j * np.deg2rad(angle))
        return found


def estimate_phase(stack: Complexes, axis_ppm: Floats, windows: Sequence[Window]) -> Phase | None:
    """The phase of lines that are no bulk metal, once, from complex128 (n, points); None where no window holds one.

    Two windows with a line give the slope too; one gives ph0 alone.
    """
    total = stack.sum(axis=0)
    found: list[tuple[float, float, float]] = []
    for window in windows:
        inside = window.inside(axis_ppm)
        part = total[inside]
        if not part.size:
            continue
        centred = np.zeros_like(total)
        centred[inside] = part
        noise = float(np.median(np.abs(total)))
        ph0_deg = estimate_ph0_deg(centred) if float(np.abs(part).max()) > 8.0 * noise else None
        if ph0_deg is not None:
            weight = np.abs(part)
            found.append((float((axis_ppm[inside] * weight).sum() / weight.sum()), ph0_deg, float(weight.sum())))
    if not found:
        return None
    found.sort()
    (low_ppm, low_deg, _), (high_ppm, high_deg, _) = found[0], found[-1]
    if high_ppm - low_ppm < 1.0:
        return Phase(low_deg, 0.0, low_ppm)
    rise_deg = (high_deg - low_deg + 180.0) % 360.0 - 180.0
    return Phase(low_deg, rise_deg / (high_ppm - low_ppm), low_ppm)


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """float64 (n,): common phase relative to the first look, and its standard error, in degrees."""

    ph0_deg: Floats
    sd_deg: Floats


def track_ph0(stack: Complexes, reference: Complexes, inside: NDArray[np.bool_], product_sd: Floats | float) -> Drift:
    """The common ph0 of complex128 (n, points) against ``reference`` (points,), in non-metal windows (bool (points,)).

    Least squares for an unchanged line shape: the phase of the scalar product. ``product_sd``: noise of its real part.
    """
    product = stack[..., inside] @ reference[inside].conj()
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.where(np.abs(product) > 0, np.asarray(product_sd) / np.abs(product), np.inf)
    return Drift(np.degrees(np.angle(product)), np.degrees(np.minimum(sd, math.pi)))


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Window integrals float64 (n, windows), their standard errors, and the largest real point over the noise of a point."""

    names: tuple[str, ...]
    area: Floats
    area_sd: Floats
    snr: Floats

    def of(self, name: str) -> tuple[Floats, Floats]:
        """Areas (n,) and errors (n,) of one window."""
        column = self.names.index(name)
        return self.area[:, column], self.area_sd[:, column]


@dataclass(frozen=True, slots=True, eq=False)
class Processed:
    """A stack after the chain: complex128 (n, points) phased, and what was found on the way."""

    axis_ppm: Floats
    spectra: Complexes
    phase: Phase
    drift: Drift
    areas: Areas
    noise_sd: Floats
    point_sd: Floats
    windows: tuple[Window, ...]
    whole_snr: Floats
    """float64 (n, windows): the largest real point over the noise, before a blank was taken off."""

    def phase_of(self, row: int, name: str) -> tuple[float, float]:
        """Phase of what is strongest in a window of one row, and its standard error, in degrees; 180 where nothing is there."""
        window = next(each for each in self.windows if each.name == name)
        return line_phase(self.spectra[row], window.inside(self.axis_ppm), float(self.point_sd[row]))


def line_phase(spectrum: Complexes, inside: NDArray[np.bool_], point_sd: float) -> tuple[float, float]:
    """Phase of a line in complex128 (points,): of the sum of its upper points, where dispersion cancels; and its error, in degrees.

    Less what lies on both sides of it: what is far broader than the line is none of its own. 180 degrees where it is not resolved:
    hardly above the noise, or but the flank of something that stands beside ``inside``.
    """
    size = np.where(inside, np.abs(spectrum), 0.0)
    highest = float(size.max(initial=0.0))
    upper = size > 0.5 * highest
    edges = np.flatnonzero(inside)[[0, -1]] if upper.any() else np.empty(0, np.intp)
    if highest < LINE_SNR * point_sd or not upper.any() or upper[edges].any():
        return 0.0, 180.0
    beside = _beside(upper)
    points = int(upper.sum())
    total = complex(spectrum[upper].sum() - points * (spectrum @ beside))
    sd = point_sd * points * math.sqrt(1.0 + points * float(beside @ beside))
    return (math.degrees(cmath.phase(total)), math.degrees(sd / abs(total))) if abs(total) > sd else (0.0, 180.0)


def peak(real: Floats, axis_ppm: Floats, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Position of the largest point inside (parabola through its neighbours) and full width at half height, in ppm."""
    first = int(np.argmax(inside))
    top = first + int(np.argmax(np.where(inside, real, -np.inf)[first:]))
    left, middle, right = (float(real[min(max(top + k, 0), len(real) - 1)]) for k in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    step_ppm = float(axis_ppm[1] - axis_ppm[0])
    place_ppm = float(axis_ppm[top]) + (0.5 * (left - right) / bend if bend < 0 else 0.0) * step_ppm
    below = np.flatnonzero(real < 0.5 * middle)
    before, after = below[below < top], below[below > top]
    low = int(before[-1]) if len(before) else 0
    high = int(after[0]) if len(after) else len(real) - 1
    return place_ppm, max(high - low - 1, 1) * step_ppm


def _beside(inside: NDArray[np.bool_]) -> Floats:
    """float64 (points,): weights, 1 in all, of what lies on both sides of a stretch, at one and a half to two and a half of its length."""
    where = np.flatnonzero(inside)
    middle, length = 0.5 * (where[0] + where[-1]), where[-1] - where[0] + 1.0
    away = np.abs(np.arange(len(inside)) - middle)
    beside = (away > 1.5 * length) & (away <= 2.5 * length)
    low = middle - 2.5 * length < 0 or middle + 2.5 * length >= len(inside)
    return np.zeros(len(inside)) if low or not beside.any() else beside / beside.sum()


class Chain:
    """The chain of one acquisition: make it once, then ``process`` stacks of its FIDs.

    ``tracked``: names of the windows with lines that are no bulk metal. ``baseline``: order of the polynomial through what
    is free of signal, -1 = none. ``evolved_s``: how long lines have turned before the first point (pulse, dead time): the slope
    of the phase along the axis, where it is not estimated from two lines.
    """

    def __init__(
        self,
        settings: FourierSettings,
        axis: Axis,
        windows: Sequence[Window],
        *,
        tracked: Sequence[str] = (),
        baseline: int = 0,
        evolved_s: float | None = None,
    ) -> None:
        self.settings = settings
        self.axis_ppm = shift_axis_ppm(settings, axis.carrier_MHz, axis.reference_MHz)
        self.windows = tuple(window for window in windows if window.inside(self.axis_ppm).any())
        self._baseline = baseline
        mirrored = settings.reversed_axis
        self._ph1 = None if evolved_s is None else slope_deg_per_ppm(evolved_s, axis.reference_MHz, mirrored=mirrored)
        self.phase: Phase | None = None
        self._reference: Complexes | None = None
        self._tracked = tuple(window for window in self.windows if window.name in tracked)
        self._inside = np.zeros(len(self.axis_ppm), bool)
        for window in self._tracked:
            self._inside |= window.inside(self.axis_ppm)
        self._functionals = self._make_functionals()
        self._drift_noise: dict[int, float] = {}
        self._turn: tuple[Phase, Complexes] | None = None
        self._masks = [window.inside(self.axis_ppm) for window in self.windows]
        self._spans = [slice(int(where[0]), int(where[-1]) + 1) for where in map(np.flatnonzero, self._masks)]
        self._known_errors: dict[tuple[Phase, int], Floats] = {}

    # ------------------------------------------------------------------------------------------------------ functionals

    @property
    def free(self) -> NDArray[np.bool_]:
        """Bool (points,): where no window is near."""
        free = np.ones(len(self.axis_ppm), bool)
        for window in self.windows:
            free &= (self.axis_ppm < window.low_ppm - FREE_MARGIN_ppm) | (self.axis_ppm > window.high_ppm + FREE_MARGIN_ppm)
        return free

    def _make_functionals(self) -> Floats:
        """float64 (windows, points): sums over the windows, less what the baseline is there; scaled to amplitudes of the FID."""
        masks = np.array([window.inside(self.axis_ppm) for window in self.windows], dtype=np.float64).reshape(-1, len(self.axis_ppm))
        scale = 1.0 / (self.settings.first_point * self.settings.points)
        free = self.free
        if self._baseline < 0 or free.sum() < FEW_FREE_POINTS:
            return masks * scale
        x = np.linspace(-1.0, 1.0, len(self.axis_ppm))
        basis = np.polynomial.legendre.legvander(x, self._baseline)
        solve = np.linalg.pinv(basis[free])
        masks[:, free] -= (masks @ basis) @ solve
        return masks * scale

    def _errors(self, phase: Phase, points: int) -> Floats:
        """float64 (windows,): standard error of each area for noise 1 in the real (and the imaginary) part of each FID point."""
        known = self._known_errors.get((phase, points))
        if known is None:
            known = self._noise_of(phase.turned(self._functionals.astype(np.complex128), self.axis_ppm), points)
            self._known_errors[phase, points] = known
        return known

    def _noise_of(self, functionals: Complexes, points: int) -> Floats:
        """float64 (n,): standard error of linear functionals complex128 (n, axis) of spectra, for noise 1 in a FID's points."""
        turned = functionals[:, ::-1] if self.settings.reversed_axis else functionals
        kernel = np.abs(np.fft.fft(np.fft.ifftshift(turned, axes=-1), axis=-1))[:, :points]
        found: Floats = np.sqrt(((kernel * apodisation(self.settings, points)) ** 2).sum(axis=1))
        return found

    def point_sd(self, noise_sd: Floats, points: int) -> Floats:
        """float64 (n,): standard deviation of the real part of a point of the spectrum."""
        return np.asarray(noise_sd) * math.sqrt(float(np.sum(apodisation(self.settings, points) ** 2)))

    # ---------------------------------------------------------------------------------------------------------- looking

    def learn(self, phase: Phase, reference: Complexes | None = None) -> None:
        """Freeze the phase; ``reference`` complex128 (points,): the unphased spectrum that ph0(t) is tracked against."""
        self.phase, self._reference = phase, reference
        self._drift_noise = {}

    @property
    def learned(self) -> tuple[Phase, Complexes | None] | None:
        """What ``learn`` was told, by ``process``, ``teach`` or from elsewhere; None where no line was there yet."""
        return None if self.phase is None else (self.phase, self._reference)

    def teach(self, fids: Fids) -> None:
        """Learn the phase of complex (n, points) FIDs, where none is known yet and they show it; nothing else of ``process``."""
        if self.phase is None and self._tracked:
            self._teach(spectra(fids, self.settings))

    def _teach(self, unphased: Complexes) -> None:
        if self.phase is None and (found := estimate_phase(unphased, self.axis_ppm, self._tracked)) is not None:
            self.learn(found if self._ph1 is None else replace(found, ph1_deg_per_ppm=self._ph1), unphased.sum(axis=0))

    def process(self, fids: Fids, noise_sd: Floats | float, blank: Fids | None = None) -> Processed:
        """Complex (n, points) FIDs, and the noise of their real part (one, or (n,)) → everything.

        ``blank``: complex (points,), taken off after the common phase was tracked, and turned with it.
        """
        unphased = spectra(fids, self.settings)
        sd = np.broadcast_to(np.asarray(noise_sd, dtype=np.float64), (len(fids),))
        point_sd = self.point_sd(sd, fids.shape[-1])
        self._teach(unphased)
        phase = self.phase or Phase()
        drift = self._drift(unphased, sd, fids.shape[-1])
        if self._turn is None or self._turn[0] != phase:
            self._turn = (phase, phase.turn(self.axis_ppm))
        phased = unphased * self._turn[1] * np.exp(-1j * np.deg2rad(drift.ph0_deg))[:, None]
        whole_snr = self._snr(phased.real, point_sd)
        if blank is not None:
            phased = phased - phase.turned(spectra(blank[None], self.settings), self.axis_ppm)
        areas = self._areas(phased, sd, point_sd, fids.shape[-1])
        return Processed(self.axis_ppm, phased, phase, drift, areas, sd, point_sd, self.windows, whole_snr)

    def integrals(self, fids: Fids) -> tuple[Complexes, Floats]:
        """complex128 (n, windows): unphased sums over the upper half of what is strongest in each window, and (windows,) errors.

        The same points for all rows of complex (n, points) FIDs; errors for noise 1. The upper half only, less what lies on both of its
        sides: the wings of lines beside a window relax by their own time.
        """
        unphased = spectra(fids, self.settings)
        size = np.abs(unphased)
        upper = np.zeros((len(self._masks), len(self.axis_ppm)))
        for column, mask in enumerate(self._masks):
            row = size[int(np.argmax(size[:, mask].max(axis=1)))]
            inside = mask & (row > 0.5 * row[mask].max())
            upper[column] = inside - _beside(inside) * inside.sum()
        upper /= self.settings.first_point * self.settings.points
        return unphased @ upper.T, self._noise_of(upper.astype(np.complex128), fids.shape[-1])

    def _drift(self, unphased: Complexes, noise_sd: Floats, points: int) -> Drift:
        if self._reference is None or not self._inside.any():
            return Drift(np.zeros(len(unphased)), np.full(len(unphased), 180.0))
        if points not in self._drift_noise:
            shape = np.where(self._inside, self._reference.conj(), 0.0)
            shape = shape[::-1] if self.settings.reversed_axis else shape
            kernel = np.abs(np.fft.fft(np.fft.ifftshift(shape)))[:points] * apodisation(self.settings, points)
            self._drift_noise[points] = math.sqrt(float(np.sum(kernel**2)))
        return track_ph0(unphased, self._reference, self._inside, noise_sd * self._drift_noise[points])

    def _areas(self, phased: Complexes, noise_sd: Floats, point_sd: Floats, points: int) -> Areas:
        real = phased.real
        area = real @ self._functionals.T
        sd = noise_sd[:, None] * self._errors(self.phase or Phase(), points)
        return Areas(tuple(window.name for window in self.windows), area, sd, self._snr(real, point_sd))

    def _snr(self, real: Floats, point_sd: Floats) -> Floats:
        peaks = [real[:, span].max(axis=1) for span in self._spans]
        found: Floats = np.stack(peaks, axis=1) if peaks else np.empty((len(real), 0))
        return found / np.maximum(point_sd, 1e-300)[:, None]
