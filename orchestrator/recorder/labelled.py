"""A run for a notebook: ``from orchestrator import open_run``, with names, units and long names on everything.

With xarray (extra [notebook]) each group is a Dataset whose values stay in the file until they are used; without it, the
numpy ``Columns`` of ``recorder.reader`` with ``units`` and ``long_names``. A run that still goes on is read as it was
published when it was opened; ``refresh`` takes in what has been published since. Chapters need nothing of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder import layout
from orchestrator.recorder.publisher import PUBLIC
from orchestrator.recorder.reader import Columns, NotARun, Run
from orchestrator.recorder.reader import open_run as open_plain

T = TypeVar("T")
ALONG = {"time_s": "time", "voltage_V": "voltage", "charge_mAh": "charge_net", "x": "x"}
READ_ROWS = 1 << 20
Met = tuple[int, float, bool | None]
"""Row of the sample before an instant, how far on from it towards the next, and whether the quantity rises through it."""


class ByName(Mapping[str, T], Generic[T]):
    """Groups by their names, each made when it is asked for."""

    def __init__(self, names: list[str], make: Callable[[str], T]) -> None:
        self._names, self._make = names, make
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(f"{name!r}; there is {', '.join(self._names) or 'nothing'}")
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<by name: {', '.join(self._names) or 'nothing'}>"


class Spectra(ByName[Any]):
    """Spectra by acquisition; ``plot`` draws those of one acquisition as a waterfall."""

    def plot(self, name: str = "") -> Any:
        """Chemical shift from left to right as it falls, time upwards; a single spectrum is a curve. Needs xarray and matplotlib."""
        intensity = self[name or self._names[0]]["intensity"]
        if intensity.sizes["time"] == 1:
            (shown,) = intensity[0].plot(x="chemical_shift")
        else:
            shown = intensity.plot(x="chemical_shift", robust=True)
        shown.axes.invert_xaxis()
        return shown


@dataclass(frozen=True, slots=True)
class Moment:
    """The cell at one instant, and the row of each acquisition's spectrum whose middle lies nearest to it.

    ``rising``: the quantity asked for grew through its value here; None where time was asked for. Charge is the run's net charge.
    """

    time_s: float
    utc: np.datetime64
    voltage_V: float
    current_A: float
    charge_mAh: float
    x: float
    step: int
    cycle: int
    rising: bool | None = None
    spectra: Mapping[str, int] = field(default_factory=dict)


class LabelledRun:
    """One run, open for reading: close it, use it as a context, or let it go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run = open_plain(path)
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        told = self.attributes
        how = told.get("state", "growing")
        return f"<run {self.title!r}, {how}, published {_text(told.get('published_utc'))}: {', '.join(self.spectra) or 'no spectra'}>"

    def close(self) -> None:
        """Let go of the file; what has not been read yet cannot be read any more."""
        self._run.close()

    def refresh(self) -> bool:
        """Read what has been published since; False where nothing has. What was handed out before keeps its length."""
        before = self.attributes.get("journal_seq")
        fresh = open_plain(self.path)
        if fresh.attributes.get("journal_seq") == before:
            fresh.close()
            return False
        self._run.close()
        self._run = fresh
        self._forget()
        return True

    def _forget(self) -> None:
        self._events: list[dict[str, Any]] | None = None
        self._echem: Any = None

    # ---------------------------------------------------------------------------------------------------- what is in it

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the run: state, outcome, reason, complete, published_utc, zone, simulated, conventions."""
        return self._run.attributes

    @property
    def title(self) -> str:
        """The experiment's name; empty before the run has begun."""
        return _text(self.entry["title"][()]) if "title" in self.entry else ""

    @property
    def growing(self) -> bool:
        """Does the run still go on, as far as this file knows?"""
        return "outcome" not in self.attributes

    @property
    def entry(self) -> Any:
        """The open h5py group ``/entry``, for whatever is not named here."""
        return self._run.entry

    @property
    def echem(self) -> Any:
        """Electrochemistry along ``time``: voltage (V), current (A), charges (mA h), x, step, cycle, status, time_utc."""
        if self._echem is None:
            self._echem = self._group("electrochemistry")
        return self._echem

    @property
    def fids(self) -> ByName[Any]:
        """FIDs by acquisition: ``fid`` complex (time, acquisition_time) as the console stored it, with a row of columns each."""
        return ByName(self._children("fid"), lambda name: self._group(f"fid/{name}"))

    @property
    def spectra(self) -> Spectra:
        """Spectra by acquisition: ``intensity`` float32 (time, chemical_shift), for display; analyse the FIDs."""
        return Spectra(self._children("spectra"), lambda name: self._group(f"spectra/{name}"))

    @property
    def observables(self) -> ByName[Any]:
        """What the analysis found, by name: ``value`` and ``error`` along time, ``spectrum_key``."""
        return ByName(self._children("observables"), lambda name: self._group(f"observables/{name}"))

    @property
    def aux(self) -> ByName[Any]:
        """Sensors by name: ``value`` along time."""
        return ByName(self._children("aux"), lambda name: self._group(f"aux/{name}"))

    @property
    def impedance(self) -> ByName[Any]:
        """Impedance spectra by group (one for each number of frequencies): ``z`` complex (time, point), ``frequency``."""
        return ByName([name for name in sorted(self.entry) if name.startswith("impedance")], self._group)

    @property
    def acquisitions(self) -> Any:
        """One row for every acquisition that was asked for, measured or not."""
        return self._group("acquisitions")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The journal's events: seq, time (s), kind, source, cause, data."""
        if self._events is None:
            self._events = self._run.events
        return self._events

    @property
    def experiment(self) -> str:
        """The experiment's file, verbatim."""
        return self.text("experiment")

    def text(self, name: str) -> str:
        """A text of ``control/``: experiment, rig, cell, plan, versions, digests, each verbatim."""
        return self._run.text(name)

    def plan(self) -> dict[str, Any]:
        """What was planned, as ``check`` would print it."""
        return dict(json.loads(self.text("plan")))

    # ------------------------------------------------------------------------------------------------------------- when

    def at(
        self, *, time_s: float | None = None, voltage_V: float | None = None, charge_mAh: float | None = None, x: float | None = None
    ) -> list[Moment]:
        """Every instant at which the named quantity has that value, in order; a time has one, none outside the run.

        A voltage is met where two samples that follow each other in one step enclose it: never in the jump at an edge.
        """
        asked = {
            name: value
            for name, value in (("time_s", time_s), ("voltage_V", voltage_V), ("charge_mAh", charge_mAh), ("x", x))
            if value is not None
        }
        if len(asked) != 1:
            raise TypeError("say one of time_s, voltage_V, charge_mAh and x")
        ((name, value),) = asked.items()
        node = self.entry["electrochemistry"]
        found = _time_met(node, value) if name == "time_s" else _met(node, ALONG[name], value)
        middles = {each: self._middles(each) for each in self._children("spectra")} if found else {}
        return [_moment(node, met, middles) for met in found]

    def _middles(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.entry[f"spectra/{name}/t_mid"][()])

    # ------------------------------------------------------------------------------------------------------------ groups

    def _children(self, name: str) -> list[str]:
        return sorted(self.entry[name])

    def _group(self, path: str) -> Any:
        try:
            import xarray  # noqa: F401
        except ImportError:
            return Columns(self.entry[path])
        from orchestrator.recorder.lazy import dataset

        return dataset(lambda: self.entry[path], layout.described_as(path))


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


# -------------------------------------------------------------------------------------------------------------------- at


def _time_met(node: h5py.Group, time_s: float) -> list[Met]:
    """The sample before, by bisection."""
    time = node["time"]
    low, high = 0, time.shape[0] - 1
    if high < 0 or not time[0] <= time_s <= time[high]:
        return []
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if time[middle] <= time_s else (low, middle)
    span = time[high] - time[low]
    return [(low, float((time_s - time[low]) / span) if span > 0 else 0.0, None)]


def _met(node: h5py.Group, name: str, value: float) -> list[Met]:
    """Every pair of neighbours in one step that encloses the value."""
    column, step = node[name], node["step"]
    found: list[Met] = []
    rows = column.shape[0]
    for start in range(0, max(0, rows - 1), READ_ROWS):
        values = column[start : start + READ_ROWS + 1] - value
        same = np.diff(step[start : start + READ_ROWS + 1]) == 0
        for row in np.flatnonzero((values[:-1] * values[1:] <= 0) & (values[:-1] != values[1:]) & (values[1:] != 0) & same).tolist():
            before, after = float(values[row]), float(values[row + 1])
            found.append((start + row, before / (before - after), after > before))
    if rows and column[rows - 1] == value:
        found.append((rows - 1, 0.0, None))
    return found


def _moment(node: h5py.Group, met: Met, middles: Mapping[str, NDArray[np.float64]]) -> Moment:
    row, part, rising = met
    last = min(row + 1, node["time"].shape[0] - 1)

    def between(name: str) -> float:
        before, after = float(node[name][row]), float(node[name][last])
        return before + part * (after - before) if part else before

    time_s = between("time")
    utc_ns = int(node["time_utc"][row]) + round((time_s - float(node["time"][row])) * 1e9)
    voltage_V, current_A, charge_mAh, x = (between(name) for name in ("voltage", "current", "charge_net", "x"))
    nearest = {name: int(np.nanargmin(np.abs(mid - time_s))) for name, mid in middles.items() if np.isfinite(mid).any()}
    at = np.datetime64(utc_ns, "ns")
    return Moment(time_s, at, voltage_V, current_A, charge_mAh, x, int(node["step"][row]), int(node["cycle"][row]), rising, nearest)


def open_run(path: str | Path) -> LabelledRun:
    """Open a run by its folder, its ``run.h5``, or ``FOLDER/latest``; also one that still goes on.

    Raises FileNotFoundError, ``NotARun``, and ``ChapterMissing`` where a long run was copied without its chapters.
    """
    path = Path(path)
    if path.name == "latest" and not path.exists():
        runs = sorted(path.parent.glob(f"*/{PUBLIC}"), key=lambda each: (each.parent.name[:16], each.stat().st_mtime_ns))
        if not runs:
            raise FileNotFoundError(f"no runs in {path.parent}")
        path = runs[-1].parent
    return LabelledRun(path)


__all__ = ["ByName", "Columns", "LabelledRun", "Moment", "NotARun", "Run", "Spectra", "open_run"]
