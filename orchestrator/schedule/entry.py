"""What stands in the queue: a submission, which never changes, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.model.values import Frozen
from orchestrator.schedule.windows import Times


class Refused(Exception):
    """It cannot be queued as it is; nothing was queued."""


class NoSuchEntry(Exception):
    """No entry has this id, or it is not in a state for this."""


class QueueServed(Exception):
    """Another daemon serves this queue."""


class State(StrEnum):
    """Of an entry. ``held``: it waits for a person, who confirms it or removes it."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    HELD = "held"
    ENDED = "ended"
    REMOVED = "removed"


ALLOWED: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.HELD, State.REMOVED}),
    State.STARTING: frozenset({State.QUEUED, State.RUNNING, State.HELD, State.ENDED}),
    State.RUNNING: frozenset({State.QUEUED, State.HELD, State.ENDED}),
    State.HELD: frozenset({State.QUEUED, State.REMOVED}),
    State.ENDED: frozenset(),
    State.REMOVED: frozenset(),
}
"""From each state, those that may follow."""

LIVE = frozenset({State.STARTING, State.RUNNING})
OVER = frozenset({State.ENDED, State.REMOVED})


class Pinned(Frozen):
    """One file as it was at submission. ``path``: of the copy. ``was``: where it lay."""

    path: str
    was: str
    sha256: str


class Submission(Frozen):
    """What somebody asked for. ``needs_s``, ``worst_s``: of real time, preparation and closing included.

    ``files``: experiment, rig and twin, pinned. ``program``: version and revision. ``state_folder``: of the rig.
    ``cut_short``: the experiment says what happens when booked time ends, so that it may. ``resumes``: after a death it goes
    on by itself. ``speed``: ``1``, a number or ``max``.
    """

    name: str
    rig: str
    station: str
    zone: str
    cell: str
    files: Mapping[str, Pinned]
    program: str
    out: str
    state_folder: str
    times: Times
    needs_s: float
    worst_s: float
    cut_short: bool = False
    resumes: bool = False
    repeat: int = 1
    speed: str = "1"
    seed: int = 0
    who: str = ""
    submitted_utc_ns: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """Where the cell is loaded."""
        return (self.rig, self.station)


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission and its fate. ``loaded_utc_ns``: when a person said that the cell is in the magnet; None: not yet.

    ``left``: runs still owed. ``attempts``: starts so far, given-up ones included. ``run``: the newest run folder, ``died``
    when its rig went without its end. ``exit_code``: of the newest run that ended.
    """

    id: int
    asked: Submission
    state: State
    why: str
    priority: int
    order: int
    loaded_utc_ns: int | None
    left: int
    attempts: int
    run: str
    died: bool
    exit_code: int | None
    program: str
    changed_utc_ns: int

    @property
    def blocks_rig(self) -> bool:
        """Does a person look first before anything else starts on this rig?"""
        return self.state in LIVE or (self.state is State.HELD and self.attempts > 0)

    def attempt_folder(self, home: Path) -> Path:
        """Of the newest start."""
        return entry_folder(home, self.id) / f"start-{self.attempts}"


def entry_folder(home: Path, number: int) -> Path:
    """Where the copies of an entry and the traces of its starts lie."""
    return home / "queue" / f"{number:05d}"
