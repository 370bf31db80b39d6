"""Checks a run folder against its journal, and makes ``run.h5`` anew from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py

from orchestrator.platform import hold_file
from orchestrator.recorder.closeout import CLOSEOUT, JOURNAL, Finding, close_out, compare
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import PUBLIC, Publisher
from orchestrator.recorder.records import JournalError, Reader
from orchestrator.recorder.rundisk import drop_ballast

LOCK = f".{PUBLIC}.lock"


class ObserverRuns(JournalError):
    """Another process keeps this run's ``run.h5`` at the moment."""


def verify(folder: Path) -> Finding:
    """Is a run as it was written? CRC chain, every stream of ``run.h5``, its digest, every raw file. Changes nothing."""
    lines: list[str] = []
    wrong: list[str] = []
    with Reader(folder / JOURNAL) as reader:
        broken = reader.check_chain()
        if reader.whole_until == 0:
            return Finding(False, (broken or f"{folder / JOURNAL}: there is no journal, or it is empty",))
        if broken is not None and not reader.readable:
            return Finding(False, (broken, f"the {reader.whole_until} records before are whole: operando recover"))
        (wrong if broken else lines).append(broken or f"journal: {reader.count} records, CRC chain whole")
        found = _check_file(folder, reader, lines, wrong)
        _check_raw(folder, reader, lines, wrong)
    return Finding(not wrong, (*wrong, *lines), found.digest, found.streams)


def _check_file(folder: Path, reader: Reader, lines: list[str], wrong: list[str]) -> Finding:
    public = folder / PUBLIC
    try:
        with h5py.File(public, "r") as file:
            seq = int(file["entry"].attrs["journal_seq"])
            written = json.loads(file["entry/control/digests"][()]) if "digests" in file["entry/control"] else {}
        found = compare(public, (event for event in reader.events() if event.seq <= seq))
    except (OSError, KeyError, ValueError) as error:
        wrong.append(f"{PUBLIC} cannot be read: {error}; `operando recover` makes it anew from the journal")
        return Finding(False, ())
    (lines if found.ok else wrong).extend(found.lines)
    if seq < reader.last_seq:
        lines.append(f"{PUBLIC} covers {seq} of {reader.last_seq} records; the rest is in the journal")
    if not written:
        lines.append(f"{PUBLIC}: no close-out yet, so no digest to compare with")
    elif written["digest"] != found.digest:
        wrong.append(f"{PUBLIC}: its digest is {found.digest[:16]}…, at close-out it was {written['digest'][:16]}…")
    else:
        lines.append(f"{PUBLIC}: digest as at close-out, {found.digest}")
    return found


def _check_raw(folder: Path, reader: Reader, lines: list[str], wrong: list[str]) -> None:
    """Every file that the journal names, each by its name where it is wrong; and those that it does not name."""
    good, named = 0, set()
    for path, sha256 in _archived(folder, reader):
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


def _archived(folder: Path, reader: Reader) -> Iterator[tuple[Path, str]]:
    for event in reader.events():
        if event.kind == "raw.archived":
            for file in event.data["files"]:
                yield folder / event.data["folder"] / file["name"], str(file["sha256"])


def recover(folder: Path) -> Finding:
    """Make ``run.h5`` anew from the journal, as far as its chain is whole; the old one is kept if that is not to the end.

    Raises ObserverRuns. Does the close-out too where the run has ended.
    """
    own = hold_file(folder / LOCK)
    if own is None:
        raise ObserverRuns(f"{folder / PUBLIC} is being written by the run's observer. Nothing was changed.")
    with own, Reader(folder / JOURNAL) as reader:
        broken = reader.check_chain()
        if reader.whole_until == 0:
            return Finding(False, (broken or f"{folder / JOURNAL}: there is no journal, or it is empty", "nothing was changed"))
        return _rebuilt(folder, reader, broken)


def _rebuilt(folder: Path, reader: Reader, broken: str | None) -> Finding:
    good = reader.whole_until
    lines = [f"journal: {good} records, CRC chain whole" if broken is None else f"journal: {broken}; rebuilt from the {good} before"]
    if broken is not None and (folder / PUBLIC).exists():
        kept = folder / f"{PUBLIC}.before-recovery"
        (folder / PUBLIC).replace(kept)
        lines.append(f"the former {PUBLIC} is kept as {kept.name}")
    (folder / CLOSEOUT).unlink(missing_ok=True)
    drop_ballast(folder)
    publisher, projection = Publisher(folder), Projection()
    while projection.seq < good and (batch := reader.since(projection.seq)):
        publisher.add(projection.feed(event for event in batch if event.seq <= good), projection.seq)
    lines.append(f"{PUBLIC} was made anew from {projection.seq} records")
    if projection.ended:
        finding = close_out(folder, publisher, projection.seq)
        return Finding(finding.ok and broken is None, (*lines, *finding.lines), finding.digest, finding.streams)
    publisher.publish()
    publisher.close()
    lines.append("the run has not ended: its process was killed, or it still goes on; this version cannot continue it")
    return Finding(broken is None, tuple(lines))
