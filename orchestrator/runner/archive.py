"""Raw files: copied, checked, synced, renamed into place; blocking, so it runs beside the loop."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Thread

from drivers.base import RawFile
from drivers.durable import sync_file, sync_folder

CHUNK = 1 << 20
SYNCED_AT_ONCE = 8


class Damaged(OSError):
    """A raw file's bytes are not those that were announced."""


def safe_relative(name: str) -> PurePosixPath:
    """The name inside the archive; raises Damaged for one that would lie outside it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or not path.parts or ".." in path.parts or ":" in name:
        raise Damaged(f"a raw file may not be called {name!r}")
    return path


def archive(files: Sequence[RawFile], folder: Path, attempt: int = 0, *, synced: bool = True) -> None:
    """Copy files into ``folder``, which appears complete and synced or not at all. Raises Damaged, OSError.

    ``attempt``: an earlier one may still hang on a share that has gone; each has a place of its own. ``synced``: False in
    virtual time, as for the journal.
    """
    if folder.exists():
        check(files, folder)
        return
    part = folder.with_name(f"{folder.name}.part{attempt or ''}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    targets = [part / safe_relative(file.name) for file in files]
    for file, target in zip(files, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(file, target)
    if synced:
        _sync(targets, {part, *(path for path in part.rglob("*") if path.is_dir())})
    part.rename(folder)
    if synced:
        sync_folder(folder.parent)


def _copy(file: RawFile, target: Path) -> None:
    digest = hashlib.sha256()
    with file.path.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise Damaged(f"{file.path} has changed since it was fetched: sha256 {digest.hexdigest()[:12]}, not {file.sha256[:12]}")


def _sync(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Several at once: the disk then writes them in one go, in a quarter of the time of one after the other. Raises OSError.

    In threads of our own that no exit waits for: the disk of a share that has gone may never answer.
    """
    left = deque([*((sync_file, file) for file in files), *((sync_folder, folder) for folder in folders)])
    failures: list[OSError] = []

    def work() -> None:
        with suppress(IndexError):
            while True:
                sync, path = left.popleft()
                try:
                    sync(path)
                except OSError as error:
                    failures.append(error)

    threads = [Thread(target=work, name="raw sync", daemon=True) for _ in range(min(SYNCED_AT_ONCE, len(left)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise min(failures, key=lambda error: str(error.filename))


def check(files: Iterable[RawFile], folder: Path) -> None:
    """Read the archived files again and compare; raises Damaged, OSError."""
    for file in files:
        path = folder / safe_relative(file.name)
        with path.open("rb") as archived:
            digest = hashlib.file_digest(archived, "sha256").hexdigest()
        if digest != file.sha256:
            raise Damaged(f"{path} reads back as sha256 {digest[:12]}, not {file.sha256[:12]}")
