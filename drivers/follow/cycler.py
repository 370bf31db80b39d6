"""A cycler's files while they grow, and what their arrivals say of its clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import numpy as np

from drivers.follow.bounds import Bounds
from drivers.follow.clocks import ORDERS, utc_ns
from drivers.follow.columns import Rows
from drivers.follow.tails import Start, Tail, Unreadable, ec_files, open_tail

MOST_HELD = 20_000
"""So many rows wait until the offset of the clocks is known; then reading waits too."""
RESOLUTION_s = 0.001
INTERVALS = 8
STALE_FILES = 4
"""Of a folder's files the newest so many are looked at each time: a cycler goes on to the next and does not come back."""


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """New rows of one file. ``first``: number of the first in it. ``zero_ns``: the file's time 0 in UTC by the cycler's clock."""

    file: str
    rows: Rows
    first: int
    zero_ns: int


@dataclass(slots=True, eq=False)
class Open:
    """One file that is followed."""

    tail: Tail
    zero_ns: int | None = None
    how: str = ""
    last_s: float = math.nan


def resolved(start: Start, zone: tzinfo, order: str, near_ns: int | None) -> tuple[int, str]:
    """Time 0 of a file in UTC by its own clock, and what was assumed. Raises Unreadable where its words do not say it.

    Of a date that can be read both ways, and no ``order``: the reading that lies nearer to what the console measured.
    """
    if start.utc_ns is not None:
        return start.utc_ns, "the file says UTC"
    readings = {name: utc_ns(moment, zone) for name, moment in start.local.items()}
    if not readings:
        raise Unreadable(f"when it began is not to be read from {start.text!r}")
    if order in readings:
        return readings[order], f"date read as {order}"
    if len(set(readings.values())) == 1:
        return next(iter(readings.values())), "local time"
    if near_ns is None:
        raise Unreadable(f"{start.text!r} can be read month first or day first; say --date-order {ORDERS[0]} or {ORDERS[1]}")
    name = min(readings, key=lambda one: abs(readings[one] - near_ns))
    return readings[name], f"date read as {name}, which lies nearer to the console's"


@dataclass(slots=True, eq=False)
class Cycler:
    """``look`` again and again, from one thread at a time. ``rows``: file → rows that an earlier process has told.

    ``bounds``: our clock less the cycler's. ``problems``: file → why it cannot be read now. ``near_ns``: when it is, about.
    """

    source: Path
    zone: tzinfo
    date_order: str
    now_s: Callable[[], float]
    near_ns: Callable[[], int]
    rows: Mapping[str, int] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    problems: dict[str, str] = field(default_factory=dict)
    files: dict[str, Open] = field(default_factory=dict)
    _looked_s: float = -math.inf

    def look(self, held: int = 0) -> list[Fresh]:
        """New rows of all files, in the order of their names. Raises OSError where the share is gone. ``held``: rows that wait."""
        now_s = self.now_s()
        found = [] if held > MOST_HELD else list(self._fresh(now_s))
        self._looked_s = now_s
        return found

    def _fresh(self, now_s: float) -> Iterator[Fresh]:
        paths = ec_files(self.source)
        unknown = [path for path in paths if path.name not in self.files]
        for path in dict.fromkeys((*unknown, *sorted(paths, key=lambda one: one.stat().st_mtime_ns)[-STALE_FILES:])):
            opened = self.files.get(path.name)
            if opened is None:
                opened = self.files[path.name] = Open(open_tail(path, self.rows.get(path.name, 0)))
            try:
                yield from self._rows(path, opened, now_s)
            except FileNotFoundError:
                continue

    def _rows(self, path: Path, opened: Open, now_s: float) -> Iterator[Fresh]:
        taken = opened.tail.look()
        self._note_problem(path.name, opened.tail.trouble)
        if taken is None:
            return
        if opened.zero_ns is None:
            try:
                opened.zero_ns, opened.how = resolved(opened.tail.start, self.zone, self.date_order, self.near_ns())
            except Unreadable as why:
                self._note_problem(path.name, str(why))
                return
        self._compare(taken.rows, opened, opened.zero_ns, now_s)
        yield Fresh(path.name, taken.rows, taken.first, opened.zero_ns)

    def _note_problem(self, name: str, trouble: str) -> None:
        if trouble:
            self.problems[name] = trouble
        else:
            self.problems.pop(name, None)

    def _compare(self, rows: Rows, opened: Open, zero_ns: int, now_s: float) -> None:
        """The last row was written between the last look and this one (assumed: within one sampling interval after it was taken)."""
        times_s = np.concatenate([[opened.last_s], rows.time_s[-INTERVALS:]])
        opened.last_s = float(times_s[-1])
        between_s = np.diff(times_s[np.isfinite(times_s)])
        if between_s.size:
            stamp_s = zero_ns / 1e9 + opened.last_s
            self.bounds.add(stamp_s, self._looked_s, now_s, late_s=float(np.median(between_s)), resolution_s=RESOLUTION_s)
