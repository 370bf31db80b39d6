"""Publishes ``run.h5``: always a closed, synced, consistent file, whoever dies and whenever.

A ring of inodes lies hidden beside it, each a whole copy under its own name. A publication takes one that has not been
public for ``REST_s``, appends what it lacks, closes and syncs it, and puts it in the public place by a hard link and a
rename. So the cost does not grow with the file, and a copy that somebody makes of ``run.h5`` is not written under his
hands. An inode that a reader holds open is given up to him; a fresh copy of the newest takes its place. So is one that
lacks so much that keeping it for him would take memory (a night in fast motion, large arrays of FIDs).

Chapters (above about 256 MB) would begin here: ``_writable`` is the one place that chooses what is written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from orchestrator.platform import sync_file, sync_folder
from orchestrator.recorder.appends import Append, size_bytes
from orchestrator.recorder.h5file import Appender, create_file, stamp
from orchestrator.recorder.layout import LIBVER
from orchestrator.recorder.runtime import iso_utc

CADENCE_s = 5.0
REST_s = 30.0
KEPT_BYTES = 4 << 20
KEPT_OF_FILE = 1 / 8
"""An inode may lack so much, or that part of the file: so all copies together stay in proportion to what is written."""
PUBLIC = "run.h5"
RING = ".run.h5.ring"


@dataclass(slots=True)
class Inode:
    """One copy in the ring: what of the log it holds, and when it stopped being public (None: never was, or still is)."""

    path: Path
    applied: int
    withdrawn_s: float | None = None


class Publisher:
    """Owns ``run.h5`` of one run folder. One at a time, one thread. ``monotonic`` and ``utc_ns`` are the computer's own clocks.

    ``refused``: why the last publication could not be put in place (Windows: a reader has the public file open); it is
    tried again with the next ``publish``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.public = folder / PUBLIC
        self.refused: str | None = None
        self._ring = folder / RING
        self._monotonic = monotonic
        self._utc_ns = utc_ns
        self._log: list[Append] = []
        self._log_start = 0
        self._pending_bytes = 0
        self._most_bytes = KEPT_BYTES
        self._inodes: list[Inode] = []
        self._current: Inode | None = None
        self._made = 0
        self._seq = 0
        shutil.rmtree(self._ring, ignore_errors=True)
        self._ring.mkdir(parents=True)

    @property
    def pending(self) -> int:
        """How many appends the public file lacks."""
        return self._log_end - (self._current.applied if self._current else 0)

    @property
    def full(self) -> bool:
        """So much is pending that it should be published now, whatever the cadence."""
        return self._pending_bytes > self._most_bytes

    @property
    def _log_end(self) -> int:
        return self._log_start + len(self._log)

    def add(self, appends: Sequence[Append], seq: int) -> None:
        """Take what the next publication shall hold; ``seq``: the journal's number that it then covers."""
        self._log += appends
        self._pending_bytes += size_bytes(appends)
        self._seq = seq

    def publish(self) -> bool:
        """Put everything added so far into the public place; False where the system refused (Windows), see ``refused``.

        Raises OSError when the disk is full; the public file stays as it was, and nothing is lost.
        """
        inode, file = self._writable()
        try:
            with file:
                Appender(file).apply(self._log[inode.applied - self._log_start :])
                stamp(file, iso_utc(self._utc_ns()), self._seq)
            inode.applied = self._log_end
            sync_file(inode.path)
        except BaseException:
            self._discard(inode)
            raise
        if not self._put_in_place(inode):
            return False
        if self._current is not None:
            self._current.withdrawn_s = self._monotonic()
        inode.withdrawn_s = None
        self._current = inode
        self._pending_bytes = 0
        self._most_bytes = max(KEPT_BYTES, round(KEPT_OF_FILE * inode.path.stat().st_size))
        self._forget()
        return True

    def close(self) -> None:
        """Remove the ring; ``run.h5`` stays, alone."""
        shutil.rmtree(self._ring, ignore_errors=True)
        self._inodes = []
        sync_folder(self.public.parent)

    # -------------------------------------------------------------------------------------------------------- the ring

    def _writable(self) -> tuple[Inode, h5py.File]:
        """An inode that has rested long enough and that nobody holds, open; else a fresh copy of the newest."""
        now = self._monotonic()
        for inode in list(self._inodes):
            rested = inode.withdrawn_s is None or now - inode.withdrawn_s >= REST_s
            if inode is not self._current and rested:
                try:
                    return inode, _open(inode.path)
                except OSError:  # a reader's shared lock refuses a writer (errno 11); so does a torn file
                    self._discard(inode)
        fresh = self._fresh()
        return fresh, _open(fresh.path)

    def _fresh(self) -> Inode:
        self._made += 1
        path = self._ring / f"{self._made:06d}.h5"
        if self._current is None:
            create_file(path)
            inode = Inode(path, 0)
        else:
            shutil.copyfile(self._current.path, path)
            inode = Inode(path, self._current.applied)
        self._inodes.append(inode)
        return inode

    def _discard(self, inode: Inode) -> None:
        """Our name for it goes; who holds it keeps it."""
        with contextlib.suppress(OSError):
            inode.path.unlink(missing_ok=True)
        self._inodes.remove(inode)

    def _put_in_place(self, inode: Inode) -> bool:
        new = self._ring / "public"
        new.unlink(missing_ok=True)
        try:
            os.link(inode.path, new)
        except OSError:  # a file system without hard links: one more copy
            shutil.copyfile(inode.path, new)
            sync_file(new)
        try:
            new.replace(self.public)
        except PermissionError as error:
            self.refused = f"{self.public.name} is held open: {error.strerror}"
            return False
        self.refused = None
        sync_folder(self.public.parent)
        return True

    def _forget(self) -> None:
        """Drop what every inode of the ring has, and inodes that lack too much."""
        for inode in sorted(self._inodes, key=lambda each: each.applied):
            if size_bytes(self._log[inode.applied - self._log_start :]) <= self._most_bytes:
                break
            self._discard(inode)
        everywhere = min(inode.applied for inode in self._inodes)
        self._log = self._log[everywhere - self._log_start :]
        self._log_start = everywhere


def publish_empty(folder: Path) -> Path:
    """Make ``run.h5`` valid and empty, before the first current; nothing where there is one. Returns its path."""
    public = folder / PUBLIC
    if not public.exists():
        new = folder / f".{PUBLIC}.empty"
        create_file(new)
        with h5py.File(new, "r+", libver=LIBVER) as file:
            stamp(file, iso_utc(time.time_ns()), 0)
        sync_file(new)
        new.replace(public)
        sync_folder(folder)
    return public


def _open(path: Path) -> h5py.File:
    return h5py.File(path, "r+", libver=LIBVER, locking="best-effort")
