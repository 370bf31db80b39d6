"""The journal: what happened, in order, durable, in one SQLite file; the only truth of a run.

``put`` numbers and queues; one thread owns the one writing connection and commits at most 50 ms later, at once when
somebody awaits ``durable``. After a failed commit (disk full, I/O error) everything since the last good sync stays queued
and is written again each second through a new connection. Errors and the reader are those of ``records``.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import Any

from drivers.clock import Clock, Stamp
from orchestrator.model.events import JOURNAL_VERSION, complaints
from orchestrator.recorder.recordfile import RecordFile
from orchestrator.recorder.records import (
    JournalError,
    JournalFailed,
    JournalInUse,
    NetworkFolder,
    NotAJournal,
    Reader,
    Row,
    encode_json,
    refuse_network_folder,
    row_bytes,
)

__all__ = ["Journal", "JournalError", "JournalFailed", "JournalInUse", "NetworkFolder", "NotAJournal", "Reader"]

COMMIT_WITHIN_S = 0.05
RETRY_S = 1.0
IDLE_S = 0.2
AWAKE_S = 2.0
"""So long after the last record the thread looks for the next by itself: nobody who puts one wakes it, and has it beside him."""
WAL_IDLE_BYTES = 1 << 20
WAL_MOST_BYTES = 64 << 20

_Told = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Journal:
    """The one writer of a journal. Make it with ``create`` or ``open``, inside or outside an event loop.

    A simulated night in virtual time does not wait for the disk's platter: whom the power leaves lives it through again.
    """

    def __init__(self, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.failed: Exception | None = None
        self.last_seq = 0
        self.durable_seq = 0
        self._clock = clock
        self._file = RecordFile(path, synced=clock.virtual is None)
        self._lock = threading.Lock()
        self._committed = threading.Condition(self._lock)
        self._said: dict[str, tuple[dict[str, Any], str]] = {}
        self._queue: list[Row] = []
        self._queued_bytes = 0
        self._in_flight_bytes = 0
        self._last_failure: Exception | None = None
        self._waiters: list[tuple[int, _Told]] = []
        self._watchers: list[_Told] = []
        self._asleep = self._folded = False
        self._wrote_s = time.monotonic()
        self._work = threading.Event()
        self._urgent = threading.Event()
        self._ready = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._live, name="journal", daemon=True)

    @classmethod
    def create(cls, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> Journal:
        """A new journal; raises FileExistsError, NetworkFolder, JournalInUse, OSError."""
        if path.exists():
            raise FileExistsError(f"{path} is there already; a journal is never started twice")
        return cls._started(path, clock, limit_bytes)

    @classmethod
    def open(cls, path: Path, clock: Clock, *, limit_bytes: int = 64 << 20) -> Journal:
        """Go on with a journal, its numbers and its CRC chain; raises FileNotFoundError, NotAJournal, NetworkFolder, JournalInUse."""
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
        clock.add_gate(journal._has_room)
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
        text = encode_json(data) if blob is None else self._text_of_block(kind, data)
        with self._lock:
            if self._closing:
                raise ValueError(f"{kind} after the journal was closed")
            row = Row(self.last_seq + 1, stamp.mono_ns, stamp.utc_ns, kind, JOURNAL_VERSION, source, cause, text, blob)
            self.last_seq = row.seq
            self._queue.append(row)
            self._queued_bytes += row_bytes(row)
            asleep = self._asleep
        if asleep:
            self._work.set()
        return row.seq

    def stamp(self) -> Stamp:
        """This instant, as an event that is put now gets it."""
        return self._clock.stamp()

    def _text_of_block(self, kind: str, data: dict[str, Any]) -> str:
        """As JSON; the blocks of one step say the same of themselves, thousands of times."""
        known, text = self._said.get(kind, ({}, ""))
        if data != known or not text:
            text = encode_json(data)
            self._said[kind] = (dict(data), text)
        return text

    async def durable(self, seq: int) -> None:
        """Return when a synced commit covers ``seq``; forces one at once. Raises JournalFailed."""
        if self._clock.virtual is not None:
            self._block_until_durable(seq)
            return
        with self._lock:
            if self.durable_seq >= seq:
                return
            if seq > self.last_seq:
                raise ValueError(f"record {seq} has not been put; the last is {self.last_seq}")
            if self.failed is not None:
                raise JournalFailed(str(self.failed)) from self.failed
            told = _told()
            self._waiters.append((seq, told))
        self._wake_writer()
        with self._clock.hold():
            await told[1]

    def _block_until_durable(self, seq: int) -> None:
        """Virtual time: the whole loop waits, so that what happens at one instant has one order, however fast the disk is."""
        self._wake_writer()
        with self._committed:
            self._committed.wait_for(lambda: self.durable_seq >= seq or self.failed is not None)
        if self.durable_seq < seq:
            raise JournalFailed(str(self.failed)) from self.failed

    def _has_room(self) -> bool:
        return self._queued_bytes * 2 < self.limit_bytes

    @property
    def half_full(self) -> bool:
        """No new acquisition starts: half of ``limit_bytes`` waits for the disk."""
        return not self._has_room()

    @property
    def full(self) -> bool:
        """The run goes to its safe state. ``put`` still takes what comes: nothing is dropped."""
        return self._queued_bytes >= self.limit_bytes

    async def wait_failed(self) -> Exception:
        """Return the error of the next commit that fails, or of the last one if nothing has been written since."""
        with self._lock:
            if self.failed is not None:
                return self.failed
            told = _told()
            self._watchers.append(told)
        await told[1]
        assert self._last_failure is not None
        return self._last_failure

    async def close(self) -> None:
        """Commit everything, fold the log into the file, end the thread. Raises JournalFailed if something is not on the disk."""
        with self._lock:
            self._closing = True
            ended = _told()
        self._wake_writer()
        # A thread of its own, not the loop's pool: it must also work on the virtual loop.
        threading.Thread(target=self._tell_when_ended, args=(ended,), name="journal end", daemon=True).start()
        with self._clock.hold():
            await ended[1]
        if self.durable_seq < self.last_seq:
            raise JournalFailed(f"records {self.durable_seq + 1} to {self.last_seq} are not on the disk: {self._last_failure}")

    def fill_disk(self, full: bool) -> None:  # noqa: FBT001
        """Simulations: the disk has no room from now on, or has some again (then returns when what waited is written)."""
        self._file.no_room = full
        if not full:
            with self._committed:
                self._committed.wait_for(lambda: self.failed is None)

    def _wake_writer(self) -> None:
        self._urgent.set()
        self._work.set()

    def _tell_when_ended(self, ended: _Told) -> None:
        self._thread.join()
        _tell(ended)

    # ------------------------------------------------------------------------------------------------ the side of the thread

    def _live(self) -> None:
        try:
            self._file.open()
            self.last_seq = self.durable_seq = self._file.durable_seq
        except Exception as error:  # noqa: BLE001 whoever started the thread raises it
            self.failed = error
            self._file.close()
            return
        finally:
            self._ready.set()
        while self._has_work():
            self._urgent.wait(COMMIT_WITHIN_S)
            self._urgent.clear()
            if (rows := self._taken()) or self.failed is not None:
                self._write(rows)
                self._wrote_s, self._folded = time.monotonic(), False
        self._file.close()

    def _has_work(self) -> bool:
        """True at once, or (where long nothing came) when there is work; False when there is none and will be none."""
        if self.failed is not None:
            was_closing = self._closing
            self._pause()
            return not was_closing
        quiet_s = time.monotonic() - self._wrote_s
        if quiet_s > IDLE_S and not self._folded and self._file.wal_bytes >= WAL_IDLE_BYTES:
            self._folded = True
            self._file.checkpoint()
        if quiet_s > AWAKE_S:
            self._sleep()
        with self._lock:
            return bool(self._queue) or not self._closing

    def _sleep(self) -> None:
        """Until somebody puts a record, waits for one, or closes."""
        with self._lock:
            self._work.clear()
            self._asleep = not self._queue and not self._closing
        if self._asleep:
            self._work.wait()
            self._asleep = False

    def _write(self, rows: list[Row]) -> None:
        try:
            self._file.write(rows)
        except Exception as error:  # noqa: BLE001 a writer that dies silently would be worse than any error
            self._announce_failure(JournalFailed(f"{self.path.name}: {error}"))
            return
        self._announce_durable()
        if self._file.wal_bytes >= WAL_MOST_BYTES:
            self._file.checkpoint()

    def _taken(self) -> list[Row]:
        with self._lock:
            rows, self._queue = self._queue, []
            self._in_flight_bytes += sum(map(row_bytes, rows))
        return rows

    def _announce_failure(self, error: JournalFailed) -> None:
        with self._lock:
            self.failed = self._last_failure = error
            waiters, self._waiters = self._waiters, []
            watchers, self._watchers = self._watchers, []
            self._committed.notify_all()
        for _, told in waiters:
            _tell(told, JournalFailed(str(error)))
        for told in watchers:
            _tell(told)

    def _announce_durable(self) -> None:
        with self._lock:
            self.failed = None
            self.durable_seq = self._file.durable_seq
            self._queued_bytes -= self._in_flight_bytes
            self._in_flight_bytes = 0
            self._committed.notify_all()
            covered = [told for seq, told in self._waiters if seq <= self.durable_seq]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self.durable_seq]
        for told in covered:
            _tell(told)

    def _pause(self) -> None:
        """Until the next try after a failure; shorter when the journal is closed meanwhile."""
        until = time.monotonic() + RETRY_S
        while not self._closing and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, COMMIT_WITHIN_S))


def _told() -> _Told:
    loop = asyncio.get_running_loop()
    return loop, loop.create_future()


def _tell(told: _Told, error: Exception | None = None) -> None:
    """Resolve a future from another thread."""
    loop, future = told

    def resolve() -> None:
        if not future.done():
            future.set_result(None) if error is None else future.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(resolve)
