"""Images and maps of T2: k-space → magnitudes → one fit a pixel, a histogram, and a test for an isolated cluster (domain.md 4.8).

A pixel is fitted where the first echo is brighter than three times the noise; its T2 counts where it is determined. Noise of
magnitudes adds 2σ² to their square. Pixels at a signal of four times the noise scatter from 5 to 24 ms where 16 is true, so the cluster is
looked for in space first: connected groups of bright pixels, each fitted as a whole on complex data (phases from the other
echoes, so that noise adds nothing), and a group that is longer than the metal's own by more than two of both errors stands apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.relaxation import Noise, Relaxation, above_T1, echo_decay
from orchestrator.model.metals import KORRINGA_PART, KORRINGA_s

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
K = NDArray[np.complexfloating[Any, Any]]

BINS = np.arange(0.0, 40.25, 0.5) * 1e-3
"""Edges of the histogram's bins, in s."""
BRIGHT = 3.0
LEAST_PIXELS = 2
APART = 2.0
TILE = 1024
"""Pixels that are fitted together."""
FWHM_OF_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))
RAYLEIGH_MEDIAN = math.sqrt(2.0 * math.log(2.0))
SD_OF_MAD = 1.0 / 0.674489750196


class Geometry(NamedTuple):
    """float64 each: where the pixels lie, along phase and along read; in pixels where the field of view is not known."""

    y_mm: Floats
    z_mm: Floats


def geometry(data: Mapping[str, Any], size: tuple[int, ...]) -> Geometry:
    """Of a ``fid.block`` that holds an image: by the settings of its sequence."""
    settings = data.get("settings") or {}
    lengths = (settings.get("field_of_view_mm"), settings.get("read_field_of_view_mm"))
    return Geometry(*((np.arange(n) - n // 2) * (length / n if length else 1.0) for n, length in zip(size, lengths, strict=True)))


def pictures(kspace: K, *, mirrored: bool = False) -> NDArray[np.complex128]:
    """complex128 (n, y, z) images of complex (n, pe, ro) k-space; its middle is at half of each axis. ``mirrored``: VnmrJ's sense."""
    data = np.conj(kspace) if mirrored else kspace
    shifted = np.fft.ifftshift(data.astype(np.complex128), axes=(-2, -1))
    found: NDArray[np.complex128] = np.fft.fftshift(np.fft.ifft2(shifted, axes=(-2, -1)), axes=(-2, -1))
    return found


def magnitudes(kspace: K, *, mirrored: bool = False) -> Floats:
    """float64 (n, y, z)."""
    found: Floats = np.abs(pictures(kspace, mirrored=mirrored))
    return found


def image_noise_sd(kspace: K) -> float:
    """Noise of the real part of a pixel of complex (n, pe, ro): most of an image is empty, and Rayleigh's median is 1.18 of it."""
    return float(np.median(magnitudes(kspace))) / RAYLEIGH_MEDIAN


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """One series. Shape (y, z) each but ``histogram`` int (bins,). ``T2_s`` NaN where nothing was fitted."""

    T2_s: Floats
    T2_sd_s: Floats
    amplitude: Floats
    bright: Bools
    determined: Bools
    cluster: Bools
    histogram: NDArray[np.int64]
    summary: Summary


class Group(NamedTuple):
    """A connected group of bright pixels: how many, its T2 as a whole, and its signal at the shortest echo time."""

    pixels: int
    T2_s: float
    sd_s: float
    signal: float


class Summary(NamedTuple):
    """What a map says. ``electrode_s``: median of the determined pixels outside the cluster; ``width_s``: full width at half height.

    ``cluster``: the isolated group of longest T2, None where there is none. ``drift``: of the first echo time's signal, from its
    first to its last measurement, relative; NaN where it was measured once.
    """

    electrode_s: float
    electrode_sd_s: float
    width_s: float
    pixels: int
    cluster: Group | None
    drift: float
    drift_sd: float


class Tile(NamedTuple):
    """Some pixels of a map: magnitudes float64 (pixels, echoes), echo times (echoes,)."""

    signals: Floats
    echo_s: Floats
    noise_sd: float


class Fitted(NamedTuple):
    """float64 and bool (pixels,)."""

    T2_s: Floats
    T2_sd_s: Floats
    amplitude: Floats
    determined: Bools


def fitted(tile: Tile) -> Fitted:
    """One fit a pixel."""
    fit = echo_decay(tile.signals, tile.echo_s, tile.noise_sd, noise=Noise.RICE)
    return Fitted(fit.time_s, fit.time_sd_s, fit.amplitude, fit.determined)


Over = Callable[[Callable[[Tile], Fitted], Sequence[Tile]], Iterable[Fitted]]
"""``map``, here or on a cluster."""


def mapped(kspace: K, echo_s: Floats, noise_sd: float, *, mirrored: bool = False, over: Over = map) -> Mapped:
    """A series complex (n, pe, ro) at echo times (n,), at least two of them different. Raises ValueError.

    The pixels are always fitted in the same tiles, whoever fits them: what lies beside a pixel in an array decides over its last bits.
    """
    images = pictures(kspace, mirrored=mirrored)
    first = images[echo_s == echo_s.min()]
    bright = np.abs(first.mean(axis=0)) > BRIGHT * noise_sd / math.sqrt(len(first))
    bright &= _neighbours(bright) >= LEAST_PIXELS
    size = bright.shape
    T2_s, T2_sd_s, amplitude = (np.full(size, np.nan) for _ in range(3))
    determined, cluster = np.zeros(size, bool), np.zeros(size, bool)
    if bright.any():
        signals = np.abs(images[:, bright]).T
        tiles = [Tile(signals[first : first + TILE], echo_s, noise_sd) for first in range(0, len(signals), TILE)]
        whole = Fitted(*(np.concatenate(column) for column in zip(*over(fitted, tiles), strict=True)))
        T2_s[bright], T2_sd_s[bright], amplitude[bright], determined[bright] = whole
    groups = _groups(bright)
    found = _isolated(images, echo_s, noise_sd, groups)
    if found is not None:
        cluster = groups == found[0]
    own = T2_s[determined & ~cluster]
    histogram, _ = np.histogram(T2_s[determined], BINS)
    summary = Summary(*_middle(own), own.size, None if found is None else found[1], *_drift(images, echo_s, noise_sd, bright))
    return Mapped(T2_s, T2_sd_s, amplitude, bright, determined, cluster, histogram, summary)


def above_metals_T1(found: Mapped, nucleus: str) -> int:
    """How many determined pixels of a metal's map have a T2 that its T1 at 298 K does not allow: they are no metal, or the fit is wrong."""
    T1_s = KORRINGA_s[nucleus]
    return int((above_T1(found.T2_s, found.T2_sd_s, T1_s, KORRINGA_PART * T1_s) & found.determined).sum())


def _middle(T2_s: Floats) -> tuple[float, float, float]:
    """Median, its error, and the full width at half height of the bulk of values."""
    if T2_s.size < LEAST_PIXELS:
        return math.nan, math.nan, math.nan
    median = float(np.median(T2_s))
    sd = float(np.median(np.abs(T2_s - median))) * SD_OF_MAD
    return median, 1.2533 * sd / math.sqrt(T2_s.size), FWHM_OF_SD * sd


def _neighbours(mask: Bools) -> NDArray[np.int64]:
    """How many of a pixel's 3 x 3 surroundings are set, itself included."""
    padded = np.pad(mask.astype(np.int64), 1)
    rows, columns = mask.shape
    shifted = [padded[y : y + rows, z : z + columns] for y in range(3) for z in range(3)]
    return np.asarray(np.sum(shifted, axis=0), dtype=np.int64)


def _groups(bright: Bools) -> NDArray[np.int64]:
    """Int (y, z): number of the connected group (8 neighbours) of each bright pixel; 0 elsewhere."""
    from scipy import ndimage

    found, _ = ndimage.label(bright, structure=np.ones((3, 3), int))
    return np.asarray(found, dtype=np.int64)


def _isolated(images: NDArray[np.complex128], echo_s: Floats, noise_sd: float, groups: NDArray[np.int64]) -> tuple[int, Group] | None:
    """The group that is no electrode and stands apart from them by its T2; None where none does."""
    known = {number: _fitted(images[:, groups == number], echo_s, noise_sd) for number in range(1, int(groups.max(initial=0)) + 1)}
    known = {number: each for number, each in known.items() if each is not None}
    if len(known) < 2:
        return None
    largest = max(each[0].signal for each in known.values() if each is not None)
    metal = [each for each, _ in (one for one in known.values() if one is not None) if each.signal >= largest / 2]
    mean_s = float(np.average([each.T2_s for each in metal], weights=[each.pixels for each in metal]))
    spread_s = float(np.std([each.T2_s for each in metal])) if len(metal) > 1 else 0.0
    apart: dict[int, Group] = {}
    for number, one in known.items():
        if one is None:
            continue
        group, sure = one
        pooled_s = math.hypot(group.sd_s, spread_s, *(each.sd_s for each in metal[:1]))
        if sure and group.signal < largest / 2 and group.T2_s - mean_s > APART * pooled_s:
            apart[number] = group
    if not apart:
        return None
    number = max(apart, key=lambda each: apart[each].pixels / apart[each].sd_s)
    return number, apart[number]


def _fitted(pixels: NDArray[np.complex128], echo_s: Floats, noise_sd: float) -> tuple[Group, bool] | None:
    """T2 of complex (n, pixels) as a whole; None where it is a speck."""
    if pixels.shape[1] < LEAST_PIXELS:
        return None
    signals = np.empty(len(pixels))
    for n in range(len(pixels)):
        others = np.delete(pixels, n, axis=0)
        weight = np.exp(-np.delete(echo_s, n) / max(float(np.median(echo_s)), 1e-9))
        reference = (weight[:, None] * others).sum(axis=0)
        length = float(np.sqrt((np.abs(reference) ** 2).sum()))
        signals[n] = float((np.conj(reference) @ pixels[n]).real) / max(length, 1e-300)
    fit: Relaxation = echo_decay(signals[None], echo_s, noise_sd, noise=Noise.NONE)
    return Group(pixels.shape[1], float(fit.time_s[0]), float(fit.time_sd_s[0]), float(signals.max())), bool(fit.determined[0])


def _drift(images: NDArray[np.complex128], echo_s: Floats, noise_sd: float, bright: Bools) -> tuple[float, float]:
    """Of the bright pixels' signal between the first image and the last of the same echo time; a phase that wandered in common is none."""
    same = np.flatnonzero(echo_s == echo_s[0])
    if len(same) < 2 or not bright.any():
        return math.nan, math.nan
    first, last = images[same[0]][bright], images[same[-1]][bright]
    power = float((np.abs(first) ** 2).sum()) - 2.0 * noise_sd**2 * first.size
    if power <= 0:
        return math.nan, math.nan
    return abs(complex(np.conj(first) @ last)) / power - 1.0, noise_sd * math.sqrt(2.0 / power)
