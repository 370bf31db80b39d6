"""What spectra say of a battery: metal per charge, skin depth, excitation, inactive lithium, shorts (domain.md 4.6 to 4.13).

Areas are relative until somebody has weighed a foil (practice.md 10); charges in mAh; everything takes arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MU0 = 4e-7 * math.pi
FARADAY_C_PER_mol = 96485.33212
UMOL_PER_MAH = 3.6e6 / FARADAY_C_PER_mol
RESISTIVITY_OHM_m = {"7Li": 92.8e-9, "6Li": 92.8e-9, "23Na": 47.7e-9}
"""[K] CRC, near 298 K."""
MG_PER_MAH = {"7Li": 6.94e-3 * UMOL_PER_MAH, "6Li": 6.015e-3 * UMOL_PER_MAH, "23Na": 22.98977e-3 * UMOL_PER_MAH}
LARGEST_CORRECTION = 2.0
NA_TRANSITION_V = 0.15
"""One electrolyte and one current: a parameter, no constant (practice.md 31)."""


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


def moving_slope(charge_mAh: Floats, area: Floats, area_sd: Floats, over: int = 10) -> Slope:
    """dA/dQ float64 (n,) at each of n spectra from the ``over`` spectra up to it (fewer at the beginning)."""
    padded = [np.concatenate([np.full(over - 1, np.nan), np.asarray(each, dtype=np.float64)]) for each in (charge_mAh, area, area_sd)]
    views = [np.lib.stride_tricks.sliding_window_view(each, over) for each in padded]
    return slope(*views)


def ratio(value: Floats, value_sd: Floats, reference: Floats, reference_sd: Floats) -> tuple[Floats, Floats]:
    """Value / reference and its standard error, uncorrelated."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = value / reference
        return found, np.abs(found) * np.hypot(value_sd / value, reference_sd / reference)


def leakage_A(ratio_to_sound: Floats, current_A: Floats | float) -> Floats:
    """Current past the electrodes, (1 - r) I, while plating stays visible. It counts SEI and dense metal under the skin too."""
    found: Floats = (1.0 - np.asarray(ratio_to_sound)) * np.asarray(current_A)
    return found


# -------------------------------------------------------------------------------------------------- the metal in the coil


def skin_depth_um(nucleus: str, frequency_MHz: float) -> float:
    """√(ρ / (π μ0 f)): 7Li 14.2 µm at 7.05 T, 23Na 10.7 µm at 9.4 T."""
    return math.sqrt(RESISTIVITY_OHM_m[nucleus] / (math.pi * MU0 * frequency_MHz * 1e6)) * 1e6


def metal_face(tip_deg: float, thickness: float = math.inf, nodes: int = 64) -> complex:
    """Signal of one metal face, in units of n_v A δ, for a surface tip angle; ``thickness`` in skin depths (domain.md 4.12).

    Its angle is the phase beside everything else: -45 (small tip), -50.4 (90), -56 (123) degrees for a thick face.
    """
    end = min(thickness, 18.0)
    roots, weights = np.polynomial.legendre.leggauss(nodes)
    z = 0.5 * end * (roots + 1.0)
    reach = np.exp(-z)
    return complex(0.5 * end * np.sum(weights * np.sin(math.radians(tip_deg) * reach) * reach * np.exp(-2j * z)))


def skin_corrected_area(area: ArrayLike, tip_deg: float, thickness: ArrayLike) -> Floats:
    """What a plate of ``thickness`` skin depths would give without a skin: area × thickness sin(tip) / |signal| (float64)."""
    depths = np.atleast_1d(np.asarray(thickness, dtype=np.float64))
    seen = np.array([abs(metal_face(tip_deg, float(one))) for one in depths.ravel()]).reshape(depths.shape)
    found: Floats = np.asarray(area) * depths * math.sin(math.radians(tip_deg)) / seen
    return found


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


def moss_mass_mg(area: ArrayLike, mAh_per_area: float, nucleus: str) -> Floats:
    """Mass of metal in mg from its area and k (mAh per area)."""
    found: Floats = np.asarray(area, dtype=np.float64) * (mAh_per_area * MG_PER_MAH[nucleus])
    return found


def bulk_shift_ppm(susceptibility: float, normal_to_B0_deg: float) -> float:
    """Shift of a thin plate by its own magnetisation, χ (1/3 - cos²θ) with θ between normal and B0 (4.13). Calibrate χ."""
    return susceptibility * 1e6 * (1.0 / 3.0 - math.cos(math.radians(normal_to_B0_deg)) ** 2)


def less_blank(area: ArrayLike, area_sd: ArrayLike, blank: ArrayLike, blank_sd: ArrayLike) -> tuple[Floats, Floats]:
    """Areas less the mean of blank areas (n,), float64; the blank's own error goes with it."""
    blanks, sds = np.asarray(blank, dtype=np.float64), np.asarray(blank_sd, dtype=np.float64)
    mean = float(blanks.mean())
    mean_sd = math.sqrt(float((sds**2).sum())) / len(blanks)
    return np.asarray(area, dtype=np.float64) - mean, np.hypot(np.asarray(area_sd, dtype=np.float64), mean_sd)


def sand_time_s(D_cm2_per_s: float, concentration_mol_per_L: float, current_mA_per_cm2: ArrayLike, t_anion: float) -> Floats:
    """Sand's time π D (c0 F / (2 j t_a))²; above it deposits are dendritic, below mossy (4.9)."""
    j = np.asarray(current_mA_per_cm2, dtype=np.float64) * 1e-3
    found: Floats = math.pi * D_cm2_per_s * (concentration_mol_per_L * 1e-3 * FARADAY_C_PER_mol / (2.0 * j * t_anion)) ** 2
    return found


def beyond_transition(overpotential_V: ArrayLike, threshold_V: float = NA_TRANSITION_V, debounce: int = 3) -> int | None:
    """Index of the first of ``debounce`` samples in a row above the threshold (Na|Na: the onset of failure); None: never."""
    above = np.abs(np.asarray(overpotential_V, dtype=np.float64)) > threshold_V
    if len(above) < debounce:
        return None
    runs = np.lib.stride_tricks.sliding_window_view(above, debounce).all(axis=-1)
    return int(np.argmax(runs)) if runs.any() else None


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
    from scipy.stats import pearsonr

    r, p = {}, {}
    for name, column in against.items():
        good = np.isfinite(observable) & np.isfinite(column)
        varies = good.sum() >= 3 and np.ptp(column[good]) > 0 and np.ptp(observable[good]) > 0
        found = pearsonr(column[good], observable[good]) if varies else (math.nan, math.nan)
        r[name], p[name] = float(found[0]), float(found[1])
    return Correlation(r, p, len(observable))


def lag(first: Floats, second: Floats, longest: int) -> tuple[int, float]:
    """By how many rows ``second`` (n,) follows ``first`` (n,), and the correlation there; at most ``longest`` rows."""
    a, b = first - first.mean(), second - second.mean()
    scale = math.sqrt(float((a**2).sum() * (b**2).sum())) or 1.0
    found = {
        k: float((a[max(0, -k) : len(a) - max(0, k)] * b[max(0, k) : len(b) + min(0, k)]).sum()) / scale
        for k in range(-longest, longest + 1)
    }
    best = max(found, key=lambda k: found[k])
    return best, found[best]
