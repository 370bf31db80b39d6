"""Complex lines in a spectrum: Voigt profiles, each with its own phase, on a complex polynomial, by variable projection.

What is fitted is the unapodised, unfilled discrete transform of the FID, inside a window of the axis: there the noise is
white, so that stated uncertainties mean what they say. A line is transformed like the data, from its own FID
exp(i ω t − π Γ t − (π G t)² / (4 ln 2)), so that a truncated FID needs no correction. Γ and G are the full widths at half height
of its Lorentzian and Gaussian parts. Bulk metal differs from everything else by -41 to -56 degrees (skin depth, tip angle):
amplitudes are complex, the area is their modulus (domain.md 4.5, practice.md 23).

Amplitudes and polynomial are solved for inside (Golub and Pereyra 1973); positions and widths outside, bounded, with
Kaufman's derivative (BIT 15, 1975). Covariances come from the whole Jacobian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft
from scipy.special import wofz

from orchestrator.analysis.projection import Projection, Solved, minimised

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]

RESOLVED = 0.2
"""Largest relative standard error of an amplitude that still counts as resolved (its Cramér-Rao bound)."""
DETECTED = 25.0
"""Fall of chi² that an additional line must bring: fewer than 1 % of spectra without it bring as much (see tests)."""
BEYOND_DOUBT = 10.0
UPPER_LIMIT_SD = 1.645
"""One-sided 95 %."""
GAUSS = math.pi**2 / (4.0 * math.log(2.0))
EULER_MACLAURIN = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)
NEAR = 1.5
"""Radians a point: so far from a line the series holds to 1e-7 of its height."""
NEARER, NEARER_TERMS = 0.8, 4
"""Where so many of its terms do."""
GONE = 30.0
"""exp(-GONE) of a line may be left at the end of the FID."""
LEAST_GAUSS_Hz = 5.0


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line is looked for, in ppm and Hz. ``optional``: it may be absent; without it the fit stands as well."""

    name: str
    shift_ppm: tuple[float, float]
    start_ppm: float
    lorentz_Hz: tuple[float, float, float] = (10.0, 500.0, 10_000.0)
    gauss_Hz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    optional: bool = False

    def __post_init__(self) -> None:
        low, high = self.shift_ppm
        if not low <= self.start_ppm <= high:
            raise ValueError(f"line {self.name} starts at {self.start_ppm} ppm, outside {low} to {high} ppm")


@dataclass(frozen=True, slots=True)
class Sight:
    """How a FID becomes a spectrum, and the window of it in which lines are fitted; shifts ascend as the axis says."""

    points: int
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    window_ppm: tuple[float, float]
    polynomial: int = 2
    group_delay_points: float = 0.0
    reversed_axis: bool = False

    def offset_Hz(self, shift_ppm: float) -> float:
        """Frequency of a shift as the FID turns, from the carrier."""
        offset_Hz = shift_ppm * self.reference_MHz - (self.carrier_MHz - self.reference_MHz) * 1e6
        return -offset_Hz if self.reversed_axis else offset_Hz

    def shift_ppm(self, offset_Hz: float) -> float:
        """The other way round."""
        offset_Hz = -offset_Hz if self.reversed_axis else offset_Hz
        return (offset_Hz + (self.carrier_MHz - self.reference_MHz) * 1e6) / self.reference_MHz


@dataclass(frozen=True, slots=True)
class Component:
    """One line as fitted; ``*_sd``: one standard deviation. ``amplitude``: of the FID at time zero, in its own units.

    ``resolved`` False: the line is not shown to be there, or not known to 20 %; then ``upper_limit`` bounds its amplitude (95 %).
    """

    name: str
    amplitude: float
    amplitude_sd: float
    phase_deg: float
    phase_sd_deg: float
    shift_ppm: float
    shift_sd_ppm: float
    lorentz_Hz: float
    lorentz_sd_Hz: float
    gauss_Hz: float
    gauss_sd_Hz: float
    resolved: bool
    upper_limit: float


@dataclass(frozen=True, slots=True, eq=False)
class LineFit:
    """All lines of one spectrum. ``start``: float64 (lines, 3) to begin the next fit from; ``covariance``: of (re, im) amplitudes."""

    components: tuple[Component, ...]
    noise_sd: float
    chi2_per_point: float
    rms_of_maximum: float
    converged: bool
    evaluations: int
    start: Floats
    covariance: Floats = field(repr=False)
    model: Complexes = field(repr=False)
    residual: Complexes = field(repr=False)

    def __getitem__(self, name: str) -> Component:
        return next(one for one in self.components if one.name == name)


def points_needed(lines: Sequence[Line], points: int, spectral_width_Hz: float) -> int:
    """How many points of a FID say anything of these lines: to where the narrowest that is allowed has died away (e⁻¹²), a power of two."""
    slowest_per_s = min(math.pi * line.lorentz_Hz[0] for line in lines)
    wanted = math.ceil(12.0 / slowest_per_s * spectral_width_Hz)
    return min(points, 1 << (wanted - 1).bit_length())


class LineModel:
    """Lines in a sight. Make it once; ``fit`` each FID. Raises ValueError where the window holds too few points."""

    def __init__(self, sight: Sight, lines: Sequence[Line]) -> None:
        self.sight, self.lines = sight, tuple(lines)
        n = sight.points
        bins = np.fft.fftfreq(n, 1.0 / n)
        edges = sorted(sight.offset_Hz(edge) * n / sight.spectral_width_Hz for edge in sight.window_ppm)
        self._inside = np.flatnonzero((bins >= edges[0]) & (bins <= edges[1]))
        self._inside = self._inside[np.argsort(bins[self._inside])]
        if len(self._inside) < 8 * len(self.lines) + 8:
            raise ValueError(f"the window {sight.window_ppm} ppm holds {len(self._inside)} points: too few for {len(self.lines)} lines")
        inside = bins[self._inside]
        self._angles = 2.0 * np.pi * inside / n
        self._turns = np.exp(-1j * self._angles)
        self._delay = np.exp(2j * np.pi * inside * sight.group_delay_points / n)
        self._time_s = np.arange(n) / sight.spectral_width_Hz
        x = np.linspace(-1.0, 1.0, len(inside))
        self._polynomial: Complexes = np.polynomial.legendre.legvander(x, sight.polynomial).astype(np.complex128)
        self.axis_ppm: Floats = np.array([sight.shift_ppm(k * sight.spectral_width_Hz / n) for k in inside])

    # ------------------------------------------------------------------------------------------------------------- fitting

    def fit(self, fid: NDArray[np.complexfloating[Any, Any]], *, start: Floats | None = None, noise_sd: float | None = None) -> LineFit:
        """Fit one FID, complex (points,) or longer, of which the rest is noise (``points_needed``).

        ``noise_sd``: of its real and of its imaginary part each, in FID units; estimated where None.
        """
        data = self._seen(fid)
        sd = (noise_sd if noise_sd is not None else fid_noise_sd(fid)) * math.sqrt(self.sight.points)
        whole = self._fitted(data, self.lines, self._starts(start), sd)
        covariance = whole.covariance()
        shown = [self._shown(data, whole, covariance, n, sd) for n in range(len(self.lines))]
        return self._told(whole, covariance, shown, sd, data)

    def _seen(self, fid: NDArray[np.complexfloating[Any, Any]]) -> Complexes:
        if fid.ndim != 1 or len(fid) < self.sight.points:
            raise ValueError(f"a FID of shape {fid.shape} where {self.sight.points} points are expected")
        transformed: Complexes = fft(fid[: self.sight.points].astype(np.complex128))[self._inside] * self._delay
        return transformed

    def _starts(self, start: Floats | None) -> Floats:
        own = np.array([[self.sight.offset_Hz(line.start_ppm), line.lorentz_Hz[1], line.gauss_Hz[1]] for line in self.lines])
        return own if start is None else np.asarray(start, dtype=np.float64)

    def _bounds(self, lines: Sequence[Line]) -> tuple[Floats, Floats]:
        low, high = [], []
        for line in lines:
            edges = sorted(self.sight.offset_Hz(edge) for edge in line.shift_ppm)
            low.append([edges[0], line.lorentz_Hz[0], line.gauss_Hz[0]])
            high.append([edges[1], line.lorentz_Hz[2], line.gauss_Hz[2]])
        return np.array(low), np.array(high)

    def _fitted(self, data: Complexes, lines: Sequence[Line], start: Floats, sd: float, asked: float = -math.inf) -> Solved:
        """``asked``: only whether chi² comes to lie below this is to be known."""
        low, high = self._bounds(lines)
        free = high > low
        scale = np.array([[line.lorentz_Hz[1], line.lorentz_Hz[1], max(line.gauss_Hz[1], line.lorentz_Hz[1])] for line in lines])
        begin = np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
        projection = Projection(self, data / sd, begin, free, scale)
        if not free.any():
            projection(np.empty(0))
            return Solved(projection, begin, converged=True, evaluations=1)
        outer, converged, evaluations = minimised(projection, (begin / scale)[free], (low / scale)[free], (high / scale)[free], asked)
        projection(outer)
        return Solved(projection, projection.parameters, converged=converged, evaluations=evaluations)

    def _shown(self, data: Complexes, whole: Solved, covariance: Floats, n: int, sd: float) -> bool:
        """Is an optional line there: does chi² rise by enough without it? Nobody asks where it stands far above its error."""
        size, size_sd = abs(whole.projection.linear[n]), math.sqrt(float(covariance[2 * n, 2 * n] + covariance[2 * n + 1, 2 * n + 1]))
        if not self.lines[n].optional or size > BEYOND_DOUBT * size_sd:
            return True
        others = [line for m, line in enumerate(self.lines) if m != n]
        without = self._fitted(data, others, np.delete(whole.parameters, n, axis=0), sd, asked=whole.chi2 + DETECTED)
        return without.chi2 - whole.chi2 > DETECTED

    # ------------------------------------------------------------------------------------------------------------- telling

    def _told(self, solved: Solved, covariance: Floats, shown: list[bool], sd: float, data: Complexes) -> LineFit:
        components = tuple(self._component(n, solved, covariance, sd, shown=shown[n]) for n in range(len(self.lines)))
        model = (data / sd - solved.projection.residual) * sd
        amplitudes = covariance[: 2 * len(self.lines), : 2 * len(self.lines)] * sd**2
        chi2_per_point = solved.chi2 / max(1, 2 * len(data) - len(covariance))
        residual = solved.projection.residual * sd
        rms = float(np.sqrt(np.mean(np.abs(residual) ** 2)) / max(np.abs(data).max(initial=0.0), np.finfo(float).tiny))
        return LineFit(
            components,
            sd / math.sqrt(self.sight.points),
            chi2_per_point,
            rms,
            solved.converged,
            solved.evaluations,
            solved.parameters.copy(),
            amplitudes,
            model,
            residual,
        )

    def _component(self, n: int, solved: Solved, covariance: Floats, sd: float, *, shown: bool) -> Component:
        complex_amplitude = complex(solved.projection.linear[n]) * sd
        size = abs(complex_amplitude)
        along = np.array([complex_amplitude.real, complex_amplitude.imag]) / max(size, np.finfo(float).tiny)
        across = np.array([-along[1], along[0]])
        block = covariance[2 * n : 2 * n + 2, 2 * n : 2 * n + 2] * sd**2
        amplitude_sd, across_sd = (math.sqrt(max(0.0, float(way @ block @ way))) for way in (along, across))
        offset_Hz, lorentz_Hz, gauss_Hz = solved.parameters[n]
        sds = solved.outer_sd(covariance)[n]
        resolved = shown and size > 0.0 and amplitude_sd <= RESOLVED * size
        return Component(
            self.lines[n].name,
            size,
            amplitude_sd,
            math.degrees(math.atan2(complex_amplitude.imag, complex_amplitude.real)),
            math.degrees(across_sd / size) if size else math.inf,
            self.sight.shift_ppm(offset_Hz),
            sds[0] / self.sight.reference_MHz,
            lorentz_Hz,
            sds[1],
            gauss_Hz,
            sds[2],
            resolved,
            math.nan if resolved else self._limit(n, solved, size, amplitude_sd, sd),
        )

    def _limit(self, n: int, solved: Solved, size: float, size_sd: float, sd: float) -> float:
        """What may be there unseen (95 %): by the fit, and by a line as broad as lines begin, where the fit has made it narrower.

        Noise is fitted best by a narrow line, which is weak and whose error is small.
        """
        line, parameters = self.lines[n], solved.parameters.copy()
        parameters[n, 1:] = np.maximum(parameters[n, 1:], (line.lorentz_Hz[1], line.gauss_Hz[1]))
        q, r = np.linalg.qr(np.hstack([self.columns(parameters)[0], self._polynomial]))
        inverse = np.linalg.pinv(r, rcond=1e-12)
        held, held_sd = abs(inverse[n] @ (q.conj().T @ solved.projection.data)) * sd, float(np.linalg.norm(inverse[n])) * sd
        return max(size, float(held)) + UPPER_LIMIT_SD * max(size_sd, held_sd)

    # ------------------------------------------------------------------------------------------------------------ columns

    def columns(self, parameters: Floats, free: NDArray[np.bool_] | None = None) -> tuple[Complexes, list[tuple[int, int, Complexes]]]:
        """complex128 (inside, lines) profiles, and their derivatives as (line, parameter, complex128 (inside,))."""
        profiles, derivatives = np.empty((len(self._inside), len(parameters)), np.complex128), []
        for n, (offset_Hz, lorentz_Hz, gauss_Hz) in enumerate(parameters):
            wanted = (False, False, False) if free is None else tuple(free[n])
            rate = 2j * np.pi * offset_Hz - np.pi * lorentz_Hz
            profile, by_rate, by_gauss = self._lorentz(rate) if gauss_Hz == 0.0 and not wanted[2] else self._voigt(rate, gauss_Hz, *wanted)
            profiles[:, n] = profile
            by = (2j * np.pi * by_rate, -np.pi * by_rate, by_gauss)
            derivatives += [(n, k, by[k]) for k in range(3) if wanted[k]]
        return profiles, derivatives

    def _lorentz(self, rate: complex) -> tuple[Complexes, Complexes, Complexes]:
        """The transform of exp(rate t) as a geometric series: only where it is looked at. Profile, and by the rate."""
        step = rate / self.sight.spectral_width_Hz
        turn, end = np.exp(step) * self._turns, np.exp(step * self.sight.points)
        left = 1.0 / (1.0 - turn)
        profile: Complexes = (1.0 - end) * left
        by_rate = (profile * turn - self.sight.points * end) * left / self.sight.spectral_width_Hz
        return profile, by_rate, profile

    def _voigt(self, rate: complex, gauss_Hz: float, *wanted: bool) -> tuple[Complexes, Complexes, Complexes]:
        """The same with a Gaussian part: in closed form where the line has died away in the FID and is near, else by transforms."""
        bend = GAUSS * gauss_Hz**2 / self.sight.spectral_width_Hz**2
        turn = self._angles - rate.imag / self.sight.spectral_width_Hz
        turn -= 2.0 * np.pi * np.round(turn / (2.0 * np.pi))
        fall, far, n = -rate.real / self.sight.spectral_width_Hz, float(np.abs(turn).max()), self.sight.points
        if gauss_Hz >= LEAST_GAUSS_Hz and far < NEAR and fall * n + bend * n**2 > GONE:
            return self._summed(
                (fall + 1j * turn).astype(np.complex128, copy=False), bend, gauss_Hz, NEARER_TERMS if far < NEARER else len(EULER_MACLAURIN)
            )
        return self._transformed_voigt(rate, gauss_Hz, *wanted)

    def _summed(self, fall: Complexes, bend: float, gauss_Hz: float, terms: int) -> tuple[Complexes, Complexes, Complexes]:
        """The sum over n ≥ 0 of exp(-fall n - bend n²), by its integral (Faddeeva) and Euler and Maclaurin's terms."""
        root = math.sqrt(bend)
        whole = wofz((0.5j / root) * fall)
        whole *= 0.5 * math.sqrt(math.pi) / root
        by_n = (1.0 - fall * whole) / (2.0 * bend)
        by_n2 = (whole - fall * by_n) / (2.0 * bend)
        ends = _ends(bend, fall * fall, terms)
        profile = whole + 0.5 - fall * ends[0]
        once, twice = by_n - ends[1], by_n2 - fall * ends[2]
        rate_s = self.sight.spectral_width_Hz
        return profile, once / rate_s, (-2.0 * GAUSS * gauss_Hz / rate_s**2) * twice

    def _transformed_voigt(self, rate: complex, gauss_Hz: float, *wanted: bool) -> tuple[Complexes, Complexes, Complexes]:
        """By transforms of the whole FID."""
        t_s = self._time_s
        decay = np.exp(rate * t_s - (GAUSS * gauss_Hz**2) * t_s**2)
        profile = self._transformed(decay)
        by_rate = self._transformed(decay * t_s) if wanted[0] or wanted[1] else profile
        by_gauss = -2.0 * GAUSS * gauss_Hz * self._transformed(decay * t_s**2) if wanted[2] else profile
        return profile, by_rate, by_gauss

    def _transformed(self, signal: Complexes) -> Complexes:
        found: Complexes = fft(signal)[self._inside]
        return found

    @property
    def polynomial(self) -> Complexes:
        """complex128 (inside, order + 1): Legendre polynomials over the window."""
        return self._polynomial


def _end_weights(terms: int) -> Floats:
    """float64 (3, terms, terms): Euler and Maclaurin's terms at n = 0 of exp(-f n - b n²), of n times it and of n² times it.

    By powers of f², then of b; the first and the last are to be multiplied by f. The m-th derivative of exp(-f n - b n²) at 0 is
    Σ m! / (j! (m - 2j)!) (-f)^(m - 2j) (-b)^j.
    """
    found = np.zeros((3, terms, terms))
    for n, weight in enumerate(EULER_MACLAURIN[:terms]):
        k = 2 * n + 1
        for order, factor in enumerate((1, k, k * (k - 1))):
            m = k - order
            for j in range(m // 2 + 1 if m >= 0 else 0):
                power = m - 2 * j
                term = math.factorial(m) / (math.factorial(j) * math.factorial(power)) * (-1.0) ** (power + j)
                found[order, power // 2, j] += weight * factor * term
    return found


_END_WEIGHTS = {terms: _end_weights(terms) for terms in (NEARER_TERMS, len(EULER_MACLAURIN))}


def _ends(bend: float, square: Complexes, terms: int) -> Complexes:
    """complex128 (3, …): those three sums of ``terms`` terms at b = ``bend``, without their odd f, where f² is ``square``."""
    by_square = _END_WEIGHTS[terms] @ bend ** np.arange(terms)
    powers = np.empty((terms, *square.shape), np.complex128)
    powers[0] = 1.0
    for k in range(1, terms):
        np.multiply(powers[k - 1], square, out=powers[k])
    found: Complexes = (by_square @ powers.view(np.float64)).view(np.complex128)
    return found


STANDS_OUT = 6.0
"""So many medians are four standard deviations: of noise one point in 16 000 has more."""
_CUT = STANDS_OUT * 0.674489750196
KEPT_VARIANCE = 1.0 - 2.0 * _CUT * math.exp(-0.5 * _CUT**2) / math.sqrt(2.0 * math.pi) / math.erf(_CUT / math.sqrt(2.0))
"""Variance of normal noise that is cut off there, over that of all of it."""


def fid_noise_sd(fid: NDArray[np.complexfloating[Any, Any]], tail: float = 0.25) -> float:
    """Noise of the real part of a FID (and of the imaginary): from the spectrum of its last quarter.

    What is left of the lines there lies in few of its points, wherever they stand: the window keeps it from leaking into the others,
    those that stand out of the median are left out, and the rest is normal noise cut off there.
    """
    end = fid[-max(16, round(len(fid) * tail)) :]
    window = _blackman(len(end))
    parts = np.abs(np.fft.fft(end * window).view(np.float64))
    noise = parts[parts <= STANDS_OUT * float(np.median(parts))]
    return math.sqrt(float(noise @ noise) / len(noise) / KEPT_VARIANCE / float(window @ window))


@lru_cache(maxsize=8)
def _blackman(points: int) -> Floats:
    """float64 (points,), read-only: without its two zeros."""
    window = np.blackman(points + 2)[1:-1]
    window.flags.writeable = False
    return window
