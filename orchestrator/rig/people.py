"""Who is told of a run's alarms, of the night and of its end, in real time: the programs that ``notify:`` of the rig names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from orchestrator.monitor.messages import Messages, Of
from orchestrator.monitor.notify import Message, Notifier, notifier
from orchestrator.rig.gather import Gathered
from orchestrator.rig.mortal import MortalJournal

LATEST_LOOK_s = 3600.0
"""The clock on the wall may have been set."""


class People:
    """Hears the journal; nobody waits for it."""

    def __init__(self, told: Notifier, messages: Messages, clock: Clock) -> None:
        self._told = told
        self._messages = messages
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        self._look_again()

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """One event."""
        self._tell(self._messages.hear(kind, data, self._now_s()))
        if kind.startswith("alarm."):
            self._look_again()

    def close(self) -> bool:
        """Pass on what is queued; blocks. Nothing is told afterwards."""
        self._loop.call_soon_threadsafe(self._stop)
        return self._told.close()

    def _stop(self) -> None:
        if self._look is not None:
            self._look.cancel()

    def _now_s(self) -> float:
        return self._clock.utc_ns() / 1e9

    def _tell(self, messages: Iterable[Message]) -> None:
        for one in messages:
            self._told.tell(one.level, one.title, one.text, hour=one.hour, everybody=one.everybody)

    def _look_again(self) -> None:
        self._stop()
        if (next_s := self._messages.next_s) is not None:
            self._look = self._loop.call_later(min(LATEST_LOOK_s, max(0.0, next_s - self._now_s())), self._due)

    def _due(self) -> None:
        self._tell(self._messages.due(self._now_s()))
        self._look_again()


def people_of(gathered: Gathered, folder: Path, record: MortalJournal, clock: Clock, *, from_start: bool) -> People | None:
    """Who is told, in real time; a program that fails to tell is a note in the run. ``from_start``: it is not continued."""
    if gathered.request.virtual:
        return None
    of = Of(gathered.rig.name, folder.name, gathered.rig.zone, gathered.plan.expected_s if from_start else 0.0)
    people = people_named(gathered.rig.notify, of, clock, record.listeners_note)
    if people is not None:
        record.listener = people.hear
    return people


def people_named(notify: Sequence[Mapping[str, Any]], of: Of, clock: Clock, note: Callable[[str], object]) -> People | None:
    """Whom a ``notify:`` list names; None: nobody. ``note`` is told, in the loop, who could not be told. Raises BadNotify."""
    if not notify:
        return None
    loop = asyncio.get_running_loop()

    def report(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the run is over
            loop.call_soon_threadsafe(note, text)

    told = notifier(notify, report)
    return People(told, Messages(of, told.hours, clock.utc_ns() / 1e9), clock)
