"""Chapters of a long run's published file: closed for good, never written again, and where each row of the run lies in them.

A chapter is a plain run file of its own rows. ``run.h5`` shows the run as a whole by virtual datasets over the closed
chapters and over the open one, which lies within ``run.h5`` itself, under ``/tail``: so that putting ``run.h5`` in place is
one rename, and no reader meets a master and an open chapter of different instants. A row that changes after its chapter was
closed is kept, with its new value, in ``/late`` of the chapter that is open then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orchestrator.recorder import layout
from orchestrator.recorder.structure import Structure

FOLDER = "run.h5.chapters"
TAIL, LATE, ABOUT = "tail", "late", "chapter"
HERE = "."
FINGERPRINT = hashlib.sha256(repr((layout.FORMAT_VERSION, layout.GROUPS)).encode()).hexdigest()[:16]
"""A chapter laid out otherwise, by another release, is not continued."""


@dataclass(frozen=True, slots=True)
class Segment:
    """So many ``rows`` of the run from number ``start`` on, in a dataset of a file, from its row ``at`` on."""

    file: str
    dataset: str
    start: int
    rows: int
    at: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """A closed chapter. ``file`` as seen from ``run.h5``; ``seq``: it covers the journal up to there.

    ``rows``: group → first and last but one row of the run; ``columns``: group → datasets; ``late``: (group, dataset) →
    rows of earlier chapters that changed meanwhile.
    """

    file: str
    number: int
    seq: int
    previous: int = 0
    rows: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    late: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)


class Chapters:
    """The closed chapters of one run, in order; none for most runs."""

    def __init__(self, closed: Sequence[Chapter] = ()) -> None:
        self.closed = list(closed)

    def __bool__(self) -> bool:
        return bool(self.closed)

    @property
    def seq(self) -> int:
        """The number of the journal's record up to which the closed chapters reach."""
        return self.closed[-1].seq if self.closed else 0

    @property
    def files(self) -> list[str]:
        """All files, as seen from ``run.h5``."""
        return [chapter.file for chapter in self.closed]

    def base(self, path: str) -> int:
        """The first row of a group that is in no closed chapter."""
        return max((chapter.rows[path][1] for chapter in self.closed if path in chapter.rows), default=0)

    def segments(self, path: str, name: str, late: Sequence[int] = ()) -> list[Segment]:
        """Where the rows of a dataset lie, in order; ``late``: rows that the open chapter changed. Rows that no file has are left out."""
        whole: list[Segment] = []
        changed: dict[int, Segment] = {}
        dataset = f"/entry/{path}/{name}"
        for chapter in self.closed:
            start, end = chapter.rows.get(path, (0, 0))
            if end > start and name in chapter.columns[path]:
                whole.append(Segment(chapter.file, dataset, start, end - start, 0))
        for file, rows in (*((each.file, each.late.get((path, name), ())) for each in self.closed), (HERE, late)):
            changed |= {row: Segment(file, f"/{late_path(path, name)}/values", row, 1, at) for at, row in enumerate(rows)}
        return list(_overlaid(whole, changed))


def _overlaid(whole: Sequence[Segment], changed: Mapping[int, Segment]) -> Iterator[Segment]:
    """The segments with single rows taken from elsewhere."""
    rows = sorted(changed)
    for segment in whole:
        at, end = segment.start, segment.start + segment.rows
        for row in (each for each in rows if segment.start <= each < end):
            if row > at:
                yield Segment(segment.file, segment.dataset, at, row - at, segment.at + at - segment.start)
            yield changed[row]
            at = row + 1
        if end > at:
            yield Segment(segment.file, segment.dataset, at, end - at, segment.at + at - segment.start)


def late_path(path: str, name: str) -> str:
    """The group of a chapter's file in which a dataset's late rows and their values lie."""
    return f"{LATE}/{path}/{name}"


def late_rows(file: h5py.File, path: str, name: str) -> list[int]:
    """The rows of earlier chapters that this file changed, in the order of their values."""
    where = f"{late_path(path, name)}/rows"
    return [int(row) for row in file[where][()]] if where in file else []


# ---------------------------------------------------------------------------------------------------------- open and closed


def close_chapter(file: h5py.File, structure: Structure, before: Chapters, number: int, seq: int) -> Chapter:
    """Make an open file a closed chapter: its rows become all there is in it. Returns what is to be known of it."""
    if TAIL in file:
        del file["entry"]
        file.move(TAIL, "entry")
    rows: dict[str, tuple[int, int]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    late: dict[tuple[str, str], list[int]] = {}
    for path in structure.makes:
        names = [each.name for each in structure.growing(path) if f"entry/{path}/{each.name}" in file]
        if names:
            base = before.base(path)
            rows[path] = (base, base + file[f"entry/{path}/{names[0]}"].shape[0])
            columns[path] = tuple(names)
        late |= {(path, name): found for name in names if (found := late_rows(file, path, name))}
    previous = before.closed[-1].number if before else 0
    chapter = Chapter(f"{FOLDER}/{number:04d}.h5", number, seq, previous, rows, columns, late)
    _write_about(file, chapter)
    return chapter


def _write_about(file: h5py.File, chapter: Chapter) -> None:
    told = {
        "number": chapter.number,
        "seq": chapter.seq,
        "previous": chapter.previous,
        "layout": FINGERPRINT,
        "rows": chapter.rows,
        "columns": chapter.columns,
        "late": [[path, name, list(rows)] for (path, name), rows in chapter.late.items()],
    }
    raw = json.dumps(told).encode()
    file.create_dataset(ABOUT, data=np.array(raw, dtype=h5py.string_dtype("utf-8", len(raw))))


def read_chapter(path: Path) -> Chapter | None:
    """What is to be known of a closed chapter; None where it is none, or laid out otherwise."""
    with contextlib.suppress(OSError, KeyError, ValueError, TypeError), h5py.File(path, "r") as file:
        told: dict[str, Any] = json.loads(file[ABOUT][()])
        if told["layout"] == FINGERPRINT:
            return Chapter(
                f"{FOLDER}/{path.name}",
                int(told["number"]),
                int(told["seq"]),
                int(told["previous"]),
                {name: (first, end) for name, (first, end) in told["rows"].items()},
                told["columns"],
                {(group, name): rows for group, name, rows in told["late"]},
            )
    return None


def found_in(folder: Path, until_seq: int) -> Chapters:
    """The longest unbroken row of closed chapters of a run folder that can be continued, up to a record of the journal."""
    read = (read_chapter(path) for path in sorted((folder / FOLDER).glob("[0-9]*.h5")))
    known = {chapter.number: chapter for chapter in read if chapter is not None and chapter.seq <= until_seq}
    best: list[Chapter] = []
    for last in sorted(known.values(), key=lambda chapter: chapter.number):
        chain = [last]
        while chain[0].previous in known:
            chain.insert(0, known[chain[0].previous])
        if chain[0].previous == 0 and chain[-1].seq > (best[-1].seq if best else -1):
            best = chain
    return Chapters(best)


def next_number(folder: Path) -> int:
    """A number that no chapter in the folder has, whoever wrote it."""
    taken = [int(path.stem) for path in (folder / FOLDER).glob("[0-9]*.h5") if path.stem.isdigit()]
    return max(taken, default=0) + 1


def missing(file: h5py.File) -> list[str]:
    """Chapters that an open ``run.h5`` is made of and that do not lie beside it."""
    folder = Path(file.filename).parent
    return [name for name in chapter_files(file) if not (folder / name).is_file()]


def chapter_files(file: h5py.File) -> list[str]:
    """The files beside an open ``run.h5`` that it is made of; none for most."""
    return [str(name) for name in file["entry"].attrs.get("chapters", ())]
