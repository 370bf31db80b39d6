"""The two state tables of the house, as data: what a Run and what an Acquisition may become next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHING = "finishing"
    FINISHED = "finished"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"


class AcquisitionState(StrEnum):
    """Where one acquisition stands; for an array, where its slowest block stands."""

    REQUESTED = "requested"
    ARMED = "armed"
    ACQUIRING = "acquiring"
    ACQUIRED = "acquired"
    FILED = "filed"
    STORED = "stored"
    VERIFIED = "verified"
    MISSED = "missed"
    REJECTED = "rejected"
    LOST = "lost"


State = TypeVar("State", RunState, AcquisitionState)
Table = Mapping[State, frozenset[State]]

_R, _A = RunState, AcquisitionState

RUN: Table[RunState] = MappingProxyType(
    {
        _R.QUEUED: frozenset({_R.PREPARING, _R.FAILED}),
        _R.PREPARING: frozenset({_R.RUNNING, _R.FINISHING, _R.ABORTING, _R.FAILED}),
        _R.RUNNING: frozenset({_R.PAUSED, _R.FINISHING, _R.ABORTING, _R.FAILED}),
        _R.PAUSED: frozenset({_R.RUNNING, _R.FINISHING, _R.ABORTING, _R.FAILED}),
        _R.FINISHING: frozenset({_R.FINISHED, _R.ABORTING, _R.FAILED}),
        _R.ABORTING: frozenset({_R.ABORTED, _R.FAILED}),
        _R.FINISHED: frozenset(),
        _R.ABORTED: frozenset(),
        _R.FAILED: frozenset(),
    }
)

ACQUISITION: Table[AcquisitionState] = MappingProxyType(
    {
        _A.REQUESTED: frozenset({_A.ARMED, _A.MISSED, _A.REJECTED}),
        _A.ARMED: frozenset({_A.ACQUIRING, _A.MISSED, _A.REJECTED, _A.LOST}),
        _A.ACQUIRING: frozenset({_A.ACQUIRED, _A.LOST}),
        _A.ACQUIRED: frozenset({_A.FILED, _A.LOST}),
        _A.FILED: frozenset({_A.STORED, _A.LOST}),
        _A.STORED: frozenset({_A.VERIFIED, _A.LOST}),
        _A.VERIFIED: frozenset(),
        _A.MISSED: frozenset(),
        _A.REJECTED: frozenset(),
        _A.LOST: frozenset(),
    }
)

LIVE = frozenset({_R.PREPARING, _R.RUNNING, _R.PAUSED, _R.FINISHING})
"""Run states in which the cell may be under current: every way out of them passes make_safe."""


class IllegalTransition(Exception):
    """Somebody asked for a change that the table does not have: a fault of ours."""


def advance(table: Table[State], now: State, to: State) -> State:
    """The new state; raises IllegalTransition where the table has no such pair."""
    if to not in table[now]:
        raise IllegalTransition(f"{now} does not become {to}; it becomes {', '.join(sorted(table[now])) or 'nothing'}")
    return to


def ended(state: AcquisitionState) -> bool:
    """True when nothing follows."""
    return not ACQUISITION[state]
