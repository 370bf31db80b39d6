"""What is put on a disk so that a power cut leaves it whole: the bytes, then the name, then the folder that holds the name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

EVERYBODY, OWNER_ONLY = 0o666, 0o600


def sync_descriptor(descriptor: int) -> None:
    """Put an open file's bytes on the disk; on macOS past the drive's own cache."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Put a closed file's bytes on the disk (Windows flushes only what is open for writing)."""
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries (new names, renames) on the disk; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(new: Path, path: Path) -> None:
    """Put the closed file ``new`` in the place of ``path``: after any death the old one is there or the new one. Raises OSError."""
    sync_file(new)
    new.replace(path)
    sync_folder(path.parent)


def write_durably(path: Path, content: str | bytes, *, mode: int = EVERYBODY) -> None:
    """A file whole and on the disk, or the one before it; its folder is made if need be. Raises OSError.

    ``mode``: who may read it, from its first byte on.
    """
    made = _made(path.parent)
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        replace_durably(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    for folder in made:
        sync_folder(folder.parent)


def _made(folder: Path) -> list[Path]:
    """Make a folder; which ones were new."""
    absent = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return absent
