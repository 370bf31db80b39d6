"""Raw files: copied, checked, synced, renamed into place; blocking, so it runs beside the loop."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from drivers.base import RawFile
from orchestrator.platform import sync_file, sync_folder

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


def archive(files: Sequence[RawFile], folder: Path, attempt: int = 0) -> None:
    """Copy files into ``folder``, which appears complete or not at all. Raises Damaged, OSError.

    ``attempt``: an earlier one may still hang on a share that has gone; each has a place of its own.
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
    _sync(targets, {part, *(path for path in part.rglob("*") if path.is_dir())})
    part.rename(folder)
    sync_folder(folder.parent)


def _copy(file: RawFile, target: Path) -> None:
    digest = hashlib.sha256()
    with file.path.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise Damaged(f"{file.path} has changed since it was fetched: sha256 {digest.hexdigest()[:12]}, not {file.sha256[:12]}")


def _sync(files: Sequence[Path], folders: Collection[Path]) -> None:
    """All at once: the disk then writes them in one go, in a quarter of the time of one after the other."""
    with ThreadPoolExecutor(SYNCED_AT_ONCE, "sync") as pool:
        for done in [*(pool.submit(sync_file, file) for file in files), *(pool.submit(sync_folder, folder) for folder in folders)]:
            done.result()


def check(files: Iterable[RawFile], folder: Path) -> None:
    """Read the archived files again and compare; raises Damaged, OSError."""
    for file in files:
        path = folder / safe_relative(file.name)
        with path.open("rb") as archived:
            digest = hashlib.file_digest(archived, "sha256").hexdigest()
        if digest != file.sha256:
            raise Damaged(f"{path} reads back as sha256 {digest[:12]}, not {file.sha256[:12]}")
