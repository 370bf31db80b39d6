"""A curve through points, straight in between: open-circuit voltages, shares of phases and shifts against composition."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Points = tuple[tuple[float, ...], ...]


class Table:
    """y(x) through points in rising x; level beyond the first and the last."""

    __slots__ = ("_slopes", "_xs", "_ys")

    def __init__(self, points: Sequence[Sequence[float]]) -> None:
        if not points or any(len(point) != 2 for point in points):
            raise ValueError("a table is a list of [x, y]")
        self._xs = [float(point[0]) for point in points]
        self._ys = [float(point[1]) for point in points]
        if any(after <= before for before, after in zip(self._xs, self._xs[1:], strict=False)):
            raise ValueError("the x of a table must rise")
        self._slopes = [(self._ys[n + 1] - self._ys[n]) / (self._xs[n + 1] - self._xs[n]) for n in range(len(self._xs) - 1)]

    def at(self, x: float) -> float:
        """The value at x."""
        return self.at_with_slope(x)[0]

    def at_with_slope(self, x: float) -> tuple[float, float]:
        """The value and dy/dx at x."""
        place = bisect_right(self._xs, x) - 1
        if place < 0:
            return self._ys[0], 0.0
        if place >= len(self._slopes):
            return self._ys[-1], 0.0
        slope = self._slopes[place]
        return self._ys[place] + slope * (x - self._xs[place]), slope

    @property
    def knots(self) -> tuple[float, ...]:
        """Where it bends."""
        return tuple(self._xs)
