"""Reads a finished or growing ``run.h5`` into numpy, with units: ``with open_run("runs/…") as run: run.spectra["li"]["intensity"]``.

A growing run is read as it was published at the moment of ``open_run``; open it again for more. With xarray and h5netcdf,
``xarray.open_dataset(path, group="/entry/spectra/li", engine="h5netcdf")`` gives the same with labelled axes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.chapters import FOLDER, missing
from orchestrator.recorder.layout import FORMAT, FORMAT_VERSION
from orchestrator.recorder.publisher import PUBLIC


class NotARun(Exception):
    """The file is not a run file, or a newer program wrote it."""


class ChapterMissing(NotARun):
    """The file of a long run that still goes on was copied without its chapters; without them HDF5 shows NaN and zeros."""


class Columns(Mapping[str, NDArray[Any]]):
    """The datasets of one group by name, each read when asked for; texts as str.

    ``part`` reads some rows only; what the attributes say is read when it is asked for, too.
    """

    def __init__(self, group: Any) -> None:
        self._group = group

    @cached_property
    def units(self) -> dict[str, str]:
        """Of the datasets that have one, by name."""
        return {name: str(node.attrs["units"]) for name, node in self._group.items() if "units" in node.attrs}

    @cached_property
    def long_names(self) -> dict[str, str]:
        """What each dataset is called in a plot, by name."""
        return {name: str(node.attrs.get("long_name", name)) for name, node in self._group.items()}

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Of the group."""
        return dict(self._group.attrs)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.part(name, slice(None))

    def part(self, name: str, rows: slice | int) -> NDArray[Any]:
        """Some rows of one dataset, or one; nothing else is read."""
        values: NDArray[Any] = np.asarray(self._group[name][rows])
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for name, node in self._group.items() if isinstance(node, h5py.Dataset)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotARun(f"{path} cannot be read: {error}; `operando recover` makes it anew from the journal") from error


class Run:
    """One run file, open for reading; close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        version = self._file.attrs.get("format_version")
        if self._file.attrs.get("format") != FORMAT or version > FORMAT_VERSION:
            self._file.close()
            raise NotARun(f"{path}: not a run file, or one of a newer program (format_version {version})")
        if names := missing(self._file):
            self._file.close()
            raise ChapterMissing(
                f"{path} goes on in {', '.join(names)}, which is not there: copy {FOLDER}/ with it, or wait for the close-out"
            )
        self._entry = self._file["entry"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file: while it is open, its copy on the disk stays as it is."""
        self._file.close()

    @property
    def entry(self) -> Any:
        """The open h5py group ``/entry``."""
        return self._entry

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the run: outcome, ``published_utc``, ``journal_seq``, conventions."""
        return dict(self._entry.attrs)

    @property
    def electrochemistry(self) -> Columns:
        """Time (s), voltage (V), current (A), charges (mA h), x, step, cycle, status, time_utc (ns)."""
        return Columns(self._entry["electrochemistry"])

    @property
    def fid(self) -> dict[str, Columns]:
        """FIDs by acquisition name: complex (n, points), exactly as stored, with their columns."""
        return self._children("fid")

    @property
    def spectra(self) -> dict[str, Columns]:
        """Published spectra by acquisition name: float32 (n, ppm), for display; analyse the FIDs."""
        return self._children("spectra")

    @property
    def observables(self) -> dict[str, Columns]:
        """Observables by name: time, value, error, spectrum_key."""
        return self._children("observables")

    @property
    def aux(self) -> dict[str, Columns]:
        """Sensors by name: time, value."""
        return self._children("aux")

    @property
    def acquisitions(self) -> Columns:
        """One row for every acquisition that was asked for, measured or not."""
        return Columns(self._entry["acquisitions"])

    @property
    def events(self) -> list[dict[str, Any]]:
        """The journal's events as they stand in the file: seq, time, kind, source, cause, data."""
        return self.events_of()

    def events_of(self, *kinds: str) -> list[dict[str, Any]]:
        """The same of some kinds only (all where none is named); of the others not even the text is looked at."""
        node = self._entry["events"]
        kind, begins = node["kind"][()], node["part"][()] == 0
        of_event = np.cumsum(begins) - 1
        wanted = np.isin(kind[begins], [name.encode() for name in kinds]) if kinds else np.ones(int(begins.sum()), bool)
        rows = np.flatnonzero(wanted[of_event]) if of_event.size else of_event
        columns = {name: node[name][()][rows].tolist() for name in ("seq", "time", "kind", "source", "cause", "data")}
        events: list[dict[str, Any]] = []
        for begin, *row in zip(begins[rows].tolist(), *columns.values(), strict=True):
            told = {name: each.decode() if isinstance(each, bytes) else each for name, each in zip(columns, row, strict=True)}
            if begin:
                events.append(told)
            else:
                events[-1]["data"] += told["data"]
        for event in events:
            event["data"] = json.loads(event["data"])
        return events

    def text(self, name: str) -> str:
        """A text of ``control/``: experiment, rig, cell, plan, versions, digests."""
        raw = self._entry[f"control/{name}"][()]
        return raw.decode("utf-8") if isinstance(raw, bytes) else str(raw)

    def _children(self, name: str) -> dict[str, Columns]:
        return {child: Columns(group) for child, group in sorted(self._entry[name].items())}


def open_run(path: str | Path) -> Run:
    """Open a run by its folder or by its ``run.h5``; raises FileNotFoundError, NotARun."""
    path = Path(path)
    return Run(path / PUBLIC if path.is_dir() else path)
