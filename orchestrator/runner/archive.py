"""Raw files: copied, checked, synced, renamed into place; blocking, so it runs beside the loop."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from drivers.base import RawFile
from orchestrator.platform import sync_descriptor, sync_folder

CHUNK = 1 << 20


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
    for file in files:
        target = part / safe_relative(file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(file, target)
    for inner in sorted({part, *(path for path in part.rglob("*") if path.is_dir())}):
        sync_folder(inner)
    part.rename(folder)
    sync_folder(folder.parent)


def _copy(file: RawFile, target: Path) -> None:
    digest = hashlib.sha256()
    with file.path.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        sync_descriptor(copy.fileno())
    if digest.hexdigest() != file.sha256:
        raise Damaged(f"{file.path} has changed since it was fetched: sha256 {digest.hexdigest()[:12]}, not {file.sha256[:12]}")


def check(files: Iterable[RawFile], folder: Path) -> None:
    """Read the archived files again and compare; raises Damaged, OSError."""
    for file in files:
        path = folder / safe_relative(file.name)
        with path.open("rb") as archived:
            digest = hashlib.file_digest(archived, "sha256").hexdigest()
        if digest != file.sha256:
            raise Damaged(f"{path} reads back as sha256 {digest[:12]}, not {file.sha256[:12]}")
