"""What the rig sees to beside the run, in real time: that the observer lives. Nothing ever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

LOOK_S = 2.0
LONGEST_PAUSE_S = 60.0
HOLDS_AFTER_S = 60.0
FAILURES_TO_ALARM = 3

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
    """What a companion is called when it dies, and its alarm after the third time."""

    name: str
    died: str
    title: str
    text: str
    advice: str
    level: str = "alarm"


OBSERVER = Wording(
    "observer",
    "the observer died and is started again; run.h5 is rebuilt from the journal",
    "run.h5 is not kept",
    "run.h5 falls behind; the journal holds everything",
    "afterwards: operando recover",
)
PUBLISHER = Wording(
    "publisher",
    "the publisher died and is started again; what it has not sent stands in the journal",
    "Nobody can watch over MQTT",
    "nobody sees the run over MQTT, and no command comes from there; the run goes on",
    "`operando watch` and `operando status` work here",
    "warn",
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
                    put("alarm.cleared", {"id": wording.name})
                failures = 0
            continue
        failures += 1
        put("note", {"text": f"{wording.died} ({failures} in a row)", "who": "rig"})
        if failures == FAILURES_TO_ALARM:
            put("alarm.raised", _alarm(wording))
        await asyncio.sleep(pause_s(failures))
        observed.start_observer()
        lived_s = 0.0


def _alarm(wording: Wording) -> dict[str, Any]:
    text = f"the {wording.name} died {FAILURES_TO_ALARM} times in a row: {wording.text}"
    return {"id": wording.name, "level": wording.level, "title": wording.title, "text": text, "advice": wording.advice}
