"""The process of one run: its command, its start in a session of its own, and the folder that it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.schedule.claim import CLAIM, LOG, SAID
from orchestrator.schedule.entry import Entry

NS = 1_000_000_000
OUR_MANAGERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def command(entry: Entry, folder: Path, end_ns: int | None, now_ns: int) -> list[str]:
    """What is started: ``operando run``, or ``operando continue`` for a run that died."""
    asked = entry.asked
    claimed = ["--json", "--claim", str(folder)]
    if entry.died:
        return ["continue", entry.run, "--as-begun", *claimed]
    files = {name: one.path for name, one in asked.files.items()}
    how = ["--station", asked.station, "--out", asked.out, "--speed", asked.speed, "--seed", str(asked.seed)]
    return ["run", files["experiment"], "--rig", files["rig"], *how, *_booking(asked.speed, end_ns, now_ns), *claimed]


def _booking(speed: str, end_ns: int | None, now_ns: int) -> list[str]:
    """By when it must be over, as the run's clock counts; virtual time has nothing to do with ours."""
    if end_ns is None or speed == "max":
        return []
    at = datetime.fromtimestamp((now_ns + (end_ns - now_ns) * float(speed)) // NS, UTC)
    return ["--booking-end", f"{at:%Y-%m-%dT%H:%M:%SZ}"]


def spawn(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start it; it outlives whoever started it. Its output lies in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / SAID).open("wb") as said, (folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=log,
            env=_environment(os.environ),
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Ours, without the line to systemd: the run is not the service."""
    return {name: value for name, value in ours.items() if name not in OUR_MANAGERS}


def run_folder(entry: Entry, folder: Path) -> str:
    """The run folder that a start made: of this entry's own copy of the experiment, since the start was claimed; "" before."""
    experiment, since_ns, found = entry.asked.files["experiment"].path, (folder / CLAIM).stat().st_mtime_ns, []
    for path in Path(entry.asked.out).glob("*/sources.json"):
        try:
            made_ns = path.stat().st_mtime_ns
            if made_ns >= since_ns and json.loads(path.read_text("utf-8")).get("experiment") == experiment:
                found.append((made_ns, str(path.parent)))
        except (OSError, ValueError):
            continue
    return max(found, default=(0, ""))[1]
