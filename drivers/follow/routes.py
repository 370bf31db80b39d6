"""How a cycler is seen that somebody else drives: in the file that it writes, or in what its own software says of the moment."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple, Protocol

from drivers import registry
from drivers.base import Context, Identity, Potentiostat, Settings
from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.follow.columns import UNKNOWN_MODE
from drivers.follow.cycler import Cycler, Fresh
from drivers.follow.matching import Row

INTERVALS = 5
LEAST_STILL_s = 30.0
LEAST_ARRIVALS = 3


class Look(NamedTuple):
    """``rows`` that are new; ``gone``: why the cycler cannot be seen now; ``stopped``: its own software says that nothing runs.

    ``trouble``: why a file of it cannot be read, where one cannot.
    """

    rows: list[Row]
    gone: str = ""
    stopped: bool = False
    trouble: str = ""


class Route(Protocol):
    """One way to see it. ``name`` for people."""

    name: str

    async def open(self) -> Identity:
        """Raises NotReachable, WrongInstrument."""

    async def look(self) -> Look:
        """What is new."""

    async def close(self) -> None:
        """Let go."""

    @property
    def still_after_s(self) -> float:
        """So long without a row is longer than usual."""


@dataclass(slots=True, eq=False)
class FileRoute:
    """The growing file, or the folder with its files. ``offset_s``: to be added to its stamps; None: by when rows are seen to arrive."""

    path: Path
    zone: tzinfo
    date_order: str
    clock: Clock
    offset_s: float | None = None
    half_width_s: float = 1.0
    name: str = "its growing file"
    _cycler: Cycler = field(init=False)
    _first: bool = True
    _last_ns: int = -(1 << 62)
    _intervals_s: list[float] = field(default_factory=list)
    _assumed_s: float | None = None

    def __post_init__(self) -> None:
        self._cycler = Cycler(self.path, self.zone, self.date_order, lambda: self.clock.utc_ns() / 1e9, self.clock.utc_ns)

    async def open(self) -> Identity:
        """Changes nothing: it must be there."""
        if not await self.clock.in_thread(self.path.exists, lane="cycler"):
            raise NotReachable(f"{self.path} is not there", advice="name the cycler's file, or the folder in which it makes one")
        return Identity("somebody else's", f"cycler, followed by {self.name}", self.path.name)

    async def close(self) -> None:
        """Nothing was held."""

    async def look(self) -> Look:
        """Rows that have been written; of a file that was there before us only the newest: the rest is history."""
        try:
            fresh = await self.clock.in_thread(self._history if self._first else self._cycler.look, lane="cycler")
        except OSError as error:
            return Look([], f"{self.path.name}: {error.strerror or error}")
        self._first = False
        return Look([row for one in fresh for row in self._rows(one)], trouble="; ".join(self._cycler.problems.values()))

    def _history(self) -> list[Fresh]:
        """All that is there, at as many looks as it takes: its last row."""
        last: list[Fresh] = []
        while found := self._cycler.look():
            newest = max(found, key=lambda one: one.zero_ns + round(float(one.rows.time_s[-1]) * 1e9))
            last = [Fresh(newest.file, newest.rows.part(len(newest.rows) - 1), newest.first + len(newest.rows) - 1, newest.zero_ns)]
        return last

    def _rows(self, fresh: Fresh) -> list[Row]:
        rows, now_ns, utc_now_ns = fresh.rows, self.clock.mono_ns(), self.clock.utc_ns()
        self._pace(rows.time_s.tolist())
        offset_s, half_width_s = self._offset(utc_now_ns / 1e9 - (fresh.zero_ns / 1e9 + float(rows.time_s[-1])))
        shift_ns = round(offset_s * 1e9) + now_ns - utc_now_ns
        made = []
        floats = (rows.time_s, rows.voltage_V, rows.current_A, rows.voltage_we_V, rows.voltage_ce_V)
        told = zip(*(column.tolist() for column in (*floats, rows.step, rows.mode)), strict=True)
        for time_s, E_V, I_A, we_V, ce_V, step, mode in told:
            device_ns = fresh.zero_ns + round(time_s * 1e9)
            self._last_ns = max(self._last_ns + 1, min(device_ns + shift_ns, now_ns))
            current_A = 0.0 if math.isnan(I_A) else I_A
            electrodes = (None, None) if math.isnan(we_V) or math.isnan(ce_V) else (we_V, ce_V)
            seen = ((fresh.file, step), mode, now_ns, round(half_width_s * 1e9))
            made.append(Row(self._last_ns, device_ns, E_V, current_A, *seen, *electrodes))
        return made

    def _pace(self, times_s: list[float]) -> None:
        steps = [later - earlier for earlier, later in itertools.pairwise(times_s) if later > earlier]
        self._intervals_s = (self._intervals_s + steps)[-64:]

    def _offset(self, behind_s: float) -> tuple[float, float]:
        """As told; else by arrivals: the newest row was just written until there are enough of them."""
        if self.offset_s is not None:
            return self.offset_s, self.half_width_s
        bounds = self._cycler.bounds
        if bounds.known and bounds.n >= LEAST_ARRIVALS:
            return bounds.middle_s, bounds.half_width_s
        self._assumed_s = behind_s if self._assumed_s is None else min(self._assumed_s, behind_s)
        return self._assumed_s, self.still_after_s

    @property
    def still_after_s(self) -> float:
        """Several of its sampling intervals."""
        usual_s = statistics.median(self._intervals_s) if self._intervals_s else 0.0
        return max(LEAST_STILL_s, INTERVALS * usual_s)


@dataclass(slots=True, eq=False)
class StatusRoute:
    """What another driver reads of the channel (EC-Lab by OLE-COM, a Neware server): E, I and whether it runs, this moment."""

    settings: Settings
    context: Context
    name: str = "its own software's status"
    _inner: Potentiostat = field(init=False)

    def __post_init__(self) -> None:
        self._inner = registry.make_potentiostat(self.settings, self.context)

    async def open(self) -> Identity:
        """Ask who it is; nothing is set, loaded or stopped."""
        return await self._inner.connect()

    async def close(self) -> None:
        """Let go of it; what runs goes on."""
        await self._inner.release()

    async def look(self) -> Look:
        """One sample, where it says one."""
        before_ns = self.context.clock.mono_ns()
        state = await self._inner.read_state()
        now_ns = self.context.clock.mono_ns()
        if state.running is False:
            return Look([], stopped=True)
        if state.voltage_V is None:
            return Look([], state.detail or "its software says nothing of the channel")
        current_A = state.current_A or 0.0
        middle_ns = (before_ns + now_ns) // 2
        row = Row(middle_ns, middle_ns, state.voltage_V, current_A, ("status", 0), UNKNOWN_MODE, now_ns, (now_ns - before_ns) // 2 + 1)
        return Look([row])

    @property
    def still_after_s(self) -> float:
        """A look is a row."""
        return LEAST_STILL_s
