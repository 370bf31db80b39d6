"""The night's voltage and current in few tiles: points at even spacing and at every step's edges, thinned when they grow too many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from orchestrator.monitor.tiles import SAMPLE, TILE_SAMPLES, samples_encoded
from orchestrator.monitor.topics import EC_TILES

MOST_SAMPLES = EC_TILES * TILE_SAMPLES
AT_FIRST = 0.6
"""The part of all places that a run as long as planned fills."""

Sample = tuple[float, float, float, float, int, int]


class History:
    """Add every sample; ``tiles`` gives those that have changed since it was last asked."""

    def __init__(self, run: int, expected_s: float) -> None:
        self.spacing_s = max(1.0, expected_s / (AT_FIRST * MOST_SAMPLES))
        self._run = run
        self._samples: list[Sample] = []
        self._last: Sample | None = None
        self._changed_from = 0
        self._tiles_out = 0

    def add(self, sample: Sample) -> None:
        """The next sample: t_s, voltage_V, current_A, charge_step_C, step, cycle."""
        last, self._last = self._last, sample
        if last is not None and last[4] != sample[4] and self._samples[-1] is not last:
            self._keep(last)
        if not self._samples or last is None or last[4] != sample[4] or sample[0] - self._samples[-1][0] >= self.spacing_s:
            self._keep(sample)

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        """Number and payload of every tile that is new or other than before; an empty payload of one that is no longer."""
        count = -(-len(self._samples) // TILE_SAMPLES)
        first = self._changed_from // TILE_SAMPLES if self._changed_from < len(self._samples) else count
        for tile in range(first, count):
            yield tile, samples_encoded(self._run, tile, self._array(tile))
        yield from ((tile, b"") for tile in range(count, self._tiles_out))
        self._changed_from, self._tiles_out = len(self._samples), count

    def _array(self, tile: int) -> NDArray[np.void]:
        return np.array(self._samples[tile * TILE_SAMPLES : (tile + 1) * TILE_SAMPLES], dtype=SAMPLE)

    def _keep(self, sample: Sample) -> None:
        if len(self._samples) == MOST_SAMPLES:
            self._samples = self._samples[::2]
            self.spacing_s *= 2
            self._changed_from = 0
        self._samples.append(sample)
