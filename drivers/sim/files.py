"""The two files of a simulated acquisition (described in ``drivers.sim.console``), and the times in them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import RawFile


def iso_utc(utc_ns: int) -> str:
    """ISO 8601 with microseconds and Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def write(folder: Path, text: str, counts: np.ndarray[Any, Any], cut_short: bool) -> tuple[RawFile, ...]:  # noqa: FBT001
    """Both files in a new folder; blocking."""
    folder.mkdir(parents=True, exist_ok=True)
    data = counts.tobytes()
    contents = {"fid.bin": data[: len(data) // 3] if cut_short else data, "parameters.json": text.encode()}
    files = []
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        files.append(RawFile(folder / name, name, len(content), hashlib.sha256(content).hexdigest()))
    return tuple(files)


def read(path: Path) -> np.ndarray[Any, np.dtype[np.int32]]:
    """int32 (2 × points,): what is in ``fid.bin``; blocking."""
    content = path.read_bytes()
    return np.frombuffer(content[: len(content) // 4 * 4], dtype="<i4")
