"""What an array of FIDs says: T1, T2, the 90 degree pulse, diffusion, for every window that holds a line (domain.md 4.6, 4.8).

Pure. The signal of a window is the complex integral of what is strongest in it, turned by the phase of its strongest row: a
skin's own phase does not matter, and a recovery keeps its sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.chain import Chain
from orchestrator.analysis.relaxation import Noise, Relaxation, echo_decay, recovery

Floats = NDArray[np.float64]
SEEN = 8.0
"""A window is fitted where its strongest row is so many errors high."""
GAMMA_rad_per_sT = {"1H": 2.6752218744e8, "7Li": 1.03977e8, "23Na": 7.0808493e7, "19F": 2.51815e8, "31P": 1.08394e8}


class Sweep(NamedTuple):
    """An array: complex (rows, points) FIDs of one scan, what each row was measured at, and what its sequence was set to."""

    sequence: str
    name: str
    values: Floats
    nucleus: str
    settings: Mapping[str, Any]


class Told(NamedTuple):
    """One result."""

    name: str
    value: float
    error: float
    unit: str


def told(sweep: Sweep, chain: Chain, scans: NDArray[np.complex128], noise_sd: float) -> Iterator[Told]:
    """Every window's result, where it is determined."""
    for window, signal, sd in signals(chain, scans, noise_sd):
        if np.abs(signal).max() > SEEN * sd:
            yield from _of_window(sweep, window, signal, sd)


def signals(chain: Chain, scans: NDArray[np.complex128], noise_sd: float) -> Iterator[tuple[str, Floats, float]]:
    """Name, signed signal float64 (rows,) and its standard error, of each window."""
    integrals, errors = chain.integrals(scans)
    for column, window in enumerate(chain.windows):
        complex_rows = integrals[:, column]
        strongest = complex_rows[int(np.argmax(np.abs(complex_rows)))]
        if abs(strongest) > 0:
            yield window.name, (complex_rows * np.conj(strongest) / abs(strongest)).real, float(errors[column]) * noise_sd


def _of_window(sweep: Sweep, window: str, signal: Floats, sd: float) -> Iterator[Told]:
    values = sweep.values
    match sweep.sequence, sweep.name:
        case (("hahn_echo" | "cpmg"), "TE_ms") if len(np.unique(values)) > 1:
            yield from _time(f"T2({window})", echo_decay(signal[None], values * 1e-3, sd, noise=Noise.NONE))
        case (("saturation_recovery" | "inversion_recovery"), "tau_ms") if len(np.unique(values)) > 2:
            inverted = sweep.sequence == "inversion_recovery"
            signed = signal * math.copysign(1.0, signal[int(np.argmax(values))])
            yield from _time(f"T1({window})", recovery(signed[None], values * 1e-3, sd, inversion=inverted))
        case "stimulated_echo", "gradient_percent" if len(np.unique(np.abs(values))) > 1:
            spread = gradient_factor(sweep)
            fit = echo_decay(signal[None], spread * 1e-9, sd, noise=Noise.NONE)
            if fit.determined[0]:
                rate = 1e-9 / float(fit.time_s[0])
                yield Told(f"diffusion({window})", rate, rate * float(fit.time_sd_s[0] / fit.time_s[0]), "m2/s")
        case "nutation", "pulse_us" if len(np.unique(values)) > 3:
            yield from pulse_90(window, signal, values, sd)
    if len(values) > 2 and values[0] == values[-1] and abs(signal[0]) > SEEN * sd:
        yield Told(f"drift({window})", float(signal[-1] / signal[0] - 1.0), math.sqrt(2.0) * sd / abs(float(signal[0])), "")


def _time(name: str, fit: Relaxation) -> Iterator[Told]:
    if fit.determined[0]:
        yield Told(name, float(fit.time_s[0]), float(fit.time_sd_s[0]), "s")


def gradient_factor(sweep: Sweep) -> Floats:
    """float64 (rows,): Stejskal and Tanner's γ²g²δ²(Δ - δ/3), in s/m²."""
    numbers = {name: float(sweep.settings.get(name) or 0.0) for name in ("full_gradient_T_per_m", "gradient_ms", "diffusion_ms")}
    pulse_s, between_s = numbers["gradient_ms"] * 1e-3, numbers["diffusion_ms"] * 1e-3
    area = GAMMA_rad_per_sT.get(sweep.nucleus, 0.0) * sweep.values / 100.0 * numbers["full_gradient_T_per_m"] * pulse_s
    found: Floats = area**2 * (between_s - pulse_s / 3.0)
    return found


def pulse_90(window: str, signal: Floats, pulse_us: Floats, sd: float) -> Iterator[Told]:
    """The pulse of 90 degrees: in free space a sine; at the surface of a metal the law of a thick skin (domain.md 4.12).

    inferred: which law holds is told by the better fit.
    """
    from scipy.optimize import curve_fit

    best: tuple[float, float, float] | None = None
    for law in (np.sin, thick_skin):

        def model(x: Floats, size: float, p90: float, law: Any = law) -> Floats:
            return np.asarray(size * law(0.5 * math.pi * x / p90), dtype=np.float64)

        for guess in np.geomspace(0.2 * pulse_us.max(), 2.0 * pulse_us.max(), 8):
            try:
                found, covariance = curve_fit(
                    model, pulse_us, signal, p0=(signal.max(), guess), sigma=np.full(len(signal), sd), absolute_sigma=True
                )
            except RuntimeError:
                continue
            chi2 = float((((signal - model(pulse_us, *found)) / sd) ** 2).sum())
            if found[1] > 0 and (best is None or chi2 < best[0]):
                best = (chi2, float(found[1]), math.sqrt(max(float(covariance[1, 1]), 0.0)))
    if best is not None and best[2] < 0.5 * best[1]:
        yield Told(f"pulse_90({window})", best[1], best[2], "us")


def thick_skin(surface_rad: Floats) -> Floats:
    """float64: the signal of a thick metal face by tip angle at its surface, along the phase of 90 degrees; ∫ sin(b u) u^2i du."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    u = 0.5 * (nodes + 1.0)
    turned = u ** (2j) * 0.5 * weights
    total = np.sin(np.multiply.outer(surface_rad, u)) @ turned
    along = np.sin(0.5 * math.pi * u) @ turned
    return np.asarray((total * np.conj(along)).real / abs(along) ** 2, dtype=np.float64)
