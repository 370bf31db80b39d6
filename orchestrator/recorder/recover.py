"""Checks a run folder against its journal, and makes ``run.h5`` anew from it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import h5py

from drivers.durable import replace_durably
from orchestrator.platform import hold_file
from orchestrator.recorder.chapters import FOLDER, chapter_files, missing
from orchestrator.recorder.closeout import CLOSEOUT, JOURNAL, Finding, Stream, close_out, compare_open, journal_streams
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import PUBLIC, RING, Publisher
from orchestrator.recorder.records import OBSERVER_LOCK, ObserverRuns, Reader, Refused
from orchestrator.recorder.rundisk import drop_ballast

__all__ = ["ObserverRuns", "Refused", "archived", "owned", "recover", "verify"]

LOCK = OBSERVER_LOCK
PRUNED = "pruned.json"


def owned(folder: Path) -> IO[bytes]:
    """Keep every other process from this run's ``run.h5``, as a context. Raises ObserverRuns."""
    own = hold_file(folder / LOCK)
    if own is None:
        raise ObserverRuns(f"{folder / PUBLIC} is being written by the run's observer. Nothing was changed.")
    return own


def verify(folder: Path) -> Finding:
    """Is a run as it was written? CRC chain, every stream of ``run.h5``, its digest, every raw file. Changes nothing.

    Also while it runs, in chapters, packed; and of a pruned run by what ``prune`` kept.
    """
    lines: list[str] = []
    wrong: list[str] = []
    if not (folder / JOURNAL).exists() and (proof := _pruned(folder)):
        found = _check_file(folder, _Kept(proof), lines, wrong)
        lines.insert(0, f"journal: pruned at {proof['pruned_utc']}; compared with the counts and hashes that {PRUNED} keeps")
        _check_raw(((folder / name, sha256) for name, sha256 in proof["raw"].items()), folder, lines, wrong)
        return Finding(not wrong, (*wrong, *lines), found.digest, found.streams)
    with Reader(folder / JOURNAL) as reader:
        broken = reader.check_chain()
        if reader.whole_until == 0:
            return Finding(False, (broken or f"{folder / JOURNAL}: there is no journal, or it is empty",))
        if broken is not None and not reader.readable:
            return Finding(False, (broken, f"the {reader.whole_until} records before are whole: operando recover"))
        (wrong if broken else lines).append(broken or f"journal: {reader.count} records, CRC chain whole")
        found = _check_file(folder, _Journal(reader), lines, wrong)
        _check_raw(archived(folder, reader), folder, lines, wrong)
    return Finding(not wrong, (*wrong, *lines), found.digest, found.streams)


def _pruned(folder: Path) -> dict[str, Any] | None:
    """What ``prune`` kept; None where the journal was not pruned."""
    path = folder / PRUNED
    return json.loads(path.read_text("utf-8")) if path.exists() else None


class _Journal:
    """What ``run.h5`` is compared with: the journal, as far as the file covers it."""

    name = "the journal"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.last_seq = reader.last_seq

    def streams(self, seq: int) -> dict[str, Stream]:
        """Counted and hashed up to a record."""
        return journal_streams(event for event in self._reader.events() if event.seq <= seq)


class _Kept:
    """What ``run.h5`` is compared with when the journal was pruned."""

    name = PRUNED

    def __init__(self, proof: dict[str, Any]) -> None:
        self._proof = proof
        self.last_seq = int(proof["records"])

    def streams(self, _: int) -> dict[str, Stream]:
        """As counted and hashed before the journal went."""
        return {name: Stream(**stream) for name, stream in self._proof["streams"].items()}


def _check_file(folder: Path, against: _Journal | _Kept, lines: list[str], wrong: list[str]) -> Finding:
    public = folder / PUBLIC
    try:
        with h5py.File(public, "r") as file:  # one opening for everything: the next one may meet a newer publication
            seq = int(file["entry"].attrs["journal_seq"])
            written = json.loads(file["entry/control/digests"][()]) if "digests" in file["entry/control"] else {}
            wrong += [f"{name}: a chapter of {PUBLIC} is missing" for name in missing(file)]
            chapters = len(chapter_files(file))
            found = compare_open(file, against.streams(seq), against.name)
    except (OSError, KeyError, ValueError) as error:
        wrong.append(f"{PUBLIC} cannot be read: {error}; `operando recover` makes it anew from the journal")
        return Finding(False, ())
    (lines if found.ok else wrong).extend(found.lines)
    if chapters:
        lines.append(f"{PUBLIC} is in {chapters + 1} chapters: it needs {FOLDER}/ beside it until the close-out makes one file of them")
    elif (folder / FOLDER).exists() and not (folder / RING).exists():
        lines.append(f"{FOLDER}/ is not needed any more; `operando pack` and `operando prune` remove it")
    if seq < against.last_seq:
        lines.append(f"{PUBLIC} covers {seq} of {against.last_seq} records; the rest is in the journal")
    if not written:
        lines.append(f"{PUBLIC}: no close-out yet, so no digest to compare with")
    elif written["digest"] != found.digest:
        wrong.append(f"{PUBLIC}: its digest is {found.digest[:16]}…, at close-out it was {written['digest'][:16]}…")
    else:
        lines.append(f"{PUBLIC}: digest as at close-out, {found.digest}")
    return found


def _check_raw(files: Iterable[tuple[Path, str]], folder: Path, lines: list[str], wrong: list[str]) -> None:
    """Every file that the journal names, each by its name where it is wrong; and those that it does not name."""
    good, named = 0, set()
    for path, sha256 in files:
        named.add(path)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            wrong.append(f"{path.relative_to(folder)}: {error.strerror}")
            continue
        if found == sha256:
            good += 1
        else:
            wrong.append(f"{path.relative_to(folder)}: not the bytes that were archived (sha256 {found[:12]}…, was {sha256[:12]}…)")
    lines.append(f"raw: {good} files, SHA-256 equal")
    strange = sorted(path for path in (folder / "raw").rglob("*") if path.is_file() and path not in named)
    lines += [f"{path.relative_to(folder)}: in no record of the journal (being archived when the run ended?)" for path in strange]


def archived(folder: Path, reader: Reader) -> Iterator[tuple[Path, str]]:
    """Every raw file that the journal names, and its SHA-256."""
    for event in reader.events():
        if event.kind == "raw.archived":
            for file in event.data["files"]:
                yield folder / event.data["folder"] / file["name"], str(file["sha256"])


def recover(folder: Path) -> Finding:
    """Make ``run.h5`` anew from the journal, as far as its chain is whole; the old one is kept if that is not to the end.

    Raises ObserverRuns. Does the close-out too where the run has ended.
    """
    with owned(folder), Reader(folder / JOURNAL) as reader:
        if (proof := _pruned(folder)) and not (folder / JOURNAL).exists():
            told = f"the journal was pruned at {proof['pruned_utc']}: there is nothing to make {PUBLIC} from; nothing was changed"
            return Finding(False, (told, f"`operando verify` checks {PUBLIC} by what {PRUNED} keeps"))
        broken = reader.check_chain()
        if reader.whole_until == 0:
            return Finding(False, (broken or f"{folder / JOURNAL}: there is no journal, or it is empty", "nothing was changed"))
        return _rebuilt(folder, reader, broken)


def _rebuilt(folder: Path, reader: Reader, broken: str | None) -> Finding:
    good = reader.whole_until
    lines = [f"journal: {good} records, CRC chain whole" if broken is None else f"journal: {broken}; rebuilt from the {good} before"]
    if broken is not None and (folder / PUBLIC).exists():
        kept = folder / f"{PUBLIC}.before-recovery"
        replace_durably(folder / PUBLIC, kept)
        lines.append(f"the former {PUBLIC} is kept as {kept.name}")
    (folder / CLOSEOUT).unlink(missing_ok=True)
    drop_ballast(folder)
    publisher, projection = Publisher(folder, chapter_bytes=sys.maxsize, not_before=good), Projection()
    while projection.seq < good and (batch := reader.since(projection.seq)):
        publisher.take(projection, [event for event in batch if event.seq <= good])
        if publisher.full and projection.seq < good:
            publisher.publish()
    lines.append(f"{PUBLIC} was made anew from {projection.seq} records")
    if projection.ended:
        finding = close_out(folder, publisher, projection.seq)
        return Finding(finding.ok and broken is None, (*lines, *finding.lines), finding.digest, finding.streams)
    publisher.publish()
    publisher.close()
    lines.append("the run has not ended: its rig was killed (then `operando continue` goes on with it), or it still goes on")
    return Finding(broken is None, tuple(lines))
