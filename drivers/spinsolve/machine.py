"""The states of one acquisition, as a table. Pure.

The wire has no question "what are you doing": what is known is what was said, in an order that is not guaranteed. ``Ready`` (the
scans are over, with the folder) and ``Completed`` (the files are saved) come either way round; both are waited for.

    starting ──Running──► running ──Ready──► saved_pending ──Completed──► finished ──files──► verified
        │ Error              │ └──Completed──► ready_pending ──Ready, or 10 s──┘ ▲
        ▼                    └──Abort──► stopping ──Ready / Completed──► …       │ files found by key
      failed                                                                     │
    starting ──10 s──► unknown ◄── link lost, foreign run over ── any ───────────┘
                         └──nothing heard, nothing filed──► failed
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where an acquisition stands. ``foreign_run``: the console has begun something of somebody else's meanwhile."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SAVED_PENDING = "saved_pending"
    READY_PENDING = "ready_pending"
    FINISHED = "finished"
    VERIFIED = "verified"
    FAILED = "failed"
    UNKNOWN = "unknown"
    FOREIGN_RUN = "foreign_run"


class Sign(StrEnum):
    """What moves it on: the console's words, the files, a timer, the link."""

    START = "start"
    RUNNING = "running"
    PROGRESS = "progress"
    STOPPING = "stopping"
    READY = "ready"
    COMPLETED = "completed"
    ERROR = "error"
    TIMER = "timer"
    FILES = "files"
    LINK_LOST = "link_lost"
    FOREIGN = "foreign"
    FOREIGN_OVER = "foreign_over"


OVER = frozenset({Phase.FINISHED, Phase.VERIFIED, Phase.FAILED})
"""The console has nothing more to say about it."""

_P, _S = Phase, Sign
_UNDER_WAY = (_P.STARTING, _P.RUNNING, _P.STOPPING, _P.SAVED_PENDING, _P.READY_PENDING, _P.UNKNOWN)

TABLE: dict[tuple[Phase, Sign], Phase] = {
    (_P.IDLE, _S.START): _P.STARTING,
    (_P.STARTING, _S.RUNNING): _P.RUNNING,
    (_P.STARTING, _S.ERROR): _P.FAILED,
    (_P.STARTING, _S.TIMER): _P.UNKNOWN,
    (_P.UNKNOWN, _S.TIMER): _P.FAILED,
    (_P.SAVED_PENDING, _S.TIMER): _P.UNKNOWN,
    (_P.READY_PENDING, _S.TIMER): _P.FINISHED,
    (_P.SAVED_PENDING, _S.COMPLETED): _P.FINISHED,
    (_P.READY_PENDING, _S.READY): _P.FINISHED,
    (_P.FINISHED, _S.FILES): _P.VERIFIED,
    (_P.FINISHED, _S.TIMER): _P.FAILED,
    (_P.FOREIGN_RUN, _S.FOREIGN_OVER): _P.UNKNOWN,
    (_P.FOREIGN_RUN, _S.ERROR): _P.FAILED,
    (_P.FOREIGN_RUN, _S.TIMER): _P.FAILED,
}
for _from in (_P.RUNNING, _P.STOPPING, _P.UNKNOWN, _P.FOREIGN_RUN):  # not starting: there it is the last run's, come late
    TABLE[_from, _S.STOPPING] = _P.STOPPING
    TABLE[_from, _S.READY] = _P.SAVED_PENDING
    TABLE[_from, _S.COMPLETED] = _P.READY_PENDING
for _from in (_P.UNKNOWN, _P.FOREIGN_RUN):
    TABLE[_from, _S.RUNNING] = TABLE[_from, _S.PROGRESS] = _P.RUNNING
for _from in _UNDER_WAY:
    TABLE[_from, _S.FOREIGN] = _P.FOREIGN_RUN
for _from in (*_UNDER_WAY, _P.FOREIGN_RUN):
    TABLE[_from, _S.LINK_LOST] = _P.UNKNOWN
for _from in (_P.UNKNOWN, _P.RUNNING, _P.STOPPING, _P.FOREIGN_RUN):
    TABLE[_from, _S.FILES] = _P.FINISHED
TABLE[_P.RUNNING, _S.TIMER] = TABLE[_P.STOPPING, _S.TIMER] = _P.FAILED


def after(phase: Phase, sign: Sign) -> Phase:
    """Where a sign leads; a sign that a phase has no use for leaves it where it is."""
    return TABLE.get((phase, sign), phase)
