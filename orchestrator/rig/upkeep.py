"""What the rig sees to beside the run, in real time: that the observer lives, and that the disk keeps some room. Nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from drivers.clock import Clock
from orchestrator.recorder.rundisk import RunDisk, drop_ballast
from orchestrator.rig.gather import CannotRun, Gathered
from orchestrator.runner.station import Disk

LOOK_S = 2.0
LONGEST_PAUSE_S = 60.0
HOLDS_AFTER_S = 60.0
FAILURES_TO_ALARM = 3
LET_GO_WITHIN_s = 2.0

Put = Callable[[str, dict[str, Any]], object]


class Observed(Protocol):
    """The observer's process."""

    def observer_died(self) -> bool:
        """True when it has ended although the run has not."""

    def start_observer(self) -> None:
        """Start it (again)."""

    def told(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Events that it has told since the last time."""


def pause_s(failures: int) -> float:
    """How long to wait before start number ``failures``: 1, 2, 4 … 60 s."""
    return min(LONGEST_PAUSE_S, 2.0 ** (failures - 1))


class Wording(NamedTuple):
    """What is noted when a companion dies, and the alarm after the third time in a row."""

    died: str
    alarm: dict[str, Any]


OBSERVER = Wording(
    "the observer died and is started again; run.h5 is rebuilt from the journal",
    {
        "id": "observer",
        "level": "alarm",
        "title": "run.h5 is not kept",
        "text": f"the observer died {FAILURES_TO_ALARM} times in a row: run.h5 falls behind; the journal holds everything",
        "advice": "afterwards: operando recover",
    },
)
PUBLISHER = Wording(
    "the publisher died and is started again; what it has not sent stands in the journal",
    {
        "id": "publisher",
        "level": "warn",
        "title": "Nobody can watch over MQTT",
        "text": f"the publisher died {FAILURES_TO_ALARM} times in a row: nobody sees the run over MQTT, and no command comes from there",
        "advice": "the run goes on; `operando watch` and `operando status` work here",
    },
)


async def mind_observer(observed: Observed, put: Put, wording: Wording = OBSERVER) -> None:
    """Start a companion again when it dies, each time later; from the third time on with an alarm, until it holds."""
    failures, lived_s = 0, 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        lived_s += LOOK_S
        for kind, data in observed.told():
            put(kind, data)
        if not observed.observer_died():
            if failures and lived_s >= HOLDS_AFTER_S:
                if failures >= FAILURES_TO_ALARM:
                    put("alarm.cleared", {"id": wording.alarm["id"]})
                failures = 0
            continue
        failures += 1
        put("note", {"text": f"{wording.died} ({failures} in a row)", "who": "rig"})
        if failures == FAILURES_TO_ALARM:
            put("alarm.raised", wording.alarm)
        await asyncio.sleep(pause_s(failures))
        observed.start_observer()
        lived_s = 0.0


def disk_of(folder: Path, gathered: Gathered) -> Disk | None:
    """The disk under the run's folder, with its ballast; in virtual time nothing that is measured may enter the data."""
    if gathered.request.virtual:
        return None
    disk = RunDisk(folder, gathered.plan.ballast_bytes)
    try:
        disk.take_ballast()
    except OSError as error:
        raise CannotRun(f"{folder}: no room for the ballast of {disk.ballast_bytes / 1e6:.0f} MB ({error}); nothing was started") from error
    return disk


async def give_ballast_back(folder: Path, clock: Clock) -> None:
    """What was kept for a full disk is there for the close-out; a disk that hangs may keep it."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LET_GO_WITHIN_s):
            await clock.in_thread(drop_ballast, folder, lane="disk")
