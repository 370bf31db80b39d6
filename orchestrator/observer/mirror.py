"""Copies what a run has published to another folder (``mirror_to:`` of the rig), which may hang, vanish and come back.

A thread of its own does it; nobody ever waits for it longer than he says. Each file appears whole or not at all: written
beside, synced, renamed. Raw files first, then chapters, ``run.h5``, the close-out: what stands in a file is there before it.
Nothing is deleted there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

from drivers.durable import sync_descriptor
from orchestrator.observer.rounds import EVERY_s, Rounds
from orchestrator.platform import share_lock
from orchestrator.recorder.chapters import FOLDER
from orchestrator.recorder.closeout import CLOSEOUT
from orchestrator.recorder.publisher import PUBLIC

SILENT_s = 120.0
CHUNK = 1 << 20

Signature = tuple[int, int]


class Mirror(Rounds):
    """``to`` must exist; the run gets a folder of its own in it."""

    def __init__(self, folder: Path, to: Path, *, every_s: float = EVERY_s, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.target = to / folder.name
        super().__init__("mirror", to, lambda: nullcontext(self.copy), silent_s=SILENT_s, every_s=every_s, monotonic=monotonic)
        self._to = to
        self._device: int | None = None
        self._copied: dict[Path, Signature] = {}

    def copy(self) -> None:
        """One pass over everything that is new or has changed. Raises OSError."""
        self._check_place()
        for source in published(self.folder):
            try:
                status = source.stat()
            except FileNotFoundError:
                continue
            signature = (status.st_size, status.st_mtime_ns)
            if self._copied.get(source) != signature:
                self._copy_one(source, signature)
                self._copied[source] = signature

    def _check_place(self) -> None:
        """A share that was unmounted leaves an empty folder on the computer's own disk: that is not the place."""
        device = self._to.stat().st_dev
        if self._device not in {None, device}:
            raise OSError(f"{self._to} is not the place that it was: is it mounted?")
        self._device = device

    def _copy_one(self, source: Path, signature: Signature) -> None:
        target = self.target / source.relative_to(self.folder)
        if _signature(target) == signature:  # copied by an earlier observer
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        with source.open("rb") as reading, new.open("wb") as writing:
            with suppress(OSError):
                share_lock(reading)  # so that the publisher leaves this inode alone
            while chunk := reading.read(CHUNK):
                writing.write(chunk)
                self.goes_on()
            writing.flush()
            sync_descriptor(writing.fileno())
        os.utime(new, ns=(signature[1], signature[1]))
        new.replace(target)


def published(folder: Path) -> Iterator[Path]:
    """What a run shows to others, in the order in which it may appear elsewhere."""
    raw = folder / "raw"
    yield from sorted(path for path in raw.rglob("*") if path.is_file() and not _unfinished(path.relative_to(raw)))
    yield from sorted((folder / FOLDER).glob("*.h5"))
    yield folder / PUBLIC
    yield folder / CLOSEOUT


def _unfinished(path: Path) -> bool:
    return any(".part" in Path(part).suffix for part in path.parts)


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
