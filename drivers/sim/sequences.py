"""What a pulse sequence shows of the nuclei, and what it leaves. Pure numpy, no state.

Between two starts of a sequence the longitudinal magnetisation m of every place goes through rotations, which scale it, and
recoveries, which pull it towards 1: both are affine, and so is the whole cycle. What is seen is affine in m too. Steady states and
the mean over counted scans then follow in closed form, for any number of dummies.

Refocusing pulses are twice the tip angle of the first, at every depth of the metal (practice.md 25), with crushers: only what they
refocus is kept, sin²θ of it on resonance, half of what they invert off it. A train of 32 pulses saturates (inferred: as long as anybody's).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Scan

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
SATURATING_PULSES = 32
PICTURES = frozenset({"image_se", "image_ge"})
ENCODED = frozenset({"phase_encoded_fid"})
"""One encode along z, then a whole FID from the echo time on."""


class Pulse(NamedTuple):
    """What one pulse does at each place: ``tipped`` complex (n,) of m is seen, ``kept`` (n,) stays; ``tip_rad`` (n,) on resonance."""

    tipped: Complexes
    kept: Floats
    tip_rad: Floats


class Times(NamedTuple):
    """Of one line, in seconds; ``diffusion_m2_per_s`` of what moves."""

    T1_s: float
    T2_s: float
    T2star_s: float
    diffusion_m2_per_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """x → offset + gain x, each (n,) or one number."""

    offset: Floats | float
    gain: Floats | float

    def then(self, later: Affine) -> Affine:
        """First this, then ``later``."""
        return Affine(later.offset + later.gain * self.offset, later.gain * self.gain)

    def at(self, x: Floats) -> Floats:
        """Its value."""
        return np.asarray(self.offset + self.gain * x, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One pass of a sequence: ``ready`` is m before the pulse that is read, ``seen`` complex (n,) of that m, ``left`` is m at its end."""

    ready: Affine
    seen: Complexes
    left: Affine


def recovered(seconds: float, T1_s: float) -> Affine:
    """So long a recovery."""
    lost = math.exp(-seconds / T1_s)
    return Affine(1.0 - lost, lost)


def scaled(factor: Floats) -> Affine:
    """A rotation, or a train of them."""
    return Affine(0.0, factor)


def course(scan: Scan, pulse: Pulse, inverting: Pulse, times: Times) -> Course:
    """What the scan's sequence does. ``inverting``: a pulse of twice the tip angle. Raises ValueError for one that is not known."""
    acquired = recovered(scan.points / scan.spectral_width_Hz, times.T1_s)
    at_once, kept = Affine(0.0, 1.0), scaled(pulse.kept)
    refocused = 0.5 * (1.0 - inverting.kept)
    T2_lost = math.exp(-scan.echo_s / times.T2_s) if times.T2_s > 0 else 0.0
    match scan.sequence:
        case "saturation_recovery":
            ready = scaled(np.cos(pulse.tip_rad) ** SATURATING_PULSES).then(recovered(scan.delay_s, times.T1_s))
            return Course(ready, pulse.tipped, ready.then(kept).then(acquired))
        case "inversion_recovery":
            ready = scaled(inverting.kept).then(recovered(scan.delay_s, times.T1_s))
            return Course(ready, pulse.tipped, ready.then(kept).then(acquired))
        case "hahn_echo" | "cpmg" | "qcpmg" | "image_se":
            half = recovered(scan.echo_s / 2.0, times.T1_s)
            pulses = max(1, scan.echoes)
            left = kept.then(half).then(scaled(inverting.kept**pulses)).then(half).then(acquired)
            decayed = 1.0 if scan.sequence in {"image_se", "qcpmg"} else T2_lost
            return Course(at_once, pulse.tipped * (refocused if scan.sequence == "qcpmg" else refocused**pulses) * decayed, left)
        case "stimulated_echo":
            stored = recovered(scan.delay_s, times.T1_s)
            spread = math.exp(-scan.gradient * times.diffusion_m2_per_s - scan.delay_s / times.T1_s) * T2_lost
            left = scaled(pulse.kept**2).then(stored).then(kept).then(acquired)
            return Course(at_once, 0.5 * pulse.tipped * refocused * spread, left)
        case "exchange":
            mixed = recovered(scan.delay_s, times.T1_s)
            seen = pulse.tipped * np.abs(pulse.tipped) ** 2 * math.exp(-scan.delay_s / times.T1_s)
            return Course(at_once, seen, scaled(pulse.kept**2).then(mixed).then(kept).then(acquired))
        case "image_ge" | "phase_encoded_fid":
            waited = recovered(scan.echo_s, times.T1_s)
            return Course(at_once, pulse.tipped, kept.then(waited).then(acquired))
    raise ValueError(f"the twin does not run the sequence {scan.sequence}")


def settle(before: Floats, cycle: Affine, dummies: int, scans: int) -> tuple[Floats, Floats]:
    """(n,) mean m before the counted scans, and (n,) m before the last; ``cycle``: from one start of the sequence to the next."""
    gain = np.asarray(cycle.gain, dtype=np.float64)
    steady = cycle.offset / (1.0 - gain)
    away = before - steady
    geometric = gain**dummies * (1.0 - gain**scans) / (1.0 - gain)
    return steady + away * geometric / scans, steady + away * gain ** (dummies + scans - 1)


def shape(scan: Scan, t_s: Floats, offset_Hz: float, lorentz: float, gauss: float) -> Complexes:
    """complex128 (points,): one line's signal of amplitude 1 at times from the first point on.

    A train comes back every ``spacing_s`` and loses what the Lorentzian width says (inferred: that width is homogeneous).
    """
    if scan.sequence != "qcpmg":
        return np.asarray(np.exp(t_s * (2j * math.pi * offset_Hz - lorentz - gauss * t_s)), dtype=np.complex128)
    near = (t_s + 0.5 * scan.spacing_s) % scan.spacing_s - 0.5 * scan.spacing_s
    inside = t_s < scan.spacing_s * (scan.echoes + 0.5)
    return np.asarray(inside * np.exp(2j * math.pi * offset_Hz * near - gauss * near**2 - lorentz * t_s), dtype=np.complex128)
