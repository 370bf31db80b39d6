"""The past of a cell as states at knots: a grid fixed in twin time, changes of drive and edges of faults.

The present is computed from the newest knot before it; a question about the past (a scan that began minutes ago, a
sample read late) is answered from the knots too, and a drive that changes at an earlier instant rewrites what follows.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Generic, Protocol, TypeVar

from drivers.sim.faults import Faults
from drivers.sim.knots import Knots, Shape

S = TypeVar("S", bound="Instant")


class Instant(Protocol):
    """What the past asks of a state; it is a named tuple (see ``Shape``)."""

    @property
    def t_s(self) -> float:
        """The instant."""

    @property
    def drive(self) -> str:
        """``off``, ``current`` or ``voltage``."""


class Laws(Protocol[S]):
    """What the past asks of a cell."""

    faults: Faults
    lives_at_rest: bool
    """False: open circuit changes nothing."""

    def fresh(self) -> S:
        """As built."""

    def driven(self, state: S, drive: str, value: float) -> S:
        """Under a new drive."""

    def advance(self, state: S, t_s: float) -> S:
        """At ``t_s``, the drive unchanged."""


class History(Generic[S]):
    """Knots of one cell, at most ``kept_s`` into the past."""

    def __init__(self, cell: Laws[S], step_s: float, kept_s: float) -> None:
        self.cell = cell
        self.step_s = step_s
        self.kept_s = kept_s
        self._stand_at(cell.fresh())
        self._knots = Knots(Shape(self._newest), [self._newest])

    def at(self, t_s: float) -> S:
        """The state at ``t_s``; the oldest kept one for an instant before it."""
        if t_s >= self._newest.t_s:
            self._reach(t_s)
            return self.cell.advance(self._newest, t_s)
        knot = self._knots[max(0, bisect_right(self._knots.times_s, t_s) - 1)]
        return self.cell.advance(knot, max(t_s, knot.t_s))

    def drive(self, t_s: float, drive: str, value: float) -> None:
        """Another drive from ``t_s`` on; what was computed for later instants is forgotten."""
        self.forget_after(t_s)
        self._append(self.cell.driven(self.at(t_s), drive, value))
        self._prune()

    def forget_after(self, t_s: float) -> None:
        """Drop the knots after ``t_s`` (but never the oldest); a fault that begins then may bring the next one forward."""
        keep, newest = max(1, bisect_right(self._knots.times_s, t_s)), self._newest
        if keep < len(self._knots):
            self._knots.cut(0, keep)
            newest = self._knots[keep - 1]
        self._stand_at(newest)

    def _reach(self, t_s: float) -> None:
        knot = self._newest
        if knot.drive == "off" and not self.cell.lives_at_rest:
            return
        if t_s < self._boundary_s:
            return
        while self._boundary_s <= t_s:
            knot = self.cell.advance(knot, self._boundary_s)
            self._append(knot)
        self._prune()

    def _next_boundary_s(self, t_s: float) -> float:
        count = int(t_s // self.step_s) + 1
        grid_s = count * self.step_s
        if grid_s <= t_s:
            grid_s = (count + 1) * self.step_s
        return min(grid_s, self.cell.faults.next_edge_s(t_s)) if self.cell.faults.listed else grid_s

    def _append(self, knot: S) -> None:
        self._knots.append(knot)
        self._stand_at(knot)

    def _stand_at(self, knot: S) -> None:
        """This is the newest knot; the one that follows it stands at ``_boundary_s``."""
        self._newest = knot
        self._boundary_s = self._next_boundary_s(knot.t_s)

    def _prune(self) -> None:
        times_s = self._knots.times_s
        oldest_s = times_s[-1] - self.kept_s
        if times_s[0] < oldest_s - 0.25 * self.kept_s:
            self._knots.cut(max(0, bisect_right(times_s, oldest_s) - 1), len(times_s))

    def plain(self) -> list[list[Any]]:
        """JSON data: one list a knot."""
        return [[list(part) if isinstance(part, tuple) else part for part in _values(knot)] for knot in self._knots]

    def restore(self, knots: list[list[Any]]) -> None:
        """Go on from ``plain``."""
        self._knots = Knots(self._knots.shape, (self._knots.shape.of_lists(values) for values in knots))
        self._stand_at(self._knots[len(self._knots) - 1])


def _values(knot: Any) -> tuple[Any, ...]:
    return tuple(knot)
