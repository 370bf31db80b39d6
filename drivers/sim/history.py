"""The past of a cell as states at knots: a grid fixed in twin time, changes of drive and edges of faults.

The present is computed from the newest knot before it; a question about the past (a scan that began minutes ago, a
sample read late) is answered from the knots too, and a drive that changes at an earlier instant rewrites what follows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from math import isnan, nan
from typing import Any

from drivers.sim.cell import Cell, Electrode, State

DRIVES = ("off", "current", "voltage")


class Knots:
    """States in the order of their times, as rows of doubles: hours of them take a tenth of the memory of the tuples."""

    WIDTH = len(State._fields) - 2 + 2 * len(Electrode._fields)

    def __init__(self, states: Iterable[State]) -> None:
        self.times_s = array("d")
        self._rows = array("d")
        for state in states:
            self.append(state)

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[State]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, n: int) -> State:
        drive, working, counter = 1, 3, 3 + len(Electrode._fields)
        row = self._rows[n * self.WIDTH : (n + 1) * self.WIDTH].tolist()
        charge_C, sign, nucleated_s, soft_s, hard_s, hard_ohm = row[counter + len(Electrode._fields) :]
        return State(
            row[0], DRIVES[int(row[drive])], row[2], Electrode(*row[working:counter]), Electrode(*row[counter:-6]),
            charge_C, int(sign), nucleated_s, None if isnan(soft_s) else soft_s, None if isnan(hard_s) else hard_s, hard_ohm,
        )  # fmt: skip

    def append(self, state: State) -> None:
        """One more, the newest."""
        t_s, drive, value, working, counter, *others = state
        numbers = (nan if number is None else number for number in others)
        self.times_s.append(t_s)
        self._rows.extend(chain((t_s, DRIVES.index(drive), value), working, counter, numbers))

    def cut(self, first: int, end: int) -> None:
        """Keep those from ``first`` on and before ``end``."""
        self.times_s, self._rows = self.times_s[first:end], self._rows[first * self.WIDTH : end * self.WIDTH]


class History:
    """Knots of one cell, at most ``kept_s`` into the past."""

    def __init__(self, cell: Cell, step_s: float, kept_s: float) -> None:
        self.cell = cell
        self.step_s = step_s
        self.kept_s = kept_s
        self._newest = cell.fresh()
        self._knots = Knots([self._newest])

    def at(self, t_s: float) -> State:
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
        """Drop the knots after ``t_s`` (but never the oldest)."""
        keep = max(1, bisect_right(self._knots.times_s, t_s))
        if keep < len(self._knots):
            self._knots.cut(0, keep)
            self._newest = self._knots[keep - 1]

    def _reach(self, t_s: float) -> None:
        knot = self._newest
        if knot.drive == "off":
            return
        while (boundary_s := self._next_boundary_s(knot.t_s)) <= t_s:
            knot = self.cell.advance(knot, boundary_s)
            self._append(knot)
        self._prune()

    def _next_boundary_s(self, t_s: float) -> float:
        count = int(t_s // self.step_s) + 1
        grid_s = count * self.step_s
        if grid_s <= t_s:
            grid_s = (count + 1) * self.step_s
        return min(grid_s, self.cell.faults.next_edge_s(t_s)) if self.cell.faults.listed else grid_s

    def _append(self, knot: State) -> None:
        self._knots.append(knot)
        self._newest = knot

    def _prune(self) -> None:
        times_s = self._knots.times_s
        oldest_s = times_s[-1] - self.kept_s
        if times_s[0] < oldest_s - 0.25 * self.kept_s:
            self._knots.cut(max(0, bisect_right(times_s, oldest_s) - 1), len(times_s))

    def plain(self) -> list[list[Any]]:
        """JSON data: one list a knot."""
        return [[list(part) if isinstance(part, tuple) else part for part in knot] for knot in self._knots]

    def restore(self, knots: list[list[Any]]) -> None:
        """Go on from ``plain``."""
        self._knots = Knots(_state(dict(zip(State._fields, values, strict=True))) for values in knots)
        self._newest = self._knots[len(self._knots) - 1]


def _state(values: Mapping[str, Any]) -> State:
    return State(**{**values, "working": Electrode(*values["working"]), "counter": Electrode(*values["counter"])})
