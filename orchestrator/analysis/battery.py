"""What spectra say of a battery: metal per charge, skin depth, excitation, inactive lithium, shorts (domain.md 4.6 to 4.13).

Areas are relative until somebody has weighed a foil (practice.md 10); charges in mAh; everything takes arrays.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from orchestrator.model.salt import FARADAY_C_PER_mol

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MU0 = 4e-7 * math.pi
UMOL_PER_MAH = 3.6e6 / FARADAY_C_PER_mol
RESISTIVITY_OHM_m = {"7Li": 92.8e-9, "6Li": 92.8e-9, "23Na": 47.7e-9}
"""[K] CRC, near 298 K."""
MG_PER_MAH = {"7Li": 6.94e-3 * UMOL_PER_MAH, "6Li": 6.015e-3 * UMOL_PER_MAH, "23Na": 22.98977e-3 * UMOL_PER_MAH}
DEEPEST = 18.0
"""In skin depths: nothing is seen below."""
HULL_DEPTHS, HULL_POINTS = 9.0, 181
"""In skin depths: a face this thick is a thick one to 1e-4."""
HULL_WAYS = np.exp(1j * np.deg2rad(np.arange(0.0, 360.0, 3.0)))
"""Directions from which a hull is looked at: the nearest is met to 0.03 %."""
LARGEST_CORRECTION = 2.0
HALF_TURN_deg = 170.0
"""From here on hardly anything of a thin plate is left to compare with."""


# ------------------------------------------------------------------------------------------------------------ regression


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """float64, any shape: d(area)/d(charge) in 1/mAh, its standard error, intercept, spectra used, chi² per degree of freedom."""

    slope: Floats
    slope_sd: Floats
    intercept: Floats
    n: NDArray[np.int64]
    chi2_per_point: Floats


def slope(charge_mAh: ArrayLike, area: ArrayLike, area_sd: ArrayLike) -> Slope:
    """Weighted straight line along the last axis of (…, n); NaN where fewer than three spectra or no span of charge.

    The standard error is that of the stated errors, or of the scatter where that is larger.
    """
    x, y, sd = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (charge_mAh, area, area_sd)))
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(sd) & (sd > 0)
    weight = np.where(good, 1.0 / np.where(good, sd, 1.0) ** 2, 0.0)
    x, y, n = np.where(good, x, 0.0), np.where(good, y, 0.0), good.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = weight.sum(axis=-1)
        mean_x, mean_y = (weight * x).sum(axis=-1) / total, (weight * y).sum(axis=-1) / total
        away = np.where(good, x - mean_x[..., None], 0.0)
        spread = (weight * away**2).sum(axis=-1)
        found = (weight * away * y).sum(axis=-1) / spread
        residual = np.where(good, y - mean_y[..., None] - found[..., None] * away, 0.0)
        chi2 = (weight * residual**2).sum(axis=-1) / np.maximum(n - 2, 1)
        error = np.sqrt(np.maximum(1.0, chi2) / spread)
    told = (n >= 3) & (spread > 0)
    values = [np.where(told, each, np.nan) for each in (found, error, mean_y - found * mean_x)]
    return Slope(values[0], values[1], values[2], n.astype(np.int64), np.where(told, chi2, np.nan))


# -------------------------------------------------------------------------------------------------- the metal in the coil


def skin_depth_um(nucleus: str, frequency_MHz: float) -> float:
    """√(ρ / (π μ0 f)): 7Li 14.2 µm at 7.05 T, 23Na 10.7 µm at 9.4 T."""
    return math.sqrt(RESISTIVITY_OHM_m[nucleus] / (math.pi * MU0 * frequency_MHz * 1e6)) * 1e6


def metal_face(tip_deg: float, thickness: float = math.inf, nodes: int = 64) -> complex:
    """Signal of one metal face, in units of n_v A δ, for a surface tip angle; ``thickness`` in skin depths (domain.md 4.12).

    Its angle is the phase beside everything else: -45 (small tip), -50.4 (90), -56 (123) degrees for a thick face.
    """
    z, weights = _depths(min(thickness, DEEPEST), nodes)
    reach = np.exp(-z)
    return complex(np.sum(weights * np.sin(math.radians(tip_deg) * reach) * reach * np.exp(-2j * z)))


def skin_share(tip_deg: float) -> float:
    """What a thick face shows, over what the metal within one skin depth of it would show if all of it was seen: 0.431 at 90 degrees."""
    return abs(metal_face(tip_deg)) / math.sin(math.radians(tip_deg))


def seen_depth_um(nucleus: str, frequency_MHz: float, tip_deg: float) -> float:
    """How thick a plate without a skin would be that is as bright as a thick one: an area times thickness / this is the metal's own."""
    return skin_depth_um(nucleus, frequency_MHz) * skin_share(tip_deg)


def excitation(offset_Hz: ArrayLike, pulse_us: float, tip_deg: float) -> tuple[Floats, Bools]:
    """Factor by which areas are divided for a rectangular pulse off resonance, and where that is too much to be believed (4.10)."""
    offset = 2.0 * np.pi * np.asarray(offset_Hz, dtype=np.float64)
    pulse_s, tip = pulse_us * 1e-6, math.radians(tip_deg)
    field = tip / pulse_s
    total = np.hypot(field, offset)
    n_x, n_z, turn = field / total, offset / total, total * pulse_s
    seen = np.hypot(n_x * n_z * (1.0 - np.cos(turn)), n_x * np.sin(turn)) / abs(math.sin(tip))
    with np.errstate(divide="ignore"):
        return seen, ~((seen <= LARGEST_CORRECTION) & (seen >= 1.0 / LARGEST_CORRECTION))


def face_excitation(offset_Hz: float, pulse_us: float, tip_deg: float, nodes: int = 64) -> tuple[float, bool]:
    """The same of one thick metal face: deeper spins see a weaker and later pulse, so the side on which the carrier lies matters.

    In each depth the pulse of 4.10, about the field's own direction there; then summed as in ``metal_face``.
    """
    z, weights = _depths(DEEPEST, nodes)
    seen = abs(np.sum(weights * _from_depth(z, offset_Hz, pulse_us, tip_deg))) / abs(metal_face(tip_deg, nodes=nodes))
    return float(seen), not 1.0 / LARGEST_CORRECTION <= seen <= LARGEST_CORRECTION


def _from_depth(z: Floats, offset_Hz: float, pulse_us: float, tip_deg: float) -> NDArray[np.complex128]:
    """complex128 (n,): what metal at depths ``z``, in skin depths, gives back; 1 is all of it, tipped by 90 degrees."""
    reach, turn_free = np.exp(-z), 2.0 * math.pi * offset_Hz * pulse_us * 1e-6
    tip = math.radians(tip_deg) * reach
    turn = np.hypot(tip, turn_free)
    across = (tip * np.sin(turn) + 1j * tip * turn_free / turn * (1.0 - np.cos(turn))) / turn
    found: NDArray[np.complex128] = across * reach * np.exp(-2j * z)
    return found


def unsorted_metal(offset_Hz: float, pulse_us: float, tip_deg: float) -> tuple[float, float]:
    """Least and most that metal of unknown thickness shows, over what all of it within one skin depth of its faces would show.

    From a film to a thick face, and any mixture: parts with different phases take from one another, so the least is the distance
    from zero of the hull of all thicknesses' signals; 0 where they can cancel.
    """
    depths = np.linspace(0.0, HULL_DEPTHS, HULL_POINTS)
    signal = _from_depth(depths, offset_Hz, pulse_us, tip_deg)
    steps = 0.5 * (signal[1:] + signal[:-1]) * depths[1]
    shown = np.concatenate([signal[:1], np.cumsum(steps) / np.minimum(depths[1:], 1.0)]) / math.sin(math.radians(tip_deg))
    along = np.max(np.min((shown * HULL_WAYS[:, None]).real, axis=1))
    return max(0.0, float(along)), float(np.abs(shown).max())


def _depths(end: float, nodes: int) -> tuple[Floats, Floats]:
    """Depths in skin depths, and the weight of each."""
    roots, weights = _gauss(nodes)
    return 0.5 * end * (roots + 1.0), 0.5 * end * weights


_gauss = functools.cache(np.polynomial.legendre.leggauss)
"""Two milliseconds the first time, and spectra come by thousands."""


def seen_share(thickness_um: float, nucleus: str, frequency_MHz: float, tip_deg: float) -> float:
    """How much of a foil, reached from both sides, the coil sees: its area over what it would be without a skin."""
    skins = 0.5 * thickness_um / skin_depth_um(nucleus, frequency_MHz)
    return abs(metal_face(tip_deg, skins)) / (skins * math.sin(math.radians(tip_deg)))


def metal_mass_mg(area: float, mAh_per_area: float, nucleus: str) -> float:
    """Mass of metal in mg from its area and k (mAh per area)."""
    return area * mAh_per_area * MG_PER_MAH[nucleus]


# ------------------------------------------------------------------------------------------------------ inactive lithium


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """Per cycle, float64 (n,), in mAh. ``closes``: sigmas by which Q_d = k (A_c - A_d) fails in a cycle that k was not taken from.

    ``mAh_per_area``: k, from stripping in ``calibrated`` cycles (bool (n,)); all that follows from k carries its error.
    """

    mAh_per_area: float
    mAh_per_area_sd: float
    calibrated: Bools
    dead_mAh: Floats
    dead_sd_mAh: Floats
    sei_mAh: Floats
    sei_sd_mAh: Floats
    CE: Floats
    plating_efficiency: Floats
    plating_efficiency_sd: Floats
    closes: Floats

    @property
    def doubtful(self) -> tuple[str, ...]:
        """What speaks against the budget, a sentence each."""
        open_ = [int(n) + 1 for n in np.flatnonzero(np.abs(self.closes) > 3.0)]
        negative = [int(n) + 1 for n in np.flatnonzero(self.sei_mAh < -3.0 * self.sei_sd_mAh)]
        told = [f"Q_d is not k (A_c - A_d) in cycles {', '.join(map(str, open_))}"] if open_ else []
        return tuple(told + ([f"less than no SEI in cycles {', '.join(map(str, negative))}"] if negative else []))


def lithium_budget(
    charge_mAh: Floats,
    discharge_mAh: Floats,
    charged: Floats,
    charged_sd: Floats,
    discharged: Floats,
    discharged_sd: Floats,
    cycles: tuple[int, int] = (2, 4),
    before: tuple[float, float] = (0.0, 0.0),
) -> Budget:
    """Inactive lithium per cycle from areas (n,) after charge and after discharge and charges (n,), cycles counted from 1.

    k comes from stripping, Q_d / (A_c - A_d), in ``cycles`` (practice.md 15: the first plating hides its SEI). ``before``: area
    and error before the first charge. Raises ValueError where no cycle can give k.
    """  # fmt: skip
    Q_c, Q_d, A_c, A_d = (np.asarray(each, dtype=np.float64) for each in (charge_mAh, discharge_mAh, charged, discharged))
    stripped, stripped_sd = A_c - A_d, np.hypot(charged_sd, discharged_sd)
    number = np.arange(1, len(Q_d) + 1)
    used = (number >= cycles[0]) & (number <= cycles[1]) & (stripped > 3.0 * stripped_sd)
    if not used.any():
        raise ValueError(f"no metal is seen to be stripped in cycles {cycles[0]} to {cycles[1]}: nothing calibrates the areas")
    weight = (stripped_sd[used] / Q_d[used]) ** -2.0
    per_mAh = float((weight * stripped[used] / Q_d[used]).sum() / weight.sum())
    k, k_sd = 1.0 / per_mAh, 1.0 / (per_mAh**2 * math.sqrt(float(weight.sum())))
    A_before, sd_before = np.concatenate([[before[0]], A_d[:-1]]), np.concatenate([[before[1]], np.asarray(discharged_sd)[:-1]])
    gained, gained_sd = A_d - A_before, np.hypot(discharged_sd, sd_before)
    dead, dead_sd = k * gained, np.hypot(k * gained_sd, gained * k_sd)
    plated, plated_sd = A_c - A_before, np.hypot(charged_sd, sd_before)
    open_sd = np.hypot(k * stripped_sd, stripped * k_sd)
    return Budget(
        k, k_sd, used, dead, dead_sd, Q_c - Q_d - dead, dead_sd, Q_d / Q_c,
        k * plated / Q_c, np.hypot(k * plated_sd, plated * k_sd) / Q_c,
        np.where(used, 0.0, (Q_d - k * stripped) / open_sd),
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- correlation


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r and its two-sided significance against each of t, Q, x, E by name; ``n`` spectra."""

    r: dict[str, float]
    p: dict[str, float]
    n: int


def correlations(observable: Floats, against: dict[str, Floats]) -> Correlation:
    """Of one observable (n,) with columns (n,); constant or too short ones give NaN."""
    found = {name: _pearson(observable, column) for name, column in against.items()}
    return Correlation({name: r for name, (r, _) in found.items()}, {name: p for name, (_, p) in found.items()}, len(observable))


def _pearson(one: Floats, other: Floats) -> tuple[float, float]:
    good = np.isfinite(one) & np.isfinite(other)
    n = int(good.sum())
    if n < 3 or not np.ptp(one[good]) > 0 or not np.ptp(other[good]) > 0:
        return math.nan, math.nan
    a, b = one[good] - one[good].mean(), other[good] - other[good].mean()
    r = float(np.clip(a @ b / math.sqrt(float(a @ a) * float(b @ b)), -1.0, 1.0))
    t = abs(r) * math.sqrt((n - 2) / max(1.0 - r**2, 1e-300))
    return r, 2.0 * float(stdtr(n - 2, -t))
