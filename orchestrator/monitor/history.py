"""The night in few tiles: voltage and current at even spacing and at every step's edges, observables one by one; thinned when too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.monitor.tiles import SAMPLE, SEEN, TILE_SAMPLES, TILE_SEEN, samples_encoded, seen_encoded
from orchestrator.monitor.topics import EC_TILES, SEEN_TILES

MOST_SAMPLES = EC_TILES * TILE_SAMPLES
MOST_SEEN = SEEN_TILES * TILE_SEEN
AT_FIRST = 0.6
"""The part of all places that a run as long as planned fills."""

Sample = tuple[float, float, float, float, int, int]
Seen = tuple[float, float, float]
Value = TypeVar("Value", bound=tuple[Any, ...])


class Tiled(Generic[Value]):
    """Values in tiles of ``per_tile``; ``tiles`` gives those that have changed since it was last asked."""

    def __init__(self, kind: np.dtype[Any], per_tile: int, encoded: Callable[[int, NDArray[Any]], bytes]) -> None:
        self._values: list[Value] = []
        self._kind, self._per_tile, self._encoded = kind, per_tile, encoded
        self._changed_from = 0
        self._tiles_out = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def last(self) -> Value:
        """The newest that is kept."""
        return self._values[-1]

    def append(self, value: Value) -> None:
        """One more."""
        self._values.append(value)

    def thin(self) -> None:
        """Every second one is enough."""
        self._values = self._values[::2]
        self._changed_from = 0

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        """Number and payload of every tile that is new or other than before; an empty payload of one that is no longer."""
        count = -(-len(self._values) // self._per_tile)
        first = self._changed_from // self._per_tile if self._changed_from < len(self._values) else count
        for tile in range(first, count):
            values = self._values[tile * self._per_tile : (tile + 1) * self._per_tile]
            yield tile, self._encoded(tile, np.array(values, dtype=self._kind))
        yield from ((tile, b"") for tile in range(count, self._tiles_out))
        self._changed_from, self._tiles_out = len(self._values), count


class History:
    """Voltage and current: add every sample."""

    def __init__(self, run: int, expected_s: float) -> None:
        self.spacing_s = max(1.0, expected_s / (AT_FIRST * MOST_SAMPLES))
        self._kept: Tiled[Sample] = Tiled(SAMPLE, TILE_SAMPLES, lambda tile, values: samples_encoded(run, tile, values))
        self._last: Sample | None = None
        self.tiles = self._kept.tiles

    def add(self, sample: Sample) -> None:
        """The next sample: t_s, voltage_V, current_A, charge_step_C, step, cycle."""
        last, self._last = self._last, sample
        if last is not None and last[4] != sample[4] and self._kept.last is not last:
            self._keep(last)
        if not self._kept or last is None or last[4] != sample[4] or sample[0] - self._kept.last[0] >= self.spacing_s:
            self._keep(sample)

    def _keep(self, sample: Sample) -> None:
        if len(self._kept) == MOST_SAMPLES:
            self._kept.thin()
            self.spacing_s *= 2
        self._kept.append(sample)


class SeenHistory:
    """One observable: add every value of it. When all places are taken, every second spectrum is enough from then on."""

    def __init__(self, run: int) -> None:
        self._kept: Tiled[Seen] = Tiled(SEEN, TILE_SEEN, lambda tile, values: seen_encoded(run, tile, values))
        self._count, self._stride = 0, 1
        self.tiles = self._kept.tiles

    def add(self, seen: Seen) -> None:
        """The next: t_s of the spectrum's middle, value, error."""
        if len(self._kept) == MOST_SEEN:
            self._kept.thin()
            self._stride *= 2
        if self._count % self._stride == 0:
            self._kept.append(seen)
        self._count += 1
