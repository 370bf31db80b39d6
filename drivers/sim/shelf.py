"""What the simulated console keeps: the block under way, those that are filed, and where. Plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import AcquisitionOrder, RawFile
from drivers.sim.instrument import Memory
from drivers.sim.template import Parameters


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One block under way. ``held_ns``: so long its tuner keeps it waiting before the first scan; None: for ever.

    ``armed``: it waits for the edge that begins it.
    """

    key: str
    block: int
    rows: tuple[Parameters, ...]
    start_ns: int
    held_ns: int | None = 0
    armed: bool = False

    @property
    def first_ns(self) -> int:
        """When its first scan begins, of one that is not kept waiting for ever."""
        return self.start_ns + (self.held_ns or 0)

    @property
    def parameters(self) -> Parameters:
        """Of its first row."""
        return self.rows[0]

    def edges_ns(self) -> list[int]:
        """When each row begins, and when the last one ends."""
        lengths = (row.duration_ns(row.scans) for row in self.rows)
        return list(accumulate(lengths, initial=self.first_ns))

    def rows_done(self, now_ns: int) -> int:
        """Rows that are over at an instant."""
        return sum(edge <= now_ns for edge in self.edges_ns()[1:])

    def scans_done(self, now_ns: int) -> int:
        """Scans that are over at an instant, of the row that is under way."""
        if self.held_ns is None:
            return 0
        done = self.rows_done(now_ns)
        if done == len(self.rows):
            return self.parameters.scans
        row = self.rows[done]
        passed = math.floor(((now_ns - self.edges_ns()[done]) / 1e9 + 1e-9) / row.repetition_s)
        return min(row.scans, max(0, passed - row.dummies))


@dataclass(frozen=True, slots=True)
class Record:
    """One filed block: enough to fetch it again from its files."""

    parameters: Parameters
    files: tuple[RawFile, ...]
    start_ns: int
    end_ns: int
    asked: int
    row_s: tuple[tuple[float, float], ...] = ()
    rows_asked: int = 1


@dataclass(frozen=True, slots=True)
class Closing:
    """How a block ended: when its last scan was over, how many there are (of the last row), when that was said, complete rows."""

    end_ns: int
    scans: int
    acquired_ns: int
    rows: int = 1


@dataclass(slots=True)
class Shelf(Memory):
    """The console's own: what was prepared, started and filed, what runs, and the folder of its files."""

    prepared: dict[str, tuple[AcquisitionOrder, Parameters]] = field(default_factory=dict)
    started: set[tuple[str, int]] = field(default_factory=set)
    records: dict[tuple[str, int], Record] = field(default_factory=dict)
    now: Acquisition | None = None
    counts: list[np.ndarray[Any, np.dtype[np.int32]]] = field(default_factory=list)
    closing: Closing | None = None
    folder: Path | None = None
