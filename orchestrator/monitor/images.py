"""Images and maps of T2 as they go to the broker: strips of 8-bit pixels below 4 kB, and the newest of each acquisition only.

Strip, 32 bytes and then ``rows`` × ``columns`` uint8, row by row: version u1, of u1 (0: magnitude, 1: T2 in ms, where 0 is none), rows u2,
columns u2, first u2 (its first row), all u2 (rows of the image), 0 u2, run u4 (``tiles.run_tag``), index u4, scale f4 (value =
pixel · scale), size_y_mm f4, size_z_mm f4 (of one pixel; 0: not known).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis import maps
from orchestrator.model.events import Event
from orchestrator.monitor.tiles import VERSION, NotATile
from orchestrator.recorder.images import is_image

HEAD = struct.Struct("<BBHHHHHIIfff")
MAGNITUDE, T2 = 0, 1
LARGEST = 3900 - HEAD.size
SIDE = 128
"""Pixels of a larger image are joined, the brightest of each group kept."""
FULL = 255

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of an image. ``pixels`` uint8 (rows, columns); ``all``: rows of the whole."""

    of: int
    first: int
    all: int
    run: int
    index: int
    scale: float
    size_mm: tuple[float, float]
    pixels: NDArray[np.uint8]

    def encoded(self) -> bytes:
        """The payload."""
        rows, columns = self.pixels.shape
        head = (VERSION, self.of, rows, columns, self.first, self.all, 0, self.run, self.index, self.scale, *self.size_mm)
        return HEAD.pack(*head) + self.pixels.tobytes()


def strip(payload: bytes) -> Strip:
    """The strip in a payload. Raises NotATile."""
    if len(payload) < HEAD.size or payload[0] != VERSION:
        raise NotATile(f"{len(payload)} bytes are no strip of version {VERSION}")
    _, of, rows, columns, first, whole, _, run, index, scale, y_mm, z_mm = HEAD.unpack_from(payload)
    if len(payload) != HEAD.size + rows * columns or of not in {MAGNITUDE, T2}:
        raise NotATile(f"{len(payload)} bytes are no strip of {rows} x {columns} pixels")
    pixels = np.frombuffer(payload, np.uint8, offset=HEAD.size).reshape(rows, columns)
    return Strip(of, first, whole, run, index, scale, (y_mm, z_mm), pixels)


def strips(of: int, values: Real, size_mm: tuple[float, float], run: int, index: int) -> Iterator[Strip]:
    """Of float64 (y, z), none of them negative; NaN is nothing."""
    values, joined = _joined(np.nan_to_num(values))
    most = float(values.max(initial=0.0))
    scale = float(np.float32(most / FULL)) or 1.0
    pixels = np.clip(np.rint(values / scale), 0, FULL).astype(np.uint8)
    each = max(1, LARGEST // max(1, pixels.shape[1]))
    sizes = (size_mm[0] * joined[0], size_mm[1] * joined[1])
    for first in range(0, len(pixels), each):
        yield Strip(of, first, len(pixels), run, index, scale, sizes, pixels[first : first + each])


def _joined(values: Real) -> tuple[Real, tuple[int, int]]:
    by = tuple(-(-n // SIDE) for n in values.shape)
    padded = np.pad(values, [(0, -n % k) for n, k in zip(values.shape, by, strict=True)])
    blocks = padded.reshape(padded.shape[0] // by[0], by[0], padded.shape[1] // by[1], by[1])
    return blocks.max(axis=(1, 3)), (by[0], by[1])


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a ``fid.block`` of an image shows: ``image`` float64 (y, z), and the T2 (ms) of the series that it completes."""

    image: Real
    T2_ms: Real | None
    size_mm: tuple[float, float]
    echo_ms: float | None


Series = dict[str, dict[int, tuple[float, NDArray[np.complexfloating[Any, Any]]]]]


@dataclass(slots=True)
class Images:
    """Images of one run as they are stored; a series is remembered until it is complete."""

    _series: Series = field(default_factory=dict)

    def seen(self, event: Event) -> Seen | None:
        """What it shows; None of what is no whole image."""
        data = event.data
        kspace = np.frombuffer(event.blob or b"", dtype=data["dtype"]).reshape(data["shape"]) if data.get("encodes") else None
        if kspace is None or kspace.ndim != 2 or not is_image(data, kspace):
            return None
        mirrored, value = bool(data.get("reversed_axis")), data.get("block_value") or {}
        echo_ms = float(value["value"]) if value.get("name") == "TE_ms" else None
        series = self._series.setdefault(str(data["key"]), {})
        series[int(data["block"])] = (echo_ms or 0.0, kspace)
        image = maps.magnitudes(kspace[None], mirrored=mirrored)[0]
        return Seen(image, self._map(event, mirrored=mirrored), _pixel_mm(event, kspace.shape), echo_ms)

    def _map(self, event: Event, *, mirrored: bool) -> Real | None:
        """T2 in ms, NaN where it is not determined; None until the last image of a series at several echo times."""
        key = str(event.data["key"])
        series = self._series[key]
        if len(series) < int(event.data.get("blocks") or 1):
            return None
        ordered = [series[block] for block in sorted(series)]
        del self._series[key]
        echo_s = np.array([echo_ms for echo_ms, _ in ordered]) * 1e-3
        if len(np.unique(echo_s)) < 2:
            return None
        stack = np.stack([image for _, image in ordered])
        found = maps.mapped(stack, echo_s, maps.image_noise_sd(stack), mirrored=mirrored)
        return np.where(found.determined, 1e3 * found.T2_s, np.nan)


def _pixel_mm(event: Event, size: tuple[int, ...]) -> tuple[float, float]:
    settings = event.data.get("settings") or {}
    lengths = (settings.get("field_of_view_mm"), settings.get("read_field_of_view_mm"))
    y, z = (float(length) / n if length else 0.0 for length, n in zip(lengths, size, strict=True))
    return y, z


def whole(found: Iterable[Strip], run: int) -> tuple[Strip, Real] | None:
    """The newest image of a run of which every row is there: one of its strips, and its values float64 (y, z)."""
    ours = [one for one in found if one.run == run]
    newest = [one for one in ours if one.index == max(other.index for other in ours)]
    if not newest or sum(len(one.pixels) for one in newest) != newest[0].all:
        return None
    pixels = np.concatenate([one.pixels for one in sorted(newest, key=lambda one: one.first)])
    return newest[0], pixels.astype(np.float64) * newest[0].scale
