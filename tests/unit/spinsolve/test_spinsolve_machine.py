"""The table of states: every pair, and that each state can be reached and left."""

from __future__ import annotations

import itertools

import pytest

from drivers.spinsolve.machine import OVER, TABLE, Phase, Sign, after

EXPECTED = {
    Phase.IDLE: {Sign.START: Phase.STARTING},
    Phase.STARTING: {
        Sign.RUNNING: Phase.RUNNING,
        Sign.ERROR: Phase.FAILED,
        Sign.TIMER: Phase.UNKNOWN,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.RUNNING: {
        Sign.STOPPING: Phase.STOPPING,
        Sign.READY: Phase.SAVED_PENDING,
        Sign.COMPLETED: Phase.READY_PENDING,
        Sign.FILES: Phase.FINISHED,
        Sign.TIMER: Phase.FAILED,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.STOPPING: {
        Sign.READY: Phase.SAVED_PENDING,
        Sign.COMPLETED: Phase.READY_PENDING,
        Sign.FILES: Phase.FINISHED,
        Sign.TIMER: Phase.FAILED,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.SAVED_PENDING: {
        Sign.COMPLETED: Phase.FINISHED,
        Sign.TIMER: Phase.UNKNOWN,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.READY_PENDING: {
        Sign.READY: Phase.FINISHED,
        Sign.TIMER: Phase.FINISHED,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.FINISHED: {Sign.FILES: Phase.VERIFIED, Sign.TIMER: Phase.FAILED},
    Phase.VERIFIED: {},
    Phase.FAILED: {},
    Phase.UNKNOWN: {
        Sign.RUNNING: Phase.RUNNING,
        Sign.PROGRESS: Phase.RUNNING,
        Sign.STOPPING: Phase.STOPPING,
        Sign.READY: Phase.SAVED_PENDING,
        Sign.COMPLETED: Phase.READY_PENDING,
        Sign.FILES: Phase.FINISHED,
        Sign.TIMER: Phase.FAILED,
        Sign.FOREIGN: Phase.FOREIGN_RUN,
    },
    Phase.FOREIGN_RUN: {
        Sign.RUNNING: Phase.RUNNING,
        Sign.PROGRESS: Phase.RUNNING,
        Sign.STOPPING: Phase.STOPPING,
        Sign.READY: Phase.SAVED_PENDING,
        Sign.COMPLETED: Phase.READY_PENDING,
        Sign.ERROR: Phase.FAILED,
        Sign.FILES: Phase.FINISHED,
        Sign.TIMER: Phase.FAILED,
        Sign.LINK_LOST: Phase.UNKNOWN,
        Sign.FOREIGN_OVER: Phase.UNKNOWN,
    },
}


@pytest.mark.parametrize(("phase", "sign"), list(itertools.product(Phase, Sign)))
def test_every_pair(phase: Phase, sign: Sign) -> None:
    assert after(phase, sign) is EXPECTED[phase].get(sign, phase)


def test_every_state_is_reached_and_none_is_a_trap() -> None:
    reached = {Phase.IDLE}
    while more := {to for (phase, _), to in TABLE.items() if phase in reached} - reached:
        reached |= more
    assert reached == set(Phase)
    ends = {Phase.VERIFIED, Phase.FAILED}
    while more := {phase for (phase, _), to in TABLE.items() if to in ends} - ends:
        ends |= more
    assert ends == set(Phase)


def test_what_is_over_says_nothing_more() -> None:
    console = {Sign.RUNNING, Sign.PROGRESS, Sign.STOPPING, Sign.READY, Sign.COMPLETED, Sign.ERROR, Sign.LINK_LOST, Sign.FOREIGN}
    assert all(after(phase, sign) is phase for phase in OVER for sign in console)
