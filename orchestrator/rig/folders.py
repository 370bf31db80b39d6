"""Where runs and the rig's own state live."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path


def home(*, simulated: bool = False) -> Path:
    """``OPERANDO_HOME``, or the user's data folder; of a rig that is all simulated, which nobody shares, the environment's own."""
    named = os.environ.get("OPERANDO_HOME")
    if named:
        return Path(named)
    if simulated and sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "operando"
    import platformdirs

    return Path(platformdirs.user_data_dir("operando", appauthor=False))


def state_folder(rig: str, *, simulated: bool = False) -> Path:
    """``state/<rig>``: who holds the rig, and where its run answers."""
    return home(simulated=simulated) / "state" / safe_file_name(rig)


def answering() -> list[Path]:
    """The state folder of every rig whose run answers commands, or did when it died."""
    places = dict.fromkeys((home(), home(simulated=True)))
    return sorted(path.parent for place in places for path in (place / "state").glob("*/control.json"))


def safe_file_name(text: str) -> str:
    """Letters, digits, dot, minus and underscore; everything else becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "unnamed"


def new_run_folder(out: Path, name: str, utc_ns: int) -> Path:
    """Make ``<UTC yyyymmddThhmmssZ>_<name>`` in ``out``; a taken name gets -2, -3 and so on. Absolute: other processes read it."""
    stem = f"{datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}_{safe_file_name(name)}"
    out.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = out.absolute() / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        for inner in ("raw", "wire"):
            (folder / inner).mkdir()
        return folder
    raise FileExistsError(f"{out} holds a thousand runs called {stem}")


class NoSuchRun(Exception):
    """RUN names no run folder, or more than one."""


def find_run(text: str, out: Path) -> Path:
    """RUN: a run folder, its name, ``latest``, or a folder holding exactly one run. Raises NoSuchRun."""
    named = Path(text)
    for folder in (named, out / text):
        if _proof(folder) is not None:
            return folder
    if text == "latest":
        return _latest(out)
    inside = _runs_in(named)
    if len(inside) == 1:
        return inside[0]
    raise NoSuchRun(f"{text}: {'holds ' + str(len(inside)) + ' runs; name one' if inside else 'no such run'} (looked in {out} too)")


def _runs_in(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if _proof(each) is not None) if folder.is_dir() else []


def _proof(folder: Path) -> Path | None:
    """The file that makes a folder a run: its journal, or what ``prune`` kept of it."""
    return next((path for name in ("journal.sqlite", "pruned.json") if (path := folder / name).is_file()), None)


def _latest(out: Path) -> Path:
    runs = _runs_in(out)
    if not runs:
        raise NoSuchRun(f"no runs in {out}")
    return max(runs, key=lambda run: (_proof(run) or run).stat().st_mtime_ns)
