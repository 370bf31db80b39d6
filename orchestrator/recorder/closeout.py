"""After the run, and whenever somebody asks: does ``run.h5`` hold what the journal holds, bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from drivers.durable import write_durably
from orchestrator.model.events import Event
from orchestrator.recorder.appends import Text
from orchestrator.recorder.digest import digest, digest_of
from orchestrator.recorder.fids import fid_rows
from orchestrator.recorder.projection import OWN_GROUP
from orchestrator.recorder.publisher import PUBLIC, Publisher
from orchestrator.recorder.records import Reader
from orchestrator.recorder.rowio import blocks

JOURNAL = "journal.sqlite"
CLOSEOUT = "closeout.json"
EXACT = {"voltage_V": "voltage", "current_A": "current", "x": "x"}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as counted and hashed on one side."""

    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``ok``, and every check as a line for a person. ``digest`` of ``run.h5``; the journal's streams."""

    ok: bool
    lines: tuple[str, ...]
    digest: str = ""
    streams: dict[str, Stream] = field(default_factory=dict)

    def as_json(self) -> str:
        """For ``closeout.json`` and for ``control/digests``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


class Tally:
    """Counts and hashes streams by name; what is added under one name must come in the same order on both sides."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[int, Any]] = {}

    def add(self, name: str, count: int, *parts: bytes) -> None:
        """So many more rows, and their bytes."""
        before, total = self._streams.get(name, (0, None))
        total = hashlib.sha256() if total is None else total
        for part in parts:
            total.update(part)
        self._streams[name] = (before + count, total)

    def streams(self) -> dict[str, Stream]:
        """The result, by name."""
        return {name: Stream(count, total.hexdigest()) for name, (count, total) in sorted(self._streams.items())}


class JournalStreams:
    """The streams of a journal, straight from its blobs (not through the projection), as its events are read; each is taken once."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._places = _Places()
        self._fids: dict[str, list[tuple[str, int, int, bytes]]] = {}

    def take(self, events: Iterable[Event]) -> None:
        """The next events, in order."""
        tally = self._tally
        for event in events:
            match event.kind:
                case "ec.block" | "aux.block":
                    blob = event.blob or b""
                    for name, at in self._places.of(event):
                        tally.add(name, event.data["n"], blob[at])
                case "fid.block":
                    self._fids.setdefault(event.data["name"], []).extend(_hashed(event.data["key"], event.data["block"], fid_rows(event)))
                case _:
                    pass
            if event.kind not in OWN_GROUP:
                tally.add("events", 1, f"{event.seq} {event.kind}\n".encode())

    def streams(self) -> dict[str, Stream]:
        """All of them, once the last event has been taken."""
        _add_fids(self._tally, self._fids)
        self._fids = {}
        return self._tally.streams()


def journal_streams(events: Iterable[Event]) -> dict[str, Stream]:
    """The streams of a journal that is read anew."""
    streams = JournalStreams()
    streams.take(events)
    return streams.streams()


class _Places:
    """Where the bytes of the columns that are compared lie in a block; thousands of blocks are described alike."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Any, ...], list[tuple[str, slice]]]] = {}

    def of(self, event: Event) -> list[tuple[str, slice]]:
        """Name of the stream and place of each."""
        described = (event.data["n"], event.data["columns"], event.data.get("sensor"))
        known, places = self._known.get(event.kind, ((), []))
        if described != known:
            places = list(_places(*described))
            self._known[event.kind] = (described, places)
        return places


def _places(n: int, columns: Iterable[Sequence[str]], sensor: str | None) -> Iterator[tuple[str, slice]]:
    streams = {"value": f"aux/{sensor}"} if sensor is not None else {name: f"electrochemistry/{other}" for name, other in EXACT.items()}
    at = 0
    for name, dtype in columns:
        size = np.dtype(dtype).itemsize * n
        if name in streams:
            yield streams[name], slice(at, at + size)
        at += size


def file_streams(file: h5py.File) -> dict[str, Stream]:
    """The same streams, as they stand in an open ``run.h5``; read a block at a time."""
    tally = Tally()
    entry = file["entry"]
    for name in EXACT.values():
        _add_column(tally, f"electrochemistry/{name}", entry[f"electrochemistry/{name}"])
    for sensor in entry["aux"].values():
        _add_column(tally, f"aux/{sensor.attrs['sensor']}", sensor["value"])
    for part, seqs, kinds in _together(entry["events"], "part", "seq", "kind"):
        for seq, kind in zip(seqs[part == 0], kinds[part == 0], strict=True):
            tally.add("events", 1, f"{seq} {kind.decode()}\n".encode())
    _add_fids(tally, _fids_of(entry))
    return tally.streams()


def _add_column(tally: Tally, name: str, column: h5py.Dataset) -> None:
    for start, n in blocks(column):
        tally.add(name, n, column[start : start + n].tobytes())


def _together(group: h5py.Group, *names: str) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    """The rows of several datasets of one length, a block of the widest at a time."""
    columns = [group[name] for name in names]
    widest = max(columns, key=lambda column: column.size * column.dtype.itemsize)
    for start, n in blocks(widest):
        yield tuple(column[start : start + n] for column in columns)


def _fids_of(entry: Any) -> dict[str, list[tuple[str, int, int, bytes]]]:
    fids: dict[str, list[tuple[str, int, int, bytes]]] = {}
    for group in entry["fid"].values():
        found = fids.setdefault(str(group.attrs["acquisition"]), [])
        for keys, numbers, rows, values in _together(group, "key", "block", "row", "fid"):
            hashes = (each[3] for each in _hashed("", 0, values))
            found += [(key.decode(), int(block), int(row), sha) for key, block, row, sha in zip(keys, numbers, rows, hashes, strict=True)]
    for group in entry.get("kspace", {}).values():
        found = fids.setdefault(str(group.attrs["acquisition"]), [])
        for keys, numbers, images in _together(group, "key", "block", "data"):
            for key, block, image in zip(keys, numbers, images, strict=True):
                found += list(_hashed(key.decode(), int(block), image))
    return fids


def _hashed(key: str, block: int, rows: np.ndarray[Any, Any]) -> Iterator[tuple[str, int, int, bytes]]:
    """Each row as (key, block, row, hash of its values), whatever complex type it is stored in."""
    for n, row in enumerate(rows):
        yield key, block, n, hashlib.sha256(row.astype("<c16").tobytes()).digest()


def _add_fids(tally: Tally, fids: dict[str, list[tuple[str, int, int, bytes]]]) -> None:
    for name, rows in fids.items():
        for key, block, row, sha in sorted(rows):
            tally.add(f"fid/{name}", 1, f"{key} {block} {row} ".encode(), sha)


def compare(run_h5: Path, events: Iterable[Event]) -> Finding:
    """Count and hash every stream on both sides; the lines that say what differs come first."""
    with h5py.File(run_h5, "r") as file:
        return compare_open(file, journal_streams(events))


def compare_open(open_file: h5py.File, journal: Mapping[str, Stream], kept_in: str = "the journal") -> Finding:
    """The same of an open file with streams that were counted before; ``kept_in``: where a person finds the other side."""
    file = file_streams(open_file)
    names = sorted(journal.keys() | file.keys())
    wrong = [_difference(name, journal.get(name), file.get(name), kept_in) for name in names if journal.get(name) != file.get(name)]
    right = [f"{name}: {journal[name].count} in {kept_in}, SHA-256 equal" for name in names if journal.get(name) == file.get(name)]
    return Finding(not wrong, (*wrong, *right), digest_of(open_file), dict(journal))


def _difference(name: str, expected: Stream | None, found: Stream | None, kept_in: str) -> str:
    counts = f"{expected.count if expected else 0} in {kept_in}, {found.count if found else 0} in {PUBLIC}"
    return f"{name}: DIFFERS: {counts}" + (", other values" if expected and found and expected.count == found.count else "")


def close_out(folder: Path, publisher: Publisher, seq: int, journal: Mapping[str, Stream] | None = None) -> Finding:
    """One file again, read back, compared with the journal, the result written into it and beside it; ring and chapters go.

    ``journal``: its streams, where they were taken while it was read; else it is read once more.
    Killed at any instant it leaves a file that opens and a journal that has everything; ``recover`` then does it anew.
    """
    file = publisher.gather()
    if journal is None:
        with Reader(folder / JOURNAL) as reader:
            journal = journal_streams(event for event in reader.events() if event.seq <= seq)
    with h5py.File(file, "r") as opened:
        finding = compare_open(opened, journal)
    publisher.add([Text("control/digests", finding.as_json())], seq)
    publisher.publish()
    if publisher.refused or digest(publisher.public) != finding.digest:
        why = publisher.refused or f"{PUBLIC} changed between two readings"
        finding = Finding(False, (*finding.lines, why), finding.digest, finding.streams)
    write_closeout(folder, finding)
    publisher.close()
    return finding


def write_closeout(folder: Path, finding: Finding) -> None:
    """``closeout.json``, whole or not at all."""
    write_durably(folder / CLOSEOUT, finding.as_json())


def read_closeout(folder: Path) -> Finding | None:
    """What the last close-out found; None where there is none."""
    try:
        told = json.loads((folder / CLOSEOUT).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    streams = {name: Stream(**stream) for name, stream in told["streams"].items()}
    return Finding(told["ok"], tuple(told["lines"]), told["digest"], streams)
