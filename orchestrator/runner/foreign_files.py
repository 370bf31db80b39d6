"""What somebody else has measured, read where a driver's reader knows its format. Blocking."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from drivers import registry
from drivers.base import Fetched
from drivers.errors import InstrumentError


class Understood(NamedTuple):
    """The one data set among the files that were adopted; or None, and why."""

    fetched: Fetched | None
    why: str = ""


def understood(folder: Path, names: Collection[str], key: str) -> Understood:
    """Exactly one complete data set of a known vendor, one row of points: its FID stands for the acquisition."""
    inside = {PurePosixPath(name).parent.as_posix() for name in names}
    there = {PurePosixPath(name).name for name in names}
    found = []
    for reader in registry.make_readers().values():
        if reader.parameter_file not in there:
            continue
        places = [folder / one for one in sorted(inside) if f"{one}/{reader.parameter_file}".removeprefix("./") in set(names)]
        found += [(reader, place) for place in places]
    if len(found) != 1:
        return Understood(None, f"{len(found)} data sets of known consoles among its files")
    reader, place = found[0]
    if lacking := reader.lacking(place):
        return Understood(None, lacking)
    try:
        fetched = reader.read(place, key)
    except (InstrumentError, OSError) as error:
        return Understood(None, str(error))
    return Understood(fetched) if fetched.fid.data.ndim == 1 else Understood(None, "its data have rows, and nobody has said what they are")
