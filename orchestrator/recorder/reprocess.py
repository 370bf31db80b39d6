"""The analysis of a run once more, from its journal into a file beside ``run.h5``, which stays as it is.

``processed/NNNN.h5`` holds, per acquisition, one row per spectrum with everything the analysis tells, and where it came from:
the run's id, the digest of ``run.h5`` if it is there, the journal's last record, program, versions, windows, command. Each run
of ``process`` makes a new file under the next number; nothing is ever written over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from drivers.durable import replace_durably
from orchestrator.analysis.battery import correlations
from orchestrator.analysis.bound import BEYOND
from orchestrator.analysis.findings import ALGORITHMS, Finding
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.analysis.looking import Look, Streams
from orchestrator.analysis.maps import Over
from orchestrator.model.events import Event
from orchestrator.recorder.acquisitions import flags_of
from orchestrator.recorder.datasets import group_name
from orchestrator.recorder.digest import digest
from orchestrator.recorder.layout import TUNING_FLAGS
from orchestrator.recorder.publisher import PUBLIC
from orchestrator.recorder.records import Reader, Refused

FOLDER = "processed"
FORMAT = "operando-processed"
FORMAT_VERSION = 1
JOURNAL = "journal.sqlite"
CONTEXT = (
    "t_s",
    "t_start_s",
    "t_end_s",
    "charge_mAh",
    "charge_start_mAh",
    "charge_end_mAh",
    "throughput_mAh",
    "charge_step_mAh",
    "x",
    "voltage_V",
    "current_A",
    "cycle",
    "scans",
)
TEXTS = ("key", "acquisition", "nucleus", "step_key", "flags")
CHUNK_ROWS = 256
UNREADABLE = (ValueError, ArithmeticError, LookupError, TypeError)
"""What one spectrum that cannot be analysed raises: it is told, and the others go on."""
AGAINST = ("t_s", "charge_mAh", "x", "voltage_V")

Windows = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One spectrum: ``context`` as in ``analysis.live``, observables as name → (value, error, unit)."""

    key: str
    context: Mapping[str, Any]
    flags: tuple[str, ...]
    values: Mapping[str, tuple[float, float, str]]
    start_utc_ns: int = 0

    def number(self, name: str) -> float:
        """A number of the context; NaN where it has none."""
        value = self.context.get(name)
        return float(value) if isinstance(value, int | float) else math.nan

    def text(self, name: str) -> str:
        """A text of the row."""
        return {"key": self.key, "flags": ",".join(self.flags)}.get(name, str(self.context.get(name, "")))


@dataclass(slots=True)
class Source:
    """What the rows came from; filled while they are read."""

    run_id: str = ""
    name: str = ""
    last_seq: int = 0
    spectra: int = 0
    failed: list[str] = field(default_factory=list)


def journal_of(folder: Path) -> Path:
    """The journal of a run; raises Refused where ``prune`` has dropped it."""
    path = folder / JOURNAL
    if not path.is_file():
        raise Refused(f"{folder}: its journal was pruned, and only a journal can be processed again; run.h5 holds what was found live")
    return path


class Others(NamedTuple):
    """Who else works on a run: ``over`` fits the tiles of its maps, ``look`` has what its FIDs tell, of all up to record ``until``."""

    over: Over = map
    look: Look = Streams.look
    until: int | None = None


ALONE = Others()


def rows(folder: Path, windows: Windows | None = None, source: Source | None = None, others: Others = ALONE) -> Iterator[Row]:
    """Every spectrum of a run in the order in which it was stored. Memory: one spectrum and two hours of samples."""
    source = source if source is not None else Source()
    analysis = LiveAnalysis(full=True, edits=windows, over=others.over, look=others.look)
    with Reader(journal_of(folder)) as reader:
        flags = _ruled(reader)
        for event in reader.events():
            if others.until is not None and event.seq > others.until:
                break
            source.last_seq = event.seq
            _note(event, source, flags)
            try:
                found = analysis.feed(event)
            except UNREADABLE as error:
                source.failed.append(f"{event.data.get('key')}: {type(error).__name__}: {error}")
                continue
            if found:
                source.spectra += 1
                yield _row(found, flags.get(found[0].key, []), event.utc_ns)


def _ruled(reader: Reader) -> dict[str, list[str]]:
    """What the rules of the run said of its spectra, by key: it came after they were stored."""
    flags: dict[str, list[str]] = {}
    if reader.kinds.get("rule.fired"):
        for event in reader.events():
            if event.kind == "rule.fired" and event.data.get("spectrum_key"):
                flags.setdefault(event.data["spectrum_key"], []).extend(flags_of(event.data))
    return flags


def _note(event: Event, source: Source, flags: dict[str, list[str]]) -> None:
    data = event.data
    if event.kind == "run.started":
        source.run_id, source.name = str(data["run_id"]), str(data.get("name", ""))
    elif event.kind.startswith("acquisition.") and "key" in data:
        for flag, there in (
            ("partial", data.get("partial")),
            ("deviating", data.get("deviations")),
            ("coalesced", data.get("added")),
            *((flag, data.get(flag)) for flag in TUNING_FLAGS),
        ):
            if there and flag not in flags.setdefault(data["key"], []):
                flags[data["key"]].append(flag)


def _row(found: Sequence[Finding], flags: Sequence[str], stored_utc_ns: int) -> Row:
    context = found[0].context or {}
    own = [*flags, *(["blank"] if context.get("blank") else [])]
    own += [f"{one.name.partition('(')[2].removesuffix(')')} not resolved" for one in found if one.name.startswith("upper_limit(")]
    own += [f"{one.name.replace('_excess', '')} beyond T1" for one in found if one.name.startswith("T2_excess(") and one.value > BEYOND]
    values = {one.name: (one.value, math.nan if one.error is None else one.error, one.unit) for one in found}
    return Row(found[0].key, context, tuple(own), values, stored_utc_ns)


# ------------------------------------------------------------------------------------------------------------- sidecar


def process(folder: Path, windows: Windows | None = None, *, asked: str = "", others: Others = ALONE) -> tuple[Path, Source]:
    """Analyse a run again into the next ``processed/NNNN.h5``; returns it and what it came from. Raises Refused."""
    journal_of(folder)
    source = Source()
    return _write(folder, rows(folder, windows, source, others), source, windows, asked)


def _write(folder: Path, found: Iterable[Row], source: Source, windows: Windows | None, asked: str) -> tuple[Path, Source]:
    (folder / FOLDER).mkdir(exist_ok=True)
    path = _next(folder / FOLDER)
    part = path.with_suffix(".part")
    public = folder / PUBLIC
    try:
        with h5py.File(part, "w", libver=("v108", "v110"), track_order=True) as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            tables: dict[str, _Table] = {}
            for row in found:
                name = group_name(str(row.context["acquisition"]))
                if name not in tables:
                    tables[name] = _Table(entry.create_group(name))
                tables[name].add(row)
            for table in tables.values():
                table.close()
            _describe(file, source, windows, asked, _digest(public))
        replace_durably(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path, source


def _digest(public: Path) -> str:
    """Of the run's file; empty where it is not there or cut short: what is analysed stands in the journal."""
    try:
        return digest(public)
    except OSError:
        return ""


def _next(folder: Path) -> Path:
    numbers = [int(path.stem) for path in folder.glob("*.h5") if path.stem.isdigit()]
    return folder / f"{max(numbers, default=0) + 1:04d}.h5"


def _describe(file: Any, source: Source, windows: Windows | None, asked: str, run_digest: str) -> None:
    file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
    process = file["entry"].create_group("process")
    process.attrs["NX_class"] = "NXprocess"
    texts = {
        "program": "operando-nmr",
        "version": version("operando-nmr"),
        "libraries": json.dumps({name: version(name) for name in ("numpy", "scipy", "h5py")}),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "algorithms": json.dumps(ALGORITHMS),
        "windows_ppm": json.dumps({name: list(edges) for name, edges in (windows or {}).items()}),
        "asked": asked,
        "run_id": source.run_id,
        "run_h5_digest": run_digest,
        "failed": json.dumps(source.failed),
    }
    for name, text in texts.items():
        process.attrs[name] = text
    process.attrs["journal_seq"], process.attrs["spectra"] = source.last_seq, source.spectra


class _Table:
    """Rows of one acquisition, appended a chunk at a time."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self._group.attrs["NX_class"] = "NXcollection"
        self._waiting: list[Row] = []
        self._observables: dict[str, str] = {}
        self._size = 0

    def add(self, row: Row) -> None:
        """One more row; written when enough wait."""
        self._waiting.append(row)
        if len(self._waiting) >= CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        for name in TEXTS:
            self._append(name, np.array([row.text(name).encode()[:120] for row in waiting], dtype="S120"), b"")
        for name in CONTEXT:
            self._append(name, np.array([row.number(name) for row in waiting]), math.nan)
        units = {name: unit for row in waiting for name, (_, _, unit) in row.values.items()}
        self._observables |= units
        for name, unit in units.items():
            found = [row.values.get(name, (math.nan, math.nan, "")) for row in waiting]
            self._append(name, np.array([value for value, _, _ in found]), math.nan, unit)
            self._append(f"{name} error", np.array([error for _, error, _ in found]), math.nan, unit)
        self._size += len(waiting)
        for dataset in self._group.values():
            if dataset.shape[0] < self._size:
                dataset.resize(self._size, axis=0)

    def close(self) -> None:
        """The last rows, and how every observable goes with time, charge, x and voltage (Pearson's r and its significance)."""
        self.flush()
        against = {name: self._group[name][:] for name in AGAINST}
        names = [name for name in self._group if name in self._observables]
        found = [correlations(self._group[name][:], against) for name in names]
        group = self._group.create_group("correlations")
        group.attrs["NX_class"], group.attrs["against"] = "NXcollection", json.dumps(AGAINST)
        group.create_dataset("observable", data=np.array([name.encode() for name in names], dtype="S120"))
        for letter in ("r", "p"):
            rows = [[getattr(one, letter)[name] for name in AGAINST] for one in found]
            group.create_dataset(letter, data=np.array(rows, dtype=np.float64).reshape(-1, len(AGAINST)))

    def _append(self, name: str, values: Any, missing: Any, unit: str | None = None) -> None:
        if name not in self._group:
            made = self._group.create_dataset(name, (self._size,), values.dtype, maxshape=(None,), chunks=(CHUNK_ROWS,), fillvalue=missing)
            if unit is not None:
                made.attrs["units"] = unit
        dataset = self._group[name]
        dataset.resize(self._size + len(values), axis=0)
        dataset[self._size :] = values
