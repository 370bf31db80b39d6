"""Follows one run's journal: every event into ``run.h5``, published at a cadence, compared at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from orchestrator.platform import hold_file
from orchestrator.recorder.closeout import CLOSEOUT, JOURNAL, Finding, JournalStreams, close_out, write_closeout
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import CHAPTER_BYTES, PUBLIC, CADENCE_s, Publisher, publish_empty
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import LOCK, ObserverRuns

READ_FOR_s = 1.0
LOOK_ANYWAY_s = 2.0
RETRY_s = 1.0
BATCH_EVENTS = 4000
FAILURES = (OSError, RuntimeError)
"""What h5py raises on a full disk depends on the call that meets it."""


class Observer:
    """Call ``step`` every half second until it says False; ``close`` when stopping earlier. Never touches an instrument.

    ``trouble``: why the last publication failed (disk full); it is tried again. ``keep_free_bytes``: nothing is published
    while less is free, since the journal goes first. ``broken``: HDF5 keeps a file that it could not write, and its bytes on
    the disk, until the process ends. Raises ObserverRuns if the run has one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cadence_s: float = CADENCE_s,
        monotonic: Callable[[], float] = time.monotonic,
        chapter_bytes: int = CHAPTER_BYTES,
        keep_free_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self.trouble: str | None = None
        self.broken = False
        self.finding: Finding | None = None
        self._cadence_s = cadence_s
        self._keep_free_bytes = keep_free_bytes
        self._monotonic = monotonic
        self._own: IO[bytes] | None = hold_file(folder / LOCK)
        if self._own is None:
            raise ObserverRuns(f"{folder / PUBLIC} is being kept by another process")
        self._projection = Projection()
        self._streams = JournalStreams()
        self._reader = Reader(folder / JOURNAL)
        try:
            (folder / CLOSEOUT).unlink(missing_ok=True)
            publish_empty(folder)
            self._publisher = Publisher(folder, monotonic=monotonic, chapter_bytes=chapter_bytes, resume_to=self._reader.last_seq)
        except BaseException:
            self._reader.close()
            self._own.close()
            raise
        self._seen: tuple[tuple[int, int], ...] = ()
        self._looked_s = self._due_s = -1e9

    @property
    def seq(self) -> int:
        """The last event that was taken in."""
        return self._projection.seq

    def step(self) -> bool:
        """Take in what is new, publish when it is time; False once the run has ended and the close-out is written."""
        if self.finding is not None:
            return False
        caught_up = self._take_in()
        if caught_up and self._projection.ended:
            return self._end()
        if self._publisher.pending and (self._monotonic() >= self._due_s or self._pressed):
            self._publish()
        return True

    def close(self) -> None:
        """Publish what is there (no close-out: the run may go on) and let go; also after the end."""
        if self.finding is None:
            self._take_in()
            if self._publisher.pending and not self.broken:
                self._publish()
        self._publisher.close()
        self._reader.close()
        if self._own is not None:
            self._own.close()
            self._own = None

    def _take_in(self) -> bool:
        """Read on, for a second at most or until it must be published; True when the end of the journal was reached."""
        if not self._something_new():
            return True
        until = self._monotonic() + READ_FOR_s
        while batch := self._reader.since(self.seq, BATCH_EVENTS):
            self._publisher.take(self._projection, batch)
            self._streams.take(batch)
            if self._monotonic() >= until or self._pressed:
                self._seen = ()
                return False
        return True

    @property
    def _pressed(self) -> bool:
        """What is read must go to the disk before more is read (but not in vain, where the disk takes nothing)."""
        return self._publisher.full and self.trouble is None

    def _something_new(self) -> bool:
        """Look at the files' size and age first: cheap, and nearly always the answer is no."""
        now = self._monotonic()
        files = tuple(_look(Path(f"{self.folder / JOURNAL}{suffix}")) for suffix in ("", "-wal"))
        if files == self._seen and now - self._looked_s < LOOK_ANYWAY_s:
            return False
        self._seen, self._looked_s = files, now
        return True

    def _publish(self) -> None:
        placed = False
        try:
            if (free_bytes := shutil.disk_usage(self.folder).free) < self._keep_free_bytes:
                self.trouble = f"{PUBLIC} is not published: only {free_bytes / 1e6:.0f} MB are free, and the journal goes first"
            else:
                placed = self._publisher.publish()
                self.trouble = self._publisher.refused
        except FAILURES as error:
            self.trouble, self.broken = f"{PUBLIC} could not be written: {error}", True
        self._due_s = self._monotonic() + (self._cadence_s if placed else RETRY_s)

    def _end(self) -> bool:
        try:
            self.finding = close_out(self.folder, self._publisher, self.seq, self._streams.streams())
        except FAILURES as error:
            self.finding = Finding(False, (f"the close-out failed: {error}; `operando recover` repeats it",))
            write_closeout(self.folder, self.finding)
        return False


def _look(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns
