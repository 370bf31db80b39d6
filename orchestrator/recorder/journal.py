"""The journal: what happened, in order, durable, in one SQLite file; the only truth of a run.

``put`` numbers and queues; one thread owns the one writing connection and commits at most 50 ms later, at once when
somebody awaits ``durable``. After a failed commit (disk full, I/O error) the batch stays queued and is written again
each second through a new connection: Linux may mark pages clean after a failed sync, so the old one is not believed.
Errors and the reader are those of ``records``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drivers.clock import Clock, Stamp
from orchestrator.model.events import JOURNAL_VERSION, complaints
from orchestrator.platform import sync_folder
from orchestrator.recorder.records import (
    APPLICATION_ID,
    SCHEMA,
    Chained,
    JournalError,
    JournalFailed,
    NetworkFolder,
    NotAJournal,
    Reader,
    Row,
    check_identity,
    encode_json,
    refuse_network_folder,
    row_bytes,
)

__all__ = ["Journal", "JournalError", "JournalFailed", "NetworkFolder", "NotAJournal", "Reader"]

COMMIT_WITHIN_S = 0.05
RETRY_S = 1.0
IDLE_S = 0.2
WAL_IDLE_BYTES = 1 << 20
WAL_MOST_BYTES = 64 << 20
# One statement of many rows is one release of the GIL: a busy event loop makes each of them wait.
ROWS_PER_STATEMENT = (256, 32, 4, 1)


class Journal:
    """The one writer of a journal. Make it with ``create`` or ``open``, inside or outside an event loop."""

    def __init__(self, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.failed: Exception | None = None
        self.last_seq = 0
        self.durable_seq = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: list[Row] = []
        self._queued_bytes = 0
        self._waiters: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._work = threading.Event()
        self._urgent = threading.Event()
        self._ready = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)

    @classmethod
    def create(cls, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> Journal:
        """A new journal; raises FileExistsError, NetworkFolder, OSError."""
        if path.exists():
            raise FileExistsError(f"{path} is there already; a journal is never started twice")
        return cls._started(path, clock, limit_bytes)

    @classmethod
    def open(cls, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> Journal:
        """An existing journal, to go on with its numbers and its CRC chain; raises FileNotFoundError, NotAJournal, NetworkFolder."""
        if not path.is_file():
            raise FileNotFoundError(f"no journal at {path}")
        return cls._started(path, clock, limit_bytes)

    @classmethod
    def _started(cls, path: Path, clock: Clock, limit_bytes: int) -> Journal:
        refuse_network_folder(path)
        journal = cls(path, clock, limit_bytes=limit_bytes)
        journal._thread.start()
        journal._ready.wait()
        if journal.failed is not None:
            raise journal.failed
        clock.add_gate(lambda: not journal.half_full)
        return journal

    # ------------------------------------------------------------------------------------------- the side of the event loop

    def put(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        blob: bytes | None = None,
        source: str = "rig",
        cause: int | None = None,
        at: Stamp | None = None,
    ) -> int:
        """Number an event and queue it; never waits. Raises ValueError for an event of the wrong shape: our bug.

        ``at``: when it happened, now by default. Returns its ``seq``.
        """
        if wrong := complaints(kind, data):
            raise ValueError("; ".join(wrong))
        stamp = at or self._clock.stamp()
        text = encode_json(data)
        with self._lock:
            if self._closing:
                raise ValueError(f"{kind} after the journal was closed")
            row = Row(self.last_seq + 1, stamp.mono_ns, stamp.utc_ns, kind, JOURNAL_VERSION, source, cause, text, blob)
            self.last_seq = row.seq
            self._queue.append(row)
            self._queued_bytes += row_bytes(row)
        if not self._work.is_set():
            self._work.set()
        return row.seq

    async def durable(self, seq: int) -> None:
        """Return when a synced commit covers ``seq``; forces one at once. Raises JournalFailed."""
        if seq > self.last_seq:
            raise ValueError(f"record {seq} has not been put; the last is {self.last_seq}")
        loop = asyncio.get_running_loop()
        with self._lock:
            if self.durable_seq >= seq:
                return
            if self.failed is not None:
                raise JournalFailed(str(self.failed)) from self.failed
            done: asyncio.Future[None] = loop.create_future()
            self._waiters.append((seq, loop, done))
        self._urgent.set()
        self._work.set()
        with self._clock.hold():
            await done

    @property
    def half_full(self) -> bool:
        """No new acquisition starts: half of ``limit_bytes`` waits for the disk."""
        return self._queued_bytes * 2 >= self.limit_bytes

    @property
    def full(self) -> bool:
        """The run goes to its safe state. ``put`` still takes what comes: nothing is dropped."""
        return self._queued_bytes >= self.limit_bytes

    async def wait_failed(self) -> Exception:
        """Return the error of the first commit that fails (at once when one has)."""
        loop = asyncio.get_running_loop()
        while self.failed is None:
            with self._lock:
                told: asyncio.Future[None] = loop.create_future()
                self._watchers.append((loop, told))
                if self.failed is not None:
                    break
            await told
        return self.failed

    async def close(self) -> None:
        """Commit everything, fold the WAL into the file, end the thread. Raises JournalFailed if the last commit failed."""
        with self._lock:
            self._closing = True
        self._urgent.set()
        self._work.set()
        with self._clock.hold():
            # A thread of its own, not the loop's pool: virtual loops have none.
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._tell_when_ended, args=(asyncio.get_running_loop(), ended), daemon=True).start()
            await ended
        if self.durable_seq < self.last_seq:
            raise JournalFailed(f"records {self.durable_seq + 1} to {self.last_seq} are not on the disk: {self.failed}")

    def _tell_when_ended(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        self._thread.join()
        _resolve(loop, ended)

    # ------------------------------------------------------------------------------------------------ the side of the thread

    def _write_until_closed(self) -> None:
        try:
            connection, crc = self._connect()
        except Exception as error:  # noqa: BLE001 whoever started the thread gets it
            self.failed = error
            return
        finally:
            self._ready.set()
        unsynced: list[Chained] = []
        while True:
            if not unsynced and self._nothing_to_do(connection):
                break
            self._urgent.wait(COMMIT_WITHIN_S)
            self._urgent.clear()
            fresh, crc = self._chain(self._taken(), crc)
            unsynced += fresh
            try:
                if self.failed is not None:
                    connection = self._reconnect(connection, unsynced)
                _commit(connection, unsynced, "INSERT" if self.failed is None else "INSERT OR REPLACE")
            except Exception as error:  # noqa: BLE001 a writer that dies silently would be worse than any error
                self._announce_failure(error)
                if self._closing:
                    break
                self._pause_before_retry()
            else:
                self._announce_durable(unsynced)
                unsynced = []
                if self._wal_bytes() >= WAL_MOST_BYTES:
                    _checkpoint(connection, "PASSIVE")
        with contextlib.suppress(sqlite3.Error):
            _checkpoint(connection, "TRUNCATE")
            connection.close()

    def _nothing_to_do(self, connection: sqlite3.Connection) -> bool:
        """Wait for work; True when there is none and there will be none. Checkpoints while it waits."""
        while not self._work.wait(IDLE_S):
            if self._wal_bytes() >= WAL_IDLE_BYTES:
                _checkpoint(connection, "PASSIVE")
            self._work.wait()
        self._work.clear()
        with self._lock:
            return self._closing and not self._queue

    def _taken(self) -> list[Row]:
        with self._lock:
            rows, self._queue = self._queue, []
        return rows

    @staticmethod
    def _chain(rows: Iterable[Row], crc: int) -> tuple[list[Chained], int]:
        chained: list[Chained] = []
        for row in rows:
            crc = row.crc(crc)
            chained.append((*row, crc))
        return chained, crc

    def _connect(self) -> tuple[sqlite3.Connection, int]:
        fresh = not self.path.exists()
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=5.0)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        check_identity(connection, self.path)
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise NotAJournal(f"{self.path}: this file system does not carry SQLite's write-ahead log")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={JOURNAL_VERSION}")
        connection.execute("COMMIT")
        if fresh:
            sync_folder(self.path.parent)
        last = connection.execute("SELECT seq, crc FROM record ORDER BY seq DESC LIMIT 1").fetchone() or (0, 0)
        if self.last_seq == 0:
            self.last_seq = self.durable_seq = last[0]
        return connection, last[1]

    def _reconnect(self, old: sqlite3.Connection, unsynced: list[Chained]) -> sqlite3.Connection:
        with contextlib.suppress(sqlite3.Error):
            old.close()
        connection, _ = self._connect()
        stored = dict(connection.execute("SELECT seq, crc FROM record WHERE seq > ?", (self.durable_seq,)).fetchall())
        ours = {row[0]: row[-1] for row in unsynced}
        if connection.execute("SELECT count(*) FROM record WHERE seq = ?", (self.durable_seq,)).fetchone()[0] != min(1, self.durable_seq):
            raise JournalFailed(f"{self.path} is not the file that was written so far")
        if any(ours.get(seq) != crc for seq, crc in stored.items()):
            raise JournalFailed(f"another process writes to {self.path}; this one has stopped")
        return connection

    def _announce_failure(self, error: Exception) -> None:
        with self._lock:
            self.failed = error if isinstance(error, JournalFailed) else JournalFailed(f"{self.path.name}: {error}")
            waiters, self._waiters = self._waiters, []
            watchers, self._watchers = self._watchers, []
        for _, loop, future in waiters:
            _refuse(loop, future, JournalFailed(str(self.failed)))
        for loop, future in watchers:
            _resolve(loop, future)

    def _announce_durable(self, rows: list[Chained]) -> None:
        with self._lock:
            self.failed = None
            if rows:
                self.durable_seq = rows[-1][0]
            self._queued_bytes -= sum(row_bytes(row) for row in rows)
            covered = [waiter for waiter in self._waiters if waiter[0] <= self.durable_seq]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self.durable_seq]
            if self._waiters:
                self._urgent.set()
                self._work.set()
        for _, loop, future in covered:
            _resolve(loop, future)

    def _pause_before_retry(self) -> None:
        until = time.monotonic() + RETRY_S
        while not self._closing and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, COMMIT_WITHIN_S))

    def _wal_bytes(self) -> int:
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except OSError:
            return 0


def _commit(connection: sqlite3.Connection, rows: list[Chained], verb: str) -> None:
    if not rows:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = 0
        for size in ROWS_PER_STATEMENT:
            statement = f"{verb} INTO record VALUES " + ",".join(["(?,?,?,?,?,?,?,?,?,?)"] * size)
            while len(rows) - at >= size:
                connection.execute(statement, [value for row in rows[at : at + size] for value in row])
                at += size
        connection.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _checkpoint(connection: sqlite3.Connection, mode: str) -> None:
    connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()


def _resolve(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(None))


def _refuse(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None], error: Exception) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(lambda: None if future.done() else future.set_exception(error))
