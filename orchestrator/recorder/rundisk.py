"""The disk of a run: how much is free, what the run has taken, and the ballast that is given back when it is full.

The ballast is two files of the run folder, taken before the first current and gone when the run is over. The greater one
gives room for a day of electrochemistry; the last eighth, given back only when the run ends because of it, for its last
records. ``drop_ballast`` clears up after a rig that died.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BALLAST, LAST = ".ballast", ".ballast.last"
LAST_SHARE = 8
"""As the plan counts it: ``plan.estimate.BALLAST_LAST_SHARE``."""
CHUNK = 1 << 20


class Room(NamedTuple):
    """Bytes free on a disk, its size, and what the run's folder takes of it (without the ballast)."""

    free_bytes: int
    total_bytes: int
    used_bytes: int


class RunDisk:
    """The disk under one run folder. ``ballast_bytes``: both files together. Every method may block for as long as the disk likes."""

    def __init__(self, folder: Path, ballast_bytes: int) -> None:
        self.ballast_bytes = ballast_bytes
        self._folder = folder

    @property
    def reserve_bytes(self) -> int:
        """Below this the disk counts as full."""
        return self.ballast_bytes // LAST_SHARE

    def room(self) -> Room:
        """What there is now. Raises OSError."""
        usage = shutil.disk_usage(self._folder)
        return Room(usage.free, usage.total, _taken(self._folder))

    def take_ballast(self) -> None:
        """Make both files, at their full size. Raises OSError, and then there are none."""
        try:
            _fill(self._folder / LAST, self.reserve_bytes)
            _fill(self._folder / BALLAST, self.ballast_bytes - self.reserve_bytes)
        except OSError:
            drop_ballast(self._folder)
            raise

    def free_ballast(self) -> bool:
        """Give the greater file back; False when that was done before."""
        return _given_back(self._folder / BALLAST)

    def free_last(self) -> bool:
        """Give back the room for the last records; False when that was done before."""
        return _given_back(self._folder / LAST)


def drop_ballast(folder: Path) -> None:
    """Give back whatever ballast lies in a run folder."""
    for name in (BALLAST, LAST):
        _given_back(folder / name)


def _given_back(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _fill(path: Path, size_bytes: int) -> None:
    """A file that really holds so many bytes, not a hole; on a file system that compresses it holds fewer."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            if size_bytes:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            return
        for at in range(0, size_bytes, CHUNK):
            file.write(bytes(min(CHUNK, size_bytes - at)))


def _recorded(folder: Path) -> Iterator[Path]:
    """What the plan's estimate counts: the journal, ``run.h5`` with its ring, the raw files."""
    for path in folder.iterdir():
        if path.name not in {BALLAST, LAST, "wire", "emulated"}:
            yield from path.rglob("*") if path.is_dir() else [path]


def _taken(folder: Path) -> int:
    """Bytes of a run's files, each inode once: the published file is also one of its ring."""
    known: dict[tuple[int, int], int] = {}
    for path in _recorded(folder):
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            known[status.st_dev, status.st_ino] = status.st_size
    return sum(known.values())
