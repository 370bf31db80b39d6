"""The records of a journal: their table, their CRC chain, their JSON, and the reader that never writes.

JournalError
├── NetworkFolder     the journal would lie on a network file system, where SQLite's locks and syncs cannot be trusted
├── JournalInUse      another process writes to it
├── NotAJournal       the file is something else, or was written by a newer program
├── DamagedJournal    its file cannot be read on from here; `operando recover` takes what stands before
├── JournalFailed     a commit failed; nothing is lost, everything since the last good sync is kept and tried again
├── ObserverRuns      another process keeps the run's run.h5 at the moment
└── Refused           what was asked for could lose something; nothing was changed

Numbers that are not finite are stored as null, everywhere: JSON has no NaN, and "not known" is what null means.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, NoReturn, Self

from orchestrator.model.events import JOURNAL_VERSION, Event
from orchestrator.platform import network_file_system

OBSERVER_LOCK = ".run.h5.lock"
"""Held by whoever writes ``run.h5``, in the run's folder."""
APPLICATION_ID = 0x6F704E4D  # "opNM"
ROW_OVERHEAD_BYTES = 200
READ_FOR_S = 0.05
READ_BYTES = 4 << 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY, mono_ns INTEGER NOT NULL, utc_ns INTEGER NOT NULL, kind TEXT NOT NULL, v INTEGER NOT NULL,
    source TEXT NOT NULL, cause INTEGER, data TEXT NOT NULL, blob BLOB, crc INTEGER NOT NULL)
"""


class JournalError(Exception):
    """The journal cannot do what it is for."""


class NetworkFolder(JournalError):
    """The journal would lie on a network file system."""


class JournalInUse(JournalError):
    """Another process writes to the journal."""


class NotAJournal(JournalError):
    """The file is something else, or was written by a newer program."""


class DamagedJournal(JournalError):
    """The file cannot be read on from here."""


class JournalFailed(JournalError):
    """A commit failed; what was not yet durable is kept and tried again."""


class ObserverRuns(JournalError):
    """Another process keeps this run's ``run.h5`` at the moment."""


class Refused(JournalError):
    """What was asked for could lose something; nothing was changed."""


class Row(NamedTuple):
    """One record as it is stored; ``crc`` chains it to the one before."""

    seq: int
    mono_ns: int
    utc_ns: int
    kind: str
    v: int
    source: str
    cause: int | None
    data: str
    blob: bytes | None

    def crc(self, previous: int) -> int:
        """CRC-32 over the previous record's and all fields of this one."""
        head = (
            f"{self.seq}\x1f{self.mono_ns}\x1f{self.utc_ns}\x1f{self.kind}\x1f{self.v}\x1f{self.source}\x1f{self.cause}\x1f{self.data}\x1f"
        )
        size = -1 if self.blob is None else len(self.blob)
        return zlib.crc32(self.blob or b"", zlib.crc32(f"{head}{size}\x1f".encode(), previous))


COLUMN_TYPES: tuple[type | tuple[type, ...], ...] = (int, int, int, str, int, str, (int, NoneType), str, (bytes, NoneType), int)
DAMAGE = (sqlite3.DatabaseError, ValueError, UnicodeDecodeError, OverflowError)
WAITS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_INTERRUPT", "SQLITE_READONLY")
Chained = tuple[int, int, int, str, int, str, int | None, str, bytes | None, int]


def row_bytes(row: Row | Chained) -> int:
    """Bytes that a record holds in memory, about."""
    return ROW_OVERHEAD_BYTES + len(row[7]) + len(row[8] or b"")


def refuse_network_folder(path: Path) -> None:
    """Raise NetworkFolder where ``path`` would lie on a network file system."""
    kind = network_file_system(path)
    if kind is not None:
        raise NetworkFolder(
            f"{path.parent} is on a network file system ({kind}): SQLite's locks and syncs cannot be trusted there, so a night "
            "could be lost without a word. Nothing was started. Choose a folder on a local disk; mirror_to copies run.h5 to the share."
        )


def check_identity(connection: sqlite3.Connection, path: Path) -> bool:
    """True when the file is a journal, False when it is still empty; raises NotAJournal."""
    try:
        # The table first: it comes with its identity in one commit, which may happen between the two questions.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    except DAMAGE as error:  # what SQLite says of a damaged schema may be no text either
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise NotAJournal(f"{path} is not a journal: {error}") from error
    if tables and application != APPLICATION_ID:
        raise NotAJournal(f"{path} is an SQLite file, but not a journal")
    if version > JOURNAL_VERSION:
        raise NotAJournal(f"{path} was written by a newer program (journal version {version}; this one reads up to {JOURNAL_VERSION})")
    return bool(tables)


def encode_json(data: dict[str, Any]) -> str:
    """Compact JSON; numbers that are not finite become null, numpy scalars plain numbers; ValueError for anything else."""
    try:
        return _STRICT.encode(data)
    except TypeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except ValueError:
        return _STRICT.encode(_without_nan(data))


def _scalar(value: Any) -> Any:
    """What JSON does not know but means a plain value: numpy scalars."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", 1) != 0:
        raise TypeError(f"{type(value).__name__} is not plain data")
    plain = item()
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return value


def _waits(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorname", "").startswith(WAITS)


def _checked(row: Chained) -> Chained:
    """A row of the table's types: damage can make anything of a column. Raises ValueError."""
    if len(row) != len(COLUMN_TYPES) or not all(map(isinstance, row, COLUMN_TYPES)):
        raise ValueError(f"record {row[0]} has columns of other types")
    return row


_STRICT = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"), default=_scalar)


class Reader:
    """Reads a journal that may not exist yet, whose writer may live or be dead; never writes.

    One short transaction a call. ``whole_until``: the last record that ``check_chain`` found good. Use it from one thread at a
    time; ``close`` it or use it as a context.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole_until = 0
        self._parsed: dict[str, tuple[str, dict[str, Any]]] = {}
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def since(self, seq: int, limit: int = 5000) -> list[Event]:
        """Events after ``seq`` in order: at most ``limit``, fewer where they are big or the disk is slow, none only at the end.

        Raises NotAJournal, and DamagedJournal where the very next one cannot be read.
        """
        found: list[Event] = []
        for row in self._rows(seq, limit):
            try:
                found.append(self._event(row))
            except (ValueError, TypeError, RecursionError) as error:
                if found:
                    break
                raise DamagedJournal(f"{self.path}: the record after {seq} is not what was written: {error}") from error
        return found

    def events(self, seq: int = 0) -> Iterator[Event]:
        """Every event after ``seq`` that is there now, in one short transaction after the other."""
        while batch := self.since(seq):
            yield from batch
            seq = batch[-1].seq

    @property
    def count(self) -> int:
        """How many records there are."""
        rows = self._query("SELECT count(*) FROM record")
        return int(rows[0][0]) if rows else 0

    @property
    def last_seq(self) -> int:
        """The number of the newest record; 0 in an empty journal."""
        rows = self._query("SELECT max(seq) FROM record")
        return int(rows[0][0] or 0) if rows else 0

    @property
    def kinds(self) -> dict[str, int]:
        """How many records there are of each kind, by name."""
        return dict(self._query("SELECT kind, count(*) FROM record GROUP BY kind ORDER BY kind"))

    @property
    def readable(self) -> bool:
        """False where the file is damaged so that not even every record's place is known."""
        try:
            return all(True for _ in self.events())
        except DamagedJournal:
            return False

    def check_chain(self) -> str | None:
        """What is wrong with the numbering or the CRC chain, in a sentence; None when every record is as it was written."""
        self.whole_until = crc = 0
        try:
            while rows := self._rows(self.whole_until, 5000):
                for chained in rows:
                    row, stored = Row(*chained[:-1]), chained[-1]
                    if row.seq != self.whole_until + 1:
                        return f"record {self.whole_until + 1} is missing (the next is {row.seq})"
                    crc = row.crc(crc)
                    if crc != stored:
                        return f"record {row.seq} ({row.kind}) is not what was written"
                    self.whole_until = row.seq
        except DamagedJournal as damage:
            return str(damage)
        return None

    def _event(self, row: Chained) -> Event:
        seq, mono_ns, utc_ns, kind, v, source, cause, text, blob, _ = row
        known, data = self._parsed.get(kind, ("", {}))
        if text != known:  # the blocks of one step say the same of themselves, thousands of times
            data = json.loads(text)
            self._parsed[kind] = (text, data)
        return Event(seq, mono_ns, utc_ns, kind, dict(data), blob, source, cause, v)

    def _rows(self, seq: int, limit: int) -> list[Chained]:
        connection = self._connected()
        if connection is None:
            return []
        until, size = time.monotonic() + READ_FOR_S, 0
        rows: list[Chained] = []
        try:
            cursor = connection.execute("SELECT * FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
            for row in cursor:
                rows.append(_checked(row))
                size += row_bytes(row)
                if size > READ_BYTES or (len(rows) % 64 == 0 and time.monotonic() > until):
                    break
            cursor.close()
        except DAMAGE as error:
            if not rows or _waits(error):
                self._raise(error, f"after record {seq}")
        return rows

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        connection = self._connected()
        try:
            return [] if connection is None else connection.execute(statement).fetchall()
        except DAMAGE as error:
            self._raise(error, "its index")

    def _raise(self, error: Exception, where: str) -> NoReturn:
        """What only waits (a lock, a disk) as it is; what is damaged as DamagedJournal."""
        if _waits(error):
            raise error
        raise DamagedJournal(f"{self.path}: {where} the file is damaged: {error}") from error

    def _connected(self) -> sqlite3.Connection | None:
        """The connection, once the file is there and has its table."""
        if self._connection is None:
            if not self.path.is_file():
                return None
            connection = sqlite3.connect(_read_only_uri(self.path), uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)
            try:
                complete = check_identity(connection, self.path)
            except BaseException:
                connection.close()
                raise
            if not complete:
                connection.close()
                return None
            self._connection = connection
        return self._connection


def _read_only_uri(path: Path) -> str:
    """``mode=ro``; ``immutable`` too for a closed journal on read-only media, where SQLite cannot make its index file."""
    frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if frozen else "")
