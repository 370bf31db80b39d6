"""What the rig sees to beside the run, in real time: that the observer lives, and that the disk has room. Neither is ever waited for."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from drivers.clock import Clock

LOOK_S = 2.0
LONGEST_PAUSE_S = 60.0
HOLDS_AFTER_S = 60.0
FAILURES_TO_ALARM = 3
DISK_EVERY_S = 60.0
DISK_WITHIN_S = 30.0
LOW_SHARE = 0.1
"""Watermark: with less than a tenth of the disk free somebody should make room."""

Put = Callable[[str, dict[str, Any]], object]


class Observed(Protocol):
    """The observer's process."""

    def observer_died(self) -> bool:
        """True when it has ended although the run has not."""

    def start_observer(self) -> None:
        """Start it (again)."""


def pause_s(failures: int) -> float:
    """How long to wait before start number ``failures``: 1, 2, 4 … 60 s."""
    return min(LONGEST_PAUSE_S, 2.0 ** (failures - 1))


async def mind_observer(observed: Observed, put: Put) -> None:
    """Start the observer again when it dies, each time later; from the third time on with an alarm, until it holds."""
    failures, lived_s = 0, 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        lived_s += LOOK_S
        if not observed.observer_died():
            if failures and lived_s >= HOLDS_AFTER_S:
                if failures >= FAILURES_TO_ALARM:
                    put("alarm.cleared", {"id": "observer"})
                failures = 0
            continue
        failures += 1
        text = "the observer died and is started again; run.h5 is rebuilt from the journal"
        put("note", {"text": f"{text} ({failures} in a row)", "who": "rig"})
        if failures == FAILURES_TO_ALARM:
            put("alarm.raised", _observer_alarm())
        await asyncio.sleep(pause_s(failures))
        observed.start_observer()
        lived_s = 0.0


def _observer_alarm() -> dict[str, Any]:
    text = f"the observer died {FAILURES_TO_ALARM} times in a row: run.h5 falls behind; the journal holds everything"
    return {"id": "observer", "level": "alarm", "title": "run.h5 is not kept", "text": text, "advice": "afterwards: operando recover"}


async def watch_disk(folder: Path, size_bytes: float, clock: Clock, put: Put) -> None:
    """Each minute say what is free and what the plan still needs; warn where that is too little. ``size_bytes``: of the whole run."""
    low = False
    while True:
        try:
            async with asyncio.timeout(DISK_WITHIN_S):
                free_bytes, total_bytes, used_bytes = await clock.in_thread(_measured, folder, lane="disk")
        except (OSError, TimeoutError):
            await asyncio.sleep(DISK_EVERY_S)  # whoever writes there says what is wrong with it
            continue
        needed_bytes = max(0, int(size_bytes) - used_bytes)
        put("disk", {"free_bytes": free_bytes, "needed_bytes": needed_bytes})
        before, low = low, free_bytes < max(LOW_SHARE * total_bytes, needed_bytes)
        if low and not before:
            put("alarm.raised", _disk_alarm(free_bytes, needed_bytes))
        elif before and not low:
            put("alarm.cleared", {"id": "disk"})
        await asyncio.sleep(DISK_EVERY_S)


def _disk_alarm(free_bytes: int, needed_bytes: int) -> dict[str, Any]:
    text = f"{free_bytes / 1e6:.0f} MB are free, the run still needs about {needed_bytes / 1e6:.0f} MB"
    return {"id": "disk", "level": "warn", "title": "The disk is nearly full", "text": text, "advice": "make room; the run goes on"}


def _measured(folder: Path) -> tuple[int, int, int]:
    """Free and total bytes of the disk, and what this run has taken of it: journal and raw files."""
    usage = shutil.disk_usage(folder)
    files = (*folder.glob("journal.sqlite*"), *(folder / "raw").rglob("*"))
    return usage.free, usage.total, sum(_size(file) for file in files)


def _size(file: Path) -> int:
    try:
        status = file.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
