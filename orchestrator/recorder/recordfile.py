"""The one writing connection to a journal's file: chains records, commits them, folds the write-ahead log."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from drivers.durable import sync_folder
from orchestrator.model.events import JOURNAL_VERSION
from orchestrator.platform import hold_file
from orchestrator.recorder.records import APPLICATION_ID, SCHEMA, Chained, JournalFailed, JournalInUse, NotAJournal, Row, check_identity

# One statement of many rows is one release of the GIL: a busy event loop makes the thread wait after each.
ROWS_PER_STATEMENT = (256, 32, 4, 1)


class RecordFile:
    """Belongs to one thread. What a failed ``write`` had to store is kept, and stored by the next one through a new connection.

    After a failed sync Linux may mark pages clean that never reached the disk, so the old connection is not believed.
    ``synced``: a commit is on the disk; else it is with the system, and outlives this process but no power cut.
    """

    def __init__(self, path: Path, *, synced: bool = True) -> None:
        self.path = path
        self._synced = synced
        self.durable_seq = 0
        self._crc = 0
        self._unsynced: list[Chained] = []
        self._suspect = False
        self.no_room = False
        """A simulated disk without room: every commit fails."""
        self._connection: sqlite3.Connection | None = None
        self._owned: IO[bytes] | None = None

    def open(self) -> None:
        """Make the file or go on with it; raises JournalInUse, NotAJournal, sqlite3.Error, OSError."""
        self._owned = hold_file(self.path.with_name(f".{self.path.name}.lock"))
        if self._owned is None:
            raise JournalInUse(f"another process writes to {self.path}. Nothing was changed. Wait for that one, or end it.")
        fresh = not self.path.exists()
        self._connect()
        if fresh and self._synced:
            sync_folder(self.path.parent)
            sync_folder(self.path.parent.parent)  # the run folder itself is new as well
        self.durable_seq, self._crc = self._newest()

    def write(self, rows: Sequence[Row]) -> None:
        """Store rows and everything a failed ``write`` left; when it returns they are on the disk."""
        for row in rows:
            self._crc = row.crc(self._crc)
            self._unsynced.append((*row, self._crc))
        if not self._unsynced:
            return
        try:
            if self._suspect:
                self._reconnect()
            self._commit("INSERT OR REPLACE" if self._suspect else "INSERT")
        except BaseException:
            self._suspect = True
            raise
        self._suspect = False
        self.durable_seq = self._unsynced[-1][0]
        self._unsynced = []

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log; 0 where there is none."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except OSError:
            return 0

    def checkpoint(self, mode: str = "PASSIVE") -> None:
        """Fold the write-ahead log into the file; if that fails the log stays whole, and so do the records."""
        if self._connection is not None and not self._suspect:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()

    def close(self) -> None:
        """Fold the log, let go of the file."""
        self.checkpoint("TRUNCATE")
        self._disconnect()
        if self._owned is not None:
            self._owned.close()

    def _connect(self) -> None:
        self._connection = connection = sqlite3.connect(self.path, isolation_level=None, timeout=5.0)
        complete = check_identity(connection, self.path)
        connection.execute(f"PRAGMA synchronous={'FULL' if self._synced else 'OFF'}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if complete:
            return
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise NotAJournal(f"{self.path}: this file system does not carry SQLite's write-ahead log")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={JOURNAL_VERSION}")
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _newest(self) -> tuple[int, int]:
        assert self._connection is not None
        seq, crc = self._connection.execute("SELECT seq, crc FROM record ORDER BY seq DESC LIMIT 1").fetchone() or (0, 0)
        return seq, crc

    def _reconnect(self) -> None:
        """A new connection, on the very file that was written so far: its unsynced tail may have come back, nothing else."""
        self._disconnect()
        if not self.path.exists():
            raise JournalFailed(f"{self.path} is gone")
        self._connect()
        assert self._connection is not None
        ours = {row[0]: row[-1] for row in self._unsynced}
        there = self._connection.execute("SELECT seq, crc FROM record WHERE seq >= ?", (self.durable_seq,)).fetchall()
        strange = [seq for seq, crc in there if seq > self.durable_seq and ours.get(seq) != crc]
        if strange or (self.durable_seq and (not there or there[0][0] != self.durable_seq)):
            raise JournalFailed(f"{self.path} is not the file that was written so far")

    def _commit(self, verb: str) -> None:
        if self.no_room:
            raise sqlite3.OperationalError("database or disk is full")
        assert self._connection is not None
        rows, at = self._unsynced, 0
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for size in ROWS_PER_STATEMENT:
                statement = f"{verb} INTO record VALUES " + ",".join(["(?,?,?,?,?,?,?,?,?,?)"] * size)
                while len(rows) - at >= size:
                    self._connection.execute(statement, [value for row in rows[at : at + size] for value in row])
                    at += size
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
