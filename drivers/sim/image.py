"""Where the metal lies, and its k-space: two discs of which the field sees the skins, and after a hard short a cluster. Pure numpy.

Read is along z (the stack), phase along y (across the discs), seen through x: a disc is as bright as its chord. The skins lie at
both faces of each foil, one pixel thin. A hard short turns a part of the skins into a cluster between the electrodes that has a T2 of its
own; nothing is added, so the spectrum neither grows nor splits (Rees: no second peak, no gain). Numbers: domain.md 1b R2-R7,
2.2, 5.1 C6, 5.2; where the cluster lies and how large it is, is inferred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.sim import noise
from drivers.sim.nuclei import Amount
from drivers.sim.physics import Scan
from drivers.sim.places import Body, Filling, along_mm, faces_mm, filled, filling_of, place_of
from drivers.sim.sequences import Times

T2_PURPOSE = 0x54324D50
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageParameters:
    """What an image shows besides the lines' own T2. T2 of each pixel is drawn once from a normal distribution.

    ``short_adds_ms``, ``short_spreads``: what a hard short that has grown adds to the electrodes' T2, and by what it widens its
    distribution. ``cluster_fraction``: of the metal's signal; ``cluster_y_mm`` from the middle, ``cluster_z_mm`` from the working face.
    ``cluster_crosses``: it reaches from the plated face as far as the short has grown (O14). ``moss_porosity``: of a layer of moss, which
    drives electrolyte out (O15). ``host_mm``: how thick an insertion electrode is (O22); all three are inferred.
    """

    separator_mm: float = 1.0
    short_adds_ms: float = 1.0
    short_spreads: float = 1.4
    T2_low_ms: float = 5.0
    T2_high_ms: float = 12.0
    T2_cluster_ms: float = 16.3
    T2_cluster_sd_ms: float = 0.15
    cluster_fraction: float = 0.0035
    cluster_y_mm: float = 1.0
    cluster_z_mm: float = 0.2
    cluster_height_mm: float = 0.6
    cluster_width_mm: float = 0.03
    cluster_crosses: bool = False
    moss_porosity: float = 0.5
    host_mm: float = 0.0


class Decay(NamedTuple):
    """T2 of a line's pixels: mean and standard deviation, in s."""

    T2_s: float
    sd_s: float


class Growth(NamedTuple):
    """How far a hard short has grown, from which side (1: working), and what fills the gap."""

    short: float = 0.0
    from_side: float = 1.0
    filling: Filling = Filling()


UNGROWN = Growth()


class Pixels(NamedTuple):
    """Of an image: how many along phase and read, and how far they reach."""

    views: int
    points: int
    fov_mm: tuple[float, float]


class Pictures:
    """Where the lines of one cell lie."""

    def __init__(self, parameters: ImageParameters, body: Body, seed: int) -> None:
        self.parameters = parameters
        self.body = body
        self.seed = seed

    def grown(self, state: Any, t_s: float) -> float:
        """How far a hard short has grown at ``t_s``, 0 to 1: by its length where that counts, else by time; others have none."""
        if math.isfinite(self.body.crossing_mol):
            return float(min(1.0, max(half.moss_mol for half in (state.working, state.counter)) / self.body.crossing_mol))
        since_s = getattr(state, "hard_short_s", None)
        return 0.0 if since_s is None else max(0.0, -math.expm1(-(t_s - since_s) / self.body.filament_s))

    def filling(self, state: Any, *, displaced: bool = True) -> Filling:
        """Of the gap, in one state."""
        return filling_of(self.body, state, self.parameters.moss_porosity, displaced=displaced)

    def slices(self, state: Any, amount: Amount) -> tuple[Floats, Floats]:
        """float64 (n,), (n,): places along z in mm, and how a signal of 1 of a line lies over them."""
        return along_mm(self.body, self.parameters.separator_mm, place_of(amount), self.filling(state))

    def encode(self, scan: Scan, state: Any, amount: Amount) -> complex:
        """What a phase encode along z makes of a signal of 1 of a line."""
        z_mm, shown = self.slices(state, amount)
        return complex(np.exp(-2j * math.pi * (scan.view - scan.views // 2) / scan.fov_mm[0] * z_mm) @ shown)

    def row(self, scan: Scan, state: Any, amount: Amount, offset_Hz: float, times: tuple[Times, float]) -> NDArray[np.complex128]:
        """complex128 (points,): the row of k-space that a scan encodes, for a signal of 1 of one line.

        A line off resonance lies shifted along read; beyond the receiver's width it is filtered away. A gradient echo loses by
        T2* instead of T2.
        """
        if abs(offset_Hz) > scan.spectral_width_Hz / 2.0 or scan.views < 1:
            return np.zeros(scan.points, dtype=np.complex128)
        short = round(self.grown(state, 0.5 * (scan.t_start_s + scan.t_end_s)), 3)
        place, taken = place_of(amount), self.parameters.cluster_fraction * short
        of_line = Decay(times[0].T2_s, times[1])
        row = np.zeros(scan.points, dtype=np.complex128)
        parts = {place: 1.0 - taken, "cluster": taken} if place in {"working", "counter"} and taken > 0.0 else {place: 1.0}
        growth = Growth(short, -1.0 if getattr(state, "sign", 0) > 0 else 1.0, self.filling(state))
        for where, part in parts.items():
            row += part * self._encoded(scan, where, of_line, growth)[scan.view]
        lost = 1.0 if scan.sequence == "image_se" else math.exp(-scan.echo_s / times[0].T2star_s)
        t_s = (np.arange(scan.points) - scan.points // 2) / scan.spectral_width_Hz
        return np.asarray(lost * row * np.exp(2j * math.pi * offset_Hz * t_s), dtype=np.complex128)

    def _encoded(self, scan: Scan, place: str, decay: Decay, growth: Growth) -> NDArray[np.complex128]:
        echo_s = scan.echo_s if scan.sequence == "image_se" else 0.0
        pixels = Pixels(scan.views, scan.points, scan.fov_mm)
        return encoded(self.parameters, self.body, pixels, place, decay, growth, echo_s, self.seed)


@lru_cache(maxsize=32)
def encoded(
    p: ImageParameters, body: Body, pixels: Pixels, place: str, decay: Decay, growth: Growth, echo_s: float, seed: int
) -> NDArray[np.complex128]:
    """complex128 (views, points): k-space of a signal of 1 at one place; its middle is what is left at the echo time."""
    shown = weight(p, body, pixels, place, growth)
    if echo_s > 0.0:
        shown = shown * np.exp(-echo_s / T2_of(p, pixels, place, decay, growth.short, seed))
    return np.asarray(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(shown))), dtype=np.complex128)


def weight(p: ImageParameters, body: Body, pixels: Pixels, place: str, growth: Growth = UNGROWN) -> Floats:
    """float64 (views, points): how a signal of 1 lies over the pixels; its sum is 1 where the place is inside the field of view."""
    y_mm, z_mm = axes_mm(pixels)
    chord, gap_mm = np.sqrt(np.maximum(body.radius_mm**2 - y_mm**2, 0.0)), p.separator_mm
    if place == "cluster":
        middle_mm, width_mm = gap_mm / 2.0 - p.cluster_z_mm, p.cluster_width_mm
        if p.cluster_crosses:
            middle_mm, width_mm = growth.from_side * gap_mm * (0.5 - 0.5 * growth.short), gap_mm * growth.short
        found = _block(y_mm, p.cluster_y_mm, p.cluster_height_mm)[:, None] * _block(z_mm, middle_mm, width_mm)
    elif place == "between":
        found = np.outer(chord, filled(z_mm, gap_mm, growth.filling))
    elif place == "outside" or body.is_host(place):
        there, shown = along_mm(body, gap_mm, place, growth.filling)
        found = np.outer(chord, np.interp(z_mm, there, shown, left=0.0, right=0.0))
    else:
        found = np.outer(chord, _planes(z_mm, faces_mm(body, gap_mm, place)))
    total = float(found.sum())
    return found / total if total > 0 else found


def axes_mm(pixels: Pixels) -> tuple[Floats, Floats]:
    """float64 (views,), (points,): where pixels lie along phase and along read."""
    y_mm, z_mm = ((np.arange(n) - n // 2) * length / n for n, length in zip(pixels[:2], pixels.fov_mm, strict=True))
    return y_mm, z_mm


def T2_of(p: ImageParameters, pixels: Pixels, place: str, decay: Decay, short: float, seed: int) -> Floats:
    """float64 (views, points): T2 in s of each pixel of a place."""
    size = pixels[:2]
    if place == "cluster":
        return np.asarray(1e-3 * (p.T2_cluster_ms + p.T2_cluster_sd_ms * _drawn(size, seed, 1)), dtype=np.float64)
    if place == "between" or decay.sd_s <= 0.0:
        return np.full(size, decay.T2_s)
    middle_s, sd_s = decay.T2_s + 1e-3 * p.short_adds_ms * short, decay.sd_s * (1.0 + (p.short_spreads - 1.0) * short)
    found: Floats = np.clip(middle_s + sd_s * _drawn(size, seed, 0), 1e-3 * p.T2_low_ms, 1e-3 * p.T2_high_ms)
    return found


def _planes(z_mm: Floats, at_mm: tuple[float, ...]) -> Floats:
    """Faces as single pixels."""
    found = np.zeros_like(z_mm)
    for place in at_mm:
        if z_mm[0] <= place <= z_mm[-1]:
            found[int(np.argmin(np.abs(z_mm - place)))] += 1.0
    return found


def _block(axis_mm: Floats, middle_mm: float, length_mm: float) -> Floats:
    found = (np.abs(axis_mm - middle_mm) <= length_mm / 2.0).astype(float)
    found[int(np.argmin(np.abs(axis_mm - middle_mm)))] = 1.0
    return found


def _drawn(size: tuple[int, int], seed: int, which: int) -> Floats:
    return noise.generator(seed, which, T2_PURPOSE).standard_normal(size)
