"""A recorded run as it lies on a disk, read whole by those who read such files anyway. Blocking; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import NotReachable
from drivers.follow.columns import Rows
from drivers.follow.tails import Unreadable, ec_files, open_tail, read_by_library
from drivers.replay.stretches import Stretch, cut

OURS = "run.h5"
ADVICE = "name a run folder or its run.h5, an EC-Lab .mpr or .mpt, a Neware .nda or .ndax, BDF as .csv, or a folder of such files"


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded. ``kind``: of its files; ``library``: who read them."""

    name: str
    kind: str
    library: str
    stretches: tuple[Stretch, ...]


def read(path: Path) -> Recording:
    """All of it. Raises NotReachable for what is not there, or is no recording."""
    try:
        kinds, libraries, stretches = zip(*_files(path), strict=True)
    except (OSError, Unreadable, ValueError) as why:
        raise NotReachable(f"{path} cannot be played: {why}", advice=ADVICE) from why
    found = tuple(one for some in stretches for one in some)
    if not found:
        raise NotReachable(f"{path} cannot be played: it holds no step", advice=ADVICE)
    return Recording(path.name, ", ".join(dict.fromkeys(kinds)), ", ".join(dict.fromkeys(libraries)), found)


def _files(path: Path) -> Iterator[tuple[str, str, list[Stretch]]]:
    """Each file in the order of the names: kind, library, steps. Raises OSError, Unreadable."""
    ours = path / OURS if path.is_dir() else path
    if ours.suffix == ".h5" and ours.is_file():
        columns, meta = read_by_library(ours)
        yield "run.h5", meta["library"], cut(Rows.of(columns))
        return
    if not path.exists():
        raise Unreadable("there is nothing")
    files = ec_files(path)
    if not files:
        raise Unreadable("no file in it can be read")
    for file in files:
        tail = open_tail(file)
        stretches: list[Stretch] = []
        parts = []
        while (taken := tail.look()) is not None:
            parts.append(taken.rows)
        if tail.trouble:
            raise Unreadable(tail.trouble)
        stretches = cut(Rows.joined(parts)) if parts else []
        yield tail.kind, tail.library, stretches
