"""The picture in bytes: spectra as rows of int16, the night's voltage as tiles; little-endian, each message below 4 kB.

A browser on a Debian broker gets 4 kB at once and larger messages slowly; many small ones are fast everywhere.

Row, 48 bytes and then ``points`` int16 (n,), ppm falling: version u1, flags u1 (1: partial), points u2, run u4 (``run_tag``),
index u4, scans u4, t_s f8 and time_s f8 (the middle of the spectrum), scale f4 (intensity = value · scale), noise f4, voltage_V f4
(NaN: not known), cycle i4.

Tile, 16 bytes and then ``n`` times its values: version u1, kind u1, n u2, run u4, tile u4, 0 u4. Of samples (kind 0), 24 bytes each:
t_s f8, voltage_V f4, current_A f4, charge_step_C f4, step i2, cycle i2. Of an observable (kind 1), 20 bytes each: t_s f8 (the
middle of the spectrum), value f8, error f4 (NaN: not known).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
ROW_HEAD = struct.Struct("<BBHIIIddfffi")
TILE_HEAD = struct.Struct("<BBHIII")
SAMPLE = np.dtype([("t_s", "<f8"), ("voltage_V", "<f4"), ("current_A", "<f4"), ("charge_step_C", "<f4"), ("step", "<i2"), ("cycle", "<i2")])
SEEN = np.dtype([("t_s", "<f8"), ("value", "<f8"), ("error", "<f4")])
ROW_POINTS = 512
FINE_POINTS = 1900
"""Of the newest spectrum alone: as many as a message of 4 kB holds."""
TILE_SAMPLES = 160
TILE_SEEN = 48
FULL_SCALE = 32767
MOST = 1e38  # of a float32
PARTIAL = 1

Real = NDArray[np.float64]


class NotATile(ValueError):
    """Bytes that are no row or tile of this version."""


def run_tag(run_id: str) -> int:
    """Which run a tile is of, in four bytes: CRC-32 of the run's id."""
    return zlib.crc32(run_id.encode())


def max_hold(values: Real, points: int) -> Real:
    """float64 (n,) → (min(n, points),): of each bin the value farthest from zero, so that no narrow line is lost."""
    if values.size <= points:
        return values
    edges = np.arange(points + 1) * values.size // points
    held = np.maximum.reduceat(values, edges[:-1]), np.minimum.reduceat(values, edges[:-1])
    return np.where(held[0] >= -held[1], *held)


@dataclass(frozen=True, slots=True)
class Row:
    """One spectrum for the waterfall; ``intensity`` float64 (points,), ppm falling."""

    run: int
    index: int
    scans: int
    t_s: float
    time_s: float
    noise: float
    voltage_V: float
    cycle: int
    partial: bool
    intensity: Real

    def encoded(self) -> bytes:
        """The payload; of a spectrum that is not finite somewhere, that is 0."""
        finite = np.clip(np.nan_to_num(self.intensity, nan=0.0, posinf=0.0, neginf=0.0), -MOST, MOST)
        most = float(np.abs(finite).max(initial=0.0))
        scale = float(np.float32(most / FULL_SCALE)) or 1.0
        counts = np.clip(np.rint(finite / scale), -FULL_SCALE, FULL_SCALE).astype("<i2")
        flags = PARTIAL if self.partial else 0
        head = (VERSION, flags, counts.size, self.run, self.index, self.scans, self.t_s, self.time_s, scale, self.noise, self.voltage_V)
        return ROW_HEAD.pack(*head, self.cycle) + counts.tobytes()


def row(payload: bytes) -> Row:
    """The row in a payload. Raises NotATile."""
    if len(payload) < ROW_HEAD.size or payload[0] != VERSION:
        raise NotATile(f"{len(payload)} bytes are no row of version {VERSION}")
    _, flags, points, run, index, scans, t_s, time_s, scale, noise, voltage_V, cycle = ROW_HEAD.unpack_from(payload)
    if len(payload) != ROW_HEAD.size + 2 * points:
        raise NotATile(f"{len(payload)} bytes are no row of {points} points")
    intensity = np.frombuffer(payload, "<i2", offset=ROW_HEAD.size).astype(np.float64) * scale
    return Row(run, index, scans, t_s, time_s, noise, voltage_V, cycle, bool(flags & PARTIAL), intensity)


def samples_encoded(run: int, tile: int, samples: NDArray[Any]) -> bytes:
    """A tile of ``SAMPLE`` (n,)."""
    return _encoded(run, tile, samples.astype(SAMPLE))


def seen_encoded(run: int, tile: int, seen: NDArray[Any]) -> bytes:
    """A tile of ``SEEN`` (n,)."""
    return _encoded(run, tile, seen.astype(SEEN))


def samples(payload: bytes) -> tuple[int, int, NDArray[Any]]:
    """Run, number and ``SAMPLE`` (n,) of a tile. Raises NotATile."""
    return _decoded(payload, SAMPLE)


def seen(payload: bytes) -> tuple[int, int, NDArray[Any]]:
    """Run, number and ``SEEN`` (n,) of a tile. Raises NotATile."""
    return _decoded(payload, SEEN)


KINDS = (SAMPLE, SEEN)


def _encoded(run: int, tile: int, values: NDArray[Any]) -> bytes:
    return TILE_HEAD.pack(VERSION, KINDS.index(values.dtype), values.size, run, tile, 0) + values.tobytes()


def _decoded(payload: bytes, kind: np.dtype[Any]) -> tuple[int, int, NDArray[Any]]:
    if len(payload) < TILE_HEAD.size or payload[0] != VERSION or payload[1] != KINDS.index(kind):
        raise NotATile(f"{len(payload)} bytes are no tile of version {VERSION} and kind {KINDS.index(kind)}")
    _, _, n, run, tile, _ = TILE_HEAD.unpack_from(payload)
    if len(payload) != TILE_HEAD.size + n * kind.itemsize:
        raise NotATile(f"{len(payload)} bytes are no tile of {n} values")
    return run, tile, np.frombuffer(payload, kind, offset=TILE_HEAD.size)
