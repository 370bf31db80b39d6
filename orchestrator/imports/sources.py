"""What there is to import, read once: the data sets in order, the cycler's files whole, the offset of their clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np

from drivers.follow.columns import Rows
from drivers.follow.cycler import resolved
from drivers.follow.tails import Tail, Unreadable, ec_files, open_tail
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.imports.datasets import Datasets, open_folder
from orchestrator.imports.lag import LEAST_SPECTRA, Offset, best_lag
from orchestrator.imports.telling import SOURCE, Axis, SpectrumTeller, interval
from orchestrator.model.events import Event

LONGEST_LAG_s = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to import. ``offset_s``: to be added to the cycler's stamps to get the console's (None: find it, or say that it is not known).

    ``zone``: of stamps that name none. ``date_order``: of a date that can be read both ways. ``longest_lag_s``: so far is looked for one.
    """

    nmr: Path
    ec: Path | None = None
    offset_s: float | None = None
    half_width_s: float = 1.0
    zone: str = "UTC"
    out: Path = Path("runs")
    name: str = ""
    date_order: str = ""
    longest_lag_s: float = LONGEST_LAG_s
    say: Callable[[str], None] = field(default=lambda _: None)


@dataclass(slots=True, eq=False)
class CyclerFile:
    """One file of the cycler, read whole: ``zero_ns`` is its time 0 in UTC by its own clock. ``how``: what was assumed about that."""

    tail: Tail
    rows: Rows
    zero_ns: int
    how: str


@dataclass(frozen=True, slots=True)
class Folder:
    """One data set, not held in memory: when it was measured and when it is told."""

    folder: Path
    key: str
    start_ns: int | None
    end_ns: int | None

    @property
    def told_ns(self) -> int:
        """Where it stands in the journal."""
        return self.end_ns if self.end_ns is not None else self.start_ns if self.start_ns is not None else 0


def folders_of(request: Request, axis: Axis) -> list[Folder]:
    """All data sets in the order in which they were measured; each is read once more when it is told."""
    datasets, found = Datasets(request.nmr, lambda: 0.0, settle_s=0.0), []
    while batch := datasets.look():
        for one in batch:
            when = interval(one, axis)
            found.append(Folder(one.folder, one.key, when.start_ns, when.end_ns))
    known = [one.told_ns for one in found if one.told_ns]
    return sorted(found, key=lambda one: (one.told_ns or max(known, default=0), one.key))


def cycler_of(request: Request, zone: tzinfo, folders: list[Folder]) -> list[CyclerFile]:
    """Every file of the cycler that has rows, in the order in which they began."""
    if request.ec is None:
        return []
    near_ns = folders[0].told_ns if folders else None
    found = []
    for path in ec_files(request.ec):
        tail, parts = open_tail(path), []
        while (taken := tail.look()) is not None:
            parts.append(taken.rows)
        if tail.trouble or not parts:
            request.say(f"{path.name}: {tail.trouble or 'it holds no rows'}")
            continue
        rows = Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__slots__))
        try:
            found.append(CyclerFile(tail, rows, *resolved(tail.start, zone, request.date_order, near_ns)))
        except Unreadable as why:
            request.say(f"{path.name} is left out: {why}")
    return sorted(found, key=lambda one: (one.zero_ns, one.tail.path.name))


def offset_of(request: Request, axis: Axis, folders: list[Folder], cycler: list[CyclerFile]) -> Offset | None:
    """As it was told, else as the data say; None: not known."""
    if request.offset_s is not None:
        return Offset(request.offset_s, request.half_width_s, "given by hand")
    if len(folders) < LEAST_SPECTRA or not cycler:
        return None
    return _lag_of_areas(request, axis, folders, cycler)


def _lag_of_areas(request: Request, axis: Axis, folders: list[Folder], cycler: list[CyclerFile]) -> Offset | None:
    """The best lag of any area of the spectra behind the charge; of several the best known."""
    zero_ns = cycler[0].zero_ns
    ec_s = np.concatenate([(one.zero_ns - zero_ns) / 1e9 + one.rows.time_s for one in cycler])
    current_A = np.nan_to_num(np.concatenate([one.rows.current_A for one in cycler]))
    order = np.argsort(ec_s, kind="stable")
    if not np.ptp(current_A):
        return None
    areas: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    analysis = LiveAnalysis()
    for one in (each for each in folders if each.start_ns is not None and each.end_ns is not None):
        found = open_folder(one.folder, request.nmr)
        if found.fetched is None:
            continue
        assert one.start_ns is not None
        assert one.end_ns is not None
        journal = _Heard()
        SpectrumTeller(journal, axis, Path(), request.nmr).tell(found, "", one.end_ns)
        for finding in (finding for event in journal.events for finding in analysis.feed(event)):
            if finding.name.startswith("area("):
                row = ((one.start_ns - zero_ns) / 1e9, (one.end_ns - zero_ns) / 1e9, finding.value)
                areas.setdefault((found.name, finding.name), []).append(row)
    lags = [
        best_lag(rows[:, 0], rows[:, 1], rows[:, 2], ec_s[order], current_A[order], longest_s=request.longest_lag_s)
        for rows in map(np.array, areas.values())
        if len(rows) >= LEAST_SPECTRA
    ]
    return min((lag for lag in lags if lag is not None), key=lambda lag: lag.half_width_s, default=None)


class _Heard:
    """A journal that only keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(
        self, kind: str, data: dict[str, Any], *, blob: bytes | None = None, source: str = SOURCE, cause: int | None = None, at: Any = None
    ) -> int:
        seq = len(self.events) + 1
        self.events.append(Event(seq, at.mono_ns, at.utc_ns, kind, data, blob, source, cause))
        return seq
