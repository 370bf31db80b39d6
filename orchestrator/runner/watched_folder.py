"""The folder into which somebody else's program writes: what is new there, and whether it is still being written. Blocking."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from drivers.base import RawFile

MOST_FILES = 20_000
"""inferred: no data set of one acquisition has more; a folder that does is not the one that was meant."""

Seen = Mapping[str, tuple[int, int]]
"""Name below the folder → size in bytes and time of the last change in ns."""


class TooMany(OSError):
    """The folder holds more than one acquisition can have written."""


def look(folder: Path) -> dict[str, tuple[int, int]]:
    """What stands in the folder now; nothing where it does not exist yet. Links are not followed. Raises OSError."""
    found: dict[str, tuple[int, int]] = {}
    for path in _files(folder):
        try:
            stat = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # somebody has just renamed it
        found[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
        if len(found) > MOST_FILES:
            raise TooMany(f"{folder}: more than {MOST_FILES} files")
    return dict(sorted(found.items()))


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for top, folders, names in os.walk(folder, onerror=refuse, followlinks=False):
        folders.sort()
        yield from (path for name in sorted(names) if not (path := Path(top) / name).is_symlink())


def new(now: Seen, before: Seen) -> dict[str, tuple[int, int]]:
    """What was not there before, or was other bytes."""
    return {name: how for name, how in now.items() if before.get(name) != how}


def adopted(folder: Path, names: Seen) -> tuple[RawFile, ...]:
    """These files with their hashes. Raises OSError."""
    found = []
    for name in names:
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(RawFile(folder / name, name, file.tell(), digest))
    return tuple(found)
