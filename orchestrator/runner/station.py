"""What surrounds a run: its station, its journal, its clock and guard; and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from drivers.base import ClockSample, Console, Fence, Potentiostat, Sensor, Settings, Tuner
from drivers.clock import Clock, Stamp
from orchestrator.control.heartbeat import GuardLink
from orchestrator.model.events import alarm_line
from orchestrator.plan.orders import Plan
from orchestrator.recorder.records import JournalError
from orchestrator.recorder.rundisk import Room
from orchestrator.runner.states import RunState

COMPLETE, BUG, INSTRUMENT, UNSAFE, ENDED_EARLY, INTERRUPTED = 0, 1, 3, 4, 5, 130
"""Exit codes of Annex D, but 2: configuration errors end before there is a run."""

TRY_AGAIN_S = 1.0


class Journal(Protocol):
    """What a run needs of ``recorder.journal.Journal``."""

    def put(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        blob: bytes | None = None,
        source: str = "rig",
        cause: int | None = None,
        at: Stamp | None = None,
    ) -> int:
        """Number an event and queue it; never waits."""

    async def durable(self, seq: int) -> None:
        """Return when a synced commit covers ``seq``."""

    @property
    def half_full(self) -> bool:
        """No new acquisition starts."""

    @property
    def full(self) -> bool:
        """The run goes to its safe state."""

    async def wait_failed(self) -> Exception:
        """Return the error of the next commit that fails."""


class Disk(Protocol):
    """What a run needs of ``recorder.rundisk.RunDisk``; every method may block."""

    @property
    def ballast_bytes(self) -> int:
        """What is kept for when the disk is full."""

    @property
    def reserve_bytes(self) -> int:
        """Below this the disk counts as full."""

    def room(self) -> Room:
        """What there is now. Raises OSError."""

    def take_ballast(self) -> None:
        """Keep room for later. Raises OSError."""

    def free_ballast(self) -> bool:
        """Give it back; False when that was done before."""

    def free_last(self) -> bool:
        """Give back the room for the last records."""


@dataclass(frozen=True, slots=True)
class Station:
    """One potentiostat channel and one console, not yet connected, where raw files go, and the hardware fence if there is one.

    ``hands_folder``: what the watched folders of acquisitions by hand are relative to.
    ``simulated_person_s``: nobody can answer a prompt (virtual time), so it is answered so much later.
    ``sensors``: by name; some can be set as well.
    """

    name: str
    potentiostat: Potentiostat
    console: Console
    potentiostat_settings: Settings
    console_settings: Settings
    raw_folder: Path
    fence: Fence | None = None
    hands_folder: Path = Path()
    simulated_person_s: float | None = None
    tuner: Tuner | None = None
    tuner_settings: Settings | None = None
    sensors: Mapping[str, tuple[Sensor, Settings]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every part of a run is given. ``key_prefix`` makes acquisition keys differ from run to run; ``disk`` None: not watched."""

    plan: Plan
    station: Station
    journal: Journal
    clock: Clock
    guard: GuardLink
    folder: Path
    key_prefix: str = ""
    disk: Disk | None = None
    beside: Path | None = None
    """The folder of the experiment file, where what belongs to the run may lie."""
    measured_clocks: dict[str, ClockSample] = field(default_factory=dict)
    """The last that was measured of each instrument's clock."""

    @property
    def follows(self) -> bool:
        """Somebody else runs the cell (rung 1): nothing that this program might want of it would be done."""
        return not self.station.potentiostat.capabilities.obeys

    @property
    def cannot(self) -> str:
        """What this station keeps the program from; empty: nothing."""
        return self.station.potentiostat.capabilities.cannot

    def at(self, mono_ns: int) -> Stamp:
        """The stamp of an instant that an instrument reported."""
        return Stamp(mono_ns, self.clock.utc_of(mono_ns))

    def put(self, kind: str, cause: int | None = None, mono_ns: int | None = None, **data: Any) -> int:
        """Journal an event with these data; at ``mono_ns``, now by default."""
        return self.journal.put(kind, data, cause=cause, at=None if mono_ns is None else self.at(mono_ns))

    async def durable(self, seq: int) -> None:
        """Return when a commit covers ``seq``, however often the disk refuses meanwhile: what waits is written again."""
        while True:
            try:
                return await self.journal.durable(seq)
            except JournalError:
                await asyncio.sleep(TRY_AGAIN_S)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and how a run ends. ``urgency``: a more urgent ending overtakes a lesser one, never the other way round."""

    state: RunState
    reason: str
    exit_code: int
    urgency: int
    as_planned: bool = False


AFTER_STEP, STOP, ABORT, SAFETY, LEAVE = range(1, 6)
"""Urgencies: end of the step, end of the acquisition, now, now because a limit was passed, now and without waiting."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run. ``outcome``: as planned | ended early. ``complete``: as planned, and every acquisition ended verified.

    ``cell``: off (read back), untouched (nothing was started), or unknown: then the guard is not stood down.
    """

    state: str
    outcome: str
    reason: str
    complete: bool
    exit_code: int
    cell: str = "off"


class RunFailed(Exception):
    """The run cannot go on: ``exit_code`` says whose fault, the text what happened and what was done."""

    def __init__(self, reason: str, exit_code: int = INSTRUMENT) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Alarms:
    """Raises each alarm once until it is cleared."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._put = surroundings.put
        self._raised: dict[str, Mapping[str, str]] = {}
        self._known: dict[str, None] = {}

    def restore(self, active: Mapping[str, Mapping[str, str]], known: Iterable[str]) -> None:
        """Go on with the alarms of a run that was broken off."""
        self._raised, self._known = dict(active), dict.fromkeys(known)

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the alarms that stand."""
        return tuple(self._raised)

    @property
    def lines(self) -> list[str]:
        """The alarms that stand, a sentence each."""
        return [alarm_line({"id": name, **alarm}) for name, alarm in self._raised.items()]

    @property
    def known(self) -> tuple[str, ...]:
        """Ids of the alarms that stand or stood."""
        return tuple(self._known)

    def sound(
        self,
        name: str,
        level: str,
        title: str,
        text: str,
        *,
        advice: str = "",
        cause: int | None = None,
        values: Mapping[str, float] | None = None,
    ) -> None:
        """Raise an alarm that does not stand yet, or raise its level. ``values``: the numbers that led to it."""
        if self._raised.get(name, {}).get("level") == level:
            return
        self._known[name] = None
        self._raised[name] = {"level": level, "title": title, "text": text, "advice": advice}
        known: dict[str, Any] = {} if values is None else {"values": dict(values)}
        self._put("alarm.raised", cause, id=name, level=level, title=title, text=text, advice=advice, **known)

    def clear(self, name: str) -> None:
        """The reason of an alarm is gone."""
        if self._raised.pop(name, None) is not None:
            self._put("alarm.cleared", id=name)
