"""Publishes ``run.h5``: always a closed, synced, consistent file, whoever dies and whenever.

A ring of inodes lies hidden beside it, each a whole copy under its own name. A publication takes one that has not been
public for ``REST_s``, appends what it lacks, closes and syncs it, and puts it in the public place by a hard link and a
rename. So the cost does not grow with the file, and a copy that somebody makes of ``run.h5`` is not written under his
hands. An inode that a reader holds open is given up to him; a fresh copy of the newest takes its place. So is one that
lacks so much that keeping it for him would take memory (a night in fast motion, large arrays of FIDs).

At ``CHAPTER_BYTES`` the run goes on in a new chapter (``recorder.chapters``): a rested inode becomes a closed chapter for
good, and a new ring begins whose files show the closed chapters and hold the rows of the open one only. At the end ``gather`` makes one
file of them again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from drivers.durable import replace_durably, sync_file, sync_folder
from orchestrator.platform import is_locked
from orchestrator.recorder import chapters as closed
from orchestrator.recorder.appends import Append, size_bytes
from orchestrator.recorder.chapters import Chapters
from orchestrator.recorder.h5file import Appender, create_file, create_master, stamp
from orchestrator.recorder.layout import LIBVER
from orchestrator.recorder.merge import merge
from orchestrator.recorder.runtime import iso_utc
from orchestrator.recorder.structure import Structure

if TYPE_CHECKING:
    from orchestrator.model.events import Event
    from orchestrator.recorder.projection import Projection

CADENCE_s = 5.0
REST_s = 30.0
TRIES, RETRY_s = 25, 0.2
CHAPTER_BYTES = 256 << 20
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

    ``chapter_bytes``: a chapter is closed when it has grown so much. ``resume_to``: go on with the closed chapters that lie
    there, up to this record of the journal, and put nothing in place that is older than what is public. ``not_before``: put
    nothing in place before this record is in it.
    ``refused``: why the last publication could not be put in place (Windows: a reader has the public file open); it is
    tried again with the next ``publish``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
        chapter_bytes: int = CHAPTER_BYTES,
        resume_to: int = 0,
        not_before: int = 0,
    ) -> None:
        self.public = folder / PUBLIC
        self.refused: str | None = None
        self._folder = folder
        self._ring = folder / RING
        self._monotonic = monotonic
        self._utc_ns = utc_ns
        self._chapter_bytes = chapter_bytes
        self._chapters = closed.found_in(folder, resume_to) if resume_to else Chapters()
        self._resumed_seq = self._chapters.seq
        self._not_before = max(not_before, self._chapters.seq, min(resume_to, public_seq(self.public)))
        self._structure = Structure()
        self._log: list[Append] = []
        self._log_start = self._ring_start = 0
        self._pending_bytes = 0
        self._most_bytes = KEPT_BYTES
        self._inodes: list[Inode] = []
        self._given_up: list[Path] = []
        self._current: Inode | None = None
        self._newest: Inode | None = None
        self._empty_bytes = 0
        self._public_is_whole = False
        self._made = 0
        self._seq = 0
        shutil.rmtree(self._ring, ignore_errors=True)
        self._ring.mkdir(parents=True)

    @property
    def pending(self) -> int:
        """How many appends the public file lacks; chapters that it does not show yet count as one."""
        if self._current is not None:
            return self._log_end - self._current.applied
        return self._log_end + bool(self._chapters)

    @property
    def full(self) -> bool:
        """So much is pending that it should be published now, whatever the cadence."""
        return self._pending_bytes > self._most_bytes

    @property
    def _log_end(self) -> int:
        return self._log_start + len(self._log)

    def take(self, projection: Projection, events: Sequence[Event]) -> None:
        """Add what these events mean; where closed chapters end among them, in two parts."""
        for part in _parted(events, self._chapters.seq):
            self.add(projection.feed(part), projection.seq)

    def add(self, appends: Sequence[Append], seq: int) -> None:
        """Take what the next publication shall hold; ``seq``: the journal's number that it then covers."""
        self._structure.remember(appends)
        if not self._resumed_seq or seq > self._resumed_seq:
            self._log += appends
            self._pending_bytes += size_bytes(appends)
        self._seq = seq

    def publish(self) -> bool:
        """Put everything added so far into the public place; False where the system refused (Windows), see ``refused``, or it is too early.

        Raises OSError when the disk is full; the public file stays as it was, and nothing is lost.
        """
        if self._seq < self._resumed_seq:
            return False
        if self._newest is not None and self._newest.path.stat().st_size - self._empty_bytes >= self._chapter_bytes:
            self._close_chapter()
        inode = self._settle()
        if self._seq < self._not_before:
            self._forget()
            return False
        if not self._put_in_place(inode):
            return False
        if self._current is not None:
            self._current.withdrawn_s = self._monotonic()
        inode.withdrawn_s = None
        self._current = inode
        self._public_is_whole = not self._chapters
        self._forget()
        return True

    def _settle(self) -> Inode:
        """Write everything added so far into a hidden inode, which the next publication will take. Raises OSError."""
        inode, file = self._writable()
        try:
            with file:
                self._append_to(file, inode)
                stamp(file, iso_utc(self._utc_ns()), self._seq)
            sync_file(inode.path)
        except BaseException:
            self._discard(inode)
            raise
        self._newest = inode
        self._pending_bytes = 0
        self._most_bytes = max(KEPT_BYTES, round(KEPT_OF_FILE * inode.path.stat().st_size))
        return inode

    def gather(self) -> Path:
        """One file with everything added so far, public or about to be: without chapters, from now on. Raises OSError."""
        self._chapter_bytes = sys.maxsize
        if self._current is not None:
            self.publish()
        if self._chapters:
            return self._merged().path
        return self._settle().path if self._current is None or self.refused else self._current.path

    def close(self) -> None:
        """Remove the ring, and the chapters that the public file does not need; ``run.h5`` stays, alone.

        Chapters that a reader of an older ``run.h5`` may still want are waited for a moment, then left.
        """
        if self._public_is_whole:
            for _ in range(TRIES):
                if self._chapters_removed():
                    break
                time.sleep(RETRY_s)
        shutil.rmtree(self._ring, ignore_errors=True)
        self._inodes = []
        sync_folder(self._folder)

    def _chapters_removed(self) -> bool:
        self._let_go()
        return not self._given_up and remove_chapters(self._folder)

    # -------------------------------------------------------------------------------------------------------- the ring

    def _append_to(self, file: h5py.File, inode: Inode) -> None:
        Appender(file, self._chapters).apply(self._log[inode.applied - self._log_start :])
        inode.applied = self._log_end

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
        if self._current is not None:
            shutil.copyfile(self._current.path, path)
            inode = Inode(path, self._current.applied)
        else:
            self._begin_file(path)
            inode = Inode(path, self._ring_start)
        self._inodes.append(inode)
        return inode

    def _begin_file(self, path: Path) -> None:
        """The first file of a ring. Raises RuntimeError where rows were written to a file that is gone: the journal has them."""
        if self._log_start != self._ring_start:
            raise RuntimeError(f"a hidden copy of {PUBLIC} was lost before it was public; begin again from the journal")
        if self._chapters:
            create_master(path, self._chapters, self._structure)
        else:
            create_file(path)
        self._empty_bytes = path.stat().st_size

    def _discard(self, inode: Inode) -> None:
        """It leaves the ring; its bytes go, unless a reader holds it."""
        self._inodes.remove(inode)
        self._given_up.append(inode.path)
        self._let_go()

    def _let_go(self) -> None:
        """Remove what was given up to readers who have gone by now. What is public keeps its name here as long as it is."""
        for path in list(self._given_up):
            if not is_locked(path) and not self._is_public(path):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                self._given_up.remove(path)

    def _is_public(self, path: Path) -> bool:
        try:
            return path.samefile(self.public)
        except OSError:
            return False

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
        sync_folder(self._folder)
        self._let_go()
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

    # ---------------------------------------------------------------------------------------------------- the chapters

    def _close_chapter(self) -> None:
        """A rested inode with everything added so far is a closed chapter from now on; a new ring begins behind it.

        What is public does not change. Whatever fails or dies here, the rows are in the ring or in the journal still.
        """
        inode, file = self._writable()
        number = closed.next_number(self._folder)
        try:
            with file:
                self._append_to(file, inode)
                chapter = closed.close_chapter(file, self._structure, self._chapters, number, self._seq)
            sync_file(inode.path)
            place = self._folder / chapter.file
            if not place.parent.exists():
                place.parent.mkdir()
                sync_folder(self._folder)
            inode.path.replace(place)
            sync_folder(place.parent)
        except BaseException:
            self._discard(inode)
            raise
        self._inodes.remove(inode)
        self._chapters = Chapters([*self._chapters.closed, chapter])
        self._begin_ring()

    def _begin_ring(self) -> None:
        """Everything added so far is in closed chapters or in one merged file; the inodes of the former ring go."""
        self._log, self._log_start = [], self._log_end
        self._ring_start = self._log_start
        self._given_up += [inode.path for inode in self._inodes]
        self._inodes, self._current, self._newest = [], None, None
        self._let_go()

    def _merged(self) -> Inode:
        """One file of all chapters, hidden; the next publication takes it."""
        master = self._settle()
        for inode in [each for each in self._inodes if each is not master and each is not self._current]:
            self._discard(inode)
        whole = self._ring / "whole.h5"
        try:
            merge(master.path, self._folder, whole, self._structure)
            with _open(whole) as file:
                stamp(file, iso_utc(self._utc_ns()), self._seq)
            sync_file(whole)
        except BaseException:
            whole.unlink(missing_ok=True)
            raise
        self._begin_ring()
        self._chapters, self._resumed_seq, self._ring_start = Chapters(), 0, -1
        inode = Inode(whole, self._log_end)
        self._inodes.append(inode)
        self._empty_bytes = whole.stat().st_size
        return inode


def remove_chapters(folder: Path) -> bool:
    """Remove the chapters of a run whose ``run.h5`` is one file; False where it is not, or a reader holds one, and none goes.

    A former ``run.h5`` that ``recover`` kept may need them too.
    """
    chapters = folder / closed.FOLDER
    if not chapters.exists():
        return True
    needed = any(_needs_chapters(path) for path in folder.glob(f"{PUBLIC}*") if path.is_file())
    if needed or any(is_locked(path) for path in chapters.glob("*.h5")):
        return False
    shutil.rmtree(chapters, ignore_errors=True)
    return True


def _needs_chapters(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return bool(closed.chapter_files(file))
    except (OSError, KeyError):
        return path.name == PUBLIC


def publish_empty(folder: Path) -> Path:
    """Make ``run.h5`` valid and empty, before the first current; nothing where there is one. Returns its path."""
    public = folder / PUBLIC
    if not public.exists():
        new = folder / f".{PUBLIC}.empty"
        create_file(new)
        with h5py.File(new, "r+", libver=LIBVER) as file:
            stamp(file, iso_utc(time.time_ns()), 0)
        replace_durably(new, public)
    return public


def _parted(events: Sequence[Event], seq: int) -> Iterator[Sequence[Event]]:
    """The events up to a number and those after it, each part where it is not empty."""
    at = sum(event.seq <= seq for event in events)
    yield from (part for part in (events[:at], events[at:]) if part)


def public_seq(public: Path) -> int:
    """Up to which record of the journal the public file reaches; 0 where it says nothing."""
    try:
        with h5py.File(public, "r") as file:
            return int(file["entry"].attrs["journal_seq"])
    except (OSError, KeyError):
        return 0


def _open(path: Path) -> h5py.File:
    return h5py.File(path, "r+", libver=LIBVER, locking="best-effort")
