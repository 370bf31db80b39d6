"""Curves in a terminal: two by four dots a character, largest and smallest value of each dot column kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def extremes(values: NDArray[np.float64], columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (columns,) twice: smallest and largest value in each of ``columns`` equal parts of ``values`` (n,)."""
    if values.size < columns:
        values = np.repeat(values, -(-columns // max(1, values.size)))
    edges = np.linspace(0, values.size, columns + 1).astype(int)[:-1]
    return np.minimum.reduceat(values, edges), np.maximum.reduceat(values, edges)


def draw(values: NDArray[np.float64], width: int, height: int, low: float | None = None, high: float | None = None) -> list[str]:
    """Lines of text, ``height`` of them, ``width`` characters each: the curve through ``values`` (n,) left to right."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return [" " * width] * height
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    smallest, largest = extremes(values, 2 * width)
    rows = 4 * height - 1
    scale = rows / (high - low) if high > low else 0.0
    top = rows - np.clip(np.rint((largest - low) * scale), 0, rows).astype(int)
    bottom = rows - np.clip(np.rint((smallest - low) * scale), 0, rows).astype(int)
    cells = np.full((height, width), 0x2800)
    for column in range(2 * width):
        for row in range(top[column], bottom[column] + 1):
            cells[row // 4, column // 2] |= DOTS[column % 2][row % 4]
    return ["".join(map(chr, line)) for line in cells]
