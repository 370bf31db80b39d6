"""Where the metal lies, and its k-space: two discs of which the field sees the skins, and after a hard short a cluster. Pure numpy.

Read is along z (the stack), phase along y (across the discs), seen through x: a disc is as bright as its chord. The skins lie at
both faces of each foil, one pixel thin. A hard short turns a part of the skins into a cluster between the electrodes that has a T2 of its
own; nothing is added, so the spectrum neither grows nor splits (Rees: no second peak, no gain). Numbers: domain.md 1b R2-R7,
2.2, 5.1 C6, 5.2; where the cluster lies and how large it is, is inferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.sim import noise
from drivers.sim.physics import Scan

T2_PURPOSE = 0x54324D50
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageParameters:
    """What an image shows. T2 of each pixel is drawn once from a normal distribution; ``*_after``: once a hard short has grown.

    ``cluster_fraction``: of the metal's signal; ``cluster_y_mm`` from the middle, ``cluster_z_mm`` from the working face.
    """

    separator_mm: float = 1.0
    T2_electrode_ms: float = 7.5
    T2_electrode_sd_ms: float = 1.2
    T2_electrode_after_ms: float = 8.5
    T2_electrode_after_sd_ms: float = 1.7
    T2_low_ms: float = 5.0
    T2_high_ms: float = 12.0
    T2_cluster_ms: float = 16.3
    T2_cluster_sd_ms: float = 0.15
    cluster_fraction: float = 0.01
    cluster_y_mm: float = 1.0
    cluster_z_mm: float = 0.2
    cluster_height_mm: float = 0.6
    cluster_width_mm: float = 0.07


@dataclass(frozen=True, slots=True)
class Body:
    """What an object is made of: area and thickness of a disc, and how far the short has grown (0 to 1)."""

    area_cm2: float
    foil_um: float
    short: float = 0.0

    @property
    def radius_mm(self) -> float:
        """Of a disc."""
        return 10.0 * math.sqrt(self.area_cm2 / math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """float64 (views, points) each: ``weight`` of a signal of 1 by place, ``T2_s`` there."""

    weight: Mapping[str, Floats]
    T2_s: Mapping[str, Floats]


def grown(state: Any, t_s: float, filament_s: float) -> float:
    """How far a hard short has grown at ``t_s``, 0 to 1; cells that cannot short have none."""
    since_s = getattr(state, "hard_short_s", None)
    return 0.0 if since_s is None else max(0.0, -math.expm1(-(t_s - since_s) / filament_s))


def place_of(environment: str, slot: int) -> str:
    """Where the nuclei of a line lie: on the ``working`` or ``counter`` electrode, in the ``cluster``, or ``between``."""
    if environment == "filament":
        return "cluster"
    return ("working", "counter")[slot % 2] if environment in {"bulk", "moss", "dead"} else "between"


@lru_cache(maxsize=8)
def scene(body: Body, p: ImageParameters, views: int, points: int, fov_mm: tuple[float, float], seed: int) -> Scene:
    """The object on the pixels of an image."""
    y_mm, z_mm = (((np.arange(n) - n // 2) * length / n) for n, length in zip((views, points), fov_mm, strict=True))
    chord = np.sqrt(np.maximum(body.radius_mm**2 - y_mm**2, 0.0))
    half, foil = p.separator_mm / 2.0, body.foil_um * 1e-3
    weight = {
        "working": np.outer(chord, _planes(z_mm, (half, half + foil))),
        "counter": np.outer(chord, _planes(z_mm, (-half, -half - foil))),
        "between": np.outer(chord, (np.abs(z_mm) < half).astype(float)),
        "cluster": _block(y_mm, p.cluster_y_mm, p.cluster_height_mm)[:, None] * _block(z_mm, half - p.cluster_z_mm, p.cluster_width_mm),
    }
    weight = {name: each / max(each.sum(), 1e-300) for name, each in weight.items()}
    electrode_s = _T2(p, body.short, (views, points), seed)
    cluster_s = 1e-3 * (p.T2_cluster_ms + p.T2_cluster_sd_ms * _drawn((views, points), seed, 1))
    return Scene(weight, {"working": electrode_s, "counter": electrode_s, "cluster": cluster_s, "between": np.full((views, points), 0.05)})


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


def _T2(p: ImageParameters, short: float, size: tuple[int, int], seed: int) -> Floats:
    middle_ms = p.T2_electrode_ms + short * (p.T2_electrode_after_ms - p.T2_electrode_ms)
    sd_ms = p.T2_electrode_sd_ms + short * (p.T2_electrode_after_sd_ms - p.T2_electrode_sd_ms)
    found: Floats = 1e-3 * np.clip(middle_ms + sd_ms * _drawn(size, seed, 0), p.T2_low_ms, p.T2_high_ms)
    return found


@lru_cache(maxsize=16)
def _encoded(body: Body, p: ImageParameters, key: tuple[Any, ...], place: str, echo_s: float, seed: int) -> NDArray[np.complex128]:
    """complex128 (views, points): k-space of a signal of 1 at one place; its middle is what is left at the echo time."""
    views, points, fov_mm = key
    found = scene(body, p, views, points, fov_mm, seed)
    shown = found.weight[place] * np.exp(-echo_s / found.T2_s[place])
    return np.asarray(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(shown))), dtype=np.complex128)


def view(scan: Scan, body: Body, p: ImageParameters, place: str, offset_Hz: float, seed: int, T2star_s: float) -> NDArray[np.complex128]:
    """complex128 (points,): the row of k-space that a scan encodes, for a signal of 1 at one place.

    A line off resonance lies shifted along read; beyond the receiver's width it is filtered away. A gradient echo loses by T2*
    instead of T2.
    """
    if abs(offset_Hz) > scan.spectral_width_Hz / 2.0 or scan.views < 1:
        return np.zeros(scan.points, dtype=np.complex128)
    spin_echo = scan.sequence == "image_se"
    lost = 1.0 if spin_echo else math.exp(-scan.echo_s / T2star_s)
    row = _encoded(body, p, (scan.views, scan.points, scan.fov_mm), place, scan.echo_s if spin_echo else 0.0, seed)[scan.view]
    t_s = (np.arange(scan.points) - scan.points // 2) / scan.spectral_width_Hz
    return np.asarray(lost * row * np.exp(2j * math.pi * offset_Hz * t_s), dtype=np.complex128)
