"""Drops the journal of a run that is proven to stand in ``run.h5``; keeps what ``verify`` needs to prove it again."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.durable import sync_folder, write_durably
from orchestrator.platform import hold_file
from orchestrator.recorder.closeout import JOURNAL, Finding, read_closeout
from orchestrator.recorder.publisher import PUBLIC, public_seq, remove_chapters
from orchestrator.recorder.records import JournalInUse, Reader
from orchestrator.recorder.recover import PRUNED, Refused, archived, owned, verify
from orchestrator.recorder.runtime import iso_utc


@dataclass(frozen=True, slots=True)
class Pruned:
    """What stays of a journal: when it went, how much it held, counts and hashes of its streams, hashes of the raw files."""

    pruned_utc: str
    records: int
    journal_bytes: int
    digest: str
    streams: dict[str, dict[str, Any]]
    raw: dict[str, str]


def prune(folder: Path) -> Finding:
    """Remove the journal, and say what was freed; whatever dies between leaves the journal or the proof.

    Raises ObserverRuns, JournalInUse, Refused: the run has not ended, its close-out did not pass, or something does not hold.
    """
    with owned(folder):
        if not (folder / JOURNAL).exists():
            _remove_journal(folder)
            return Finding((folder / PRUNED).exists(), ("there is no journal any more; nothing was changed",))
        writer = hold_file(folder / f".{JOURNAL}.lock")
        if writer is None:
            raise JournalInUse(f"{folder / JOURNAL} is being written. Nothing was changed.")
        with writer:
            return _pruned(folder)


def _pruned(folder: Path) -> Finding:
    written = read_closeout(folder)
    with Reader(folder / JOURNAL) as reader:
        records, last = reader.count, reader.last_seq
        ended = "run.ended" in reader.kinds
        raw = {str(path.relative_to(folder).as_posix()): sha256 for path, sha256 in archived(folder, reader)}
    if not ended or written is None or not written.ok:
        raise Refused(f"{folder}: the run is not complete (no close-out that passed), so the journal stays. Nothing was changed.")
    found = verify(folder)
    if not found.ok or found.digest != written.digest:
        raise Refused(f"{folder}: something does not hold, so the journal stays:\n" + "\n".join(found.lines[:5]))
    if public_seq(folder / PUBLIC) < last:
        raise Refused(f"{folder}: {PUBLIC} does not cover the whole journal, so the journal stays; `operando recover` makes it anew.")
    size = sum(path.stat().st_size for path in _journal_files(folder))
    streams = {name: asdict(stream) for name, stream in found.streams.items()}
    proof = Pruned(iso_utc(time.time_ns()), records, size, found.digest, streams, raw)
    write_durably(folder / PRUNED, json.dumps(asdict(proof), indent=1))
    _remove_journal(folder)
    freed = f"the journal is gone: {records} records, {size / 1e6:.1f} MB freed"
    return Finding(True, (freed, f"{PRUNED} keeps counts and hashes for `operando verify`"), found.digest, found.streams)


def _remove_journal(folder: Path) -> None:
    """The file first: without it a log that is left is nothing, without its log the file would be too short."""
    for path in _journal_files(folder):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    sync_folder(folder)
    remove_chapters(folder)


def _journal_files(folder: Path) -> list[Path]:
    return [path for suffix in ("", "-wal", "-shm") if (path := folder / f"{JOURNAL}{suffix}").exists()]
