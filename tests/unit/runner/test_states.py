"""Every pair of both state tables, walked."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.runner.states import ACQUISITION, LIVE, RUN, AcquisitionState, IllegalTransition, RunState, advance, ended

R, A = RunState, AcquisitionState

RUN_AS_WRITTEN = {
    "queued": "preparing failed",
    "preparing": "running finishing aborting failed",
    "running": "paused finishing aborting failed",
    "paused": "running finishing aborting failed",
    "finishing": "finished aborting failed",
    "aborting": "aborted failed",
    "finished": "",
    "aborted": "",
    "failed": "",
}
ACQUISITION_AS_WRITTEN = {
    "requested": "armed missed rejected",
    "armed": "acquiring missed rejected lost",
    "acquiring": "acquired lost",
    "acquired": "filed lost",
    "filed": "stored lost",
    "stored": "verified lost",
    "verified": "",
    "missed": "",
    "rejected": "",
    "lost": "",
}


@pytest.mark.parametrize(("now", "to"), list(product(RunState, RunState)))
def test_every_pair_of_a_run(now: RunState, to: RunState) -> None:
    if to.value in RUN_AS_WRITTEN[now.value].split():
        assert advance(RUN, now, to) is to
    else:
        with pytest.raises(IllegalTransition, match=f"{now} does not become {to}"):
            advance(RUN, now, to)


@pytest.mark.parametrize(("now", "to"), list(product(AcquisitionState, AcquisitionState)))
def test_every_pair_of_an_acquisition(now: AcquisitionState, to: AcquisitionState) -> None:
    if to.value in ACQUISITION_AS_WRITTEN[now.value].split():
        assert advance(ACQUISITION, now, to) is to
    else:
        with pytest.raises(IllegalTransition):
            advance(ACQUISITION, now, to)


def test_every_state_is_in_its_table_and_can_be_reached() -> None:
    assert set(RUN) == set(RunState)
    assert set(ACQUISITION) == set(AcquisitionState)
    assert {to for targets in RUN.values() for to in targets} == set(RunState) - {R.QUEUED}
    assert {to for targets in ACQUISITION.values() for to in targets} == set(AcquisitionState) - {A.REQUESTED}


def test_the_ends_of_an_acquisition() -> None:
    assert {state for state in AcquisitionState if ended(state)} == {A.VERIFIED, A.MISSED, A.REJECTED, A.LOST}


def test_every_live_state_may_fail_and_be_aborted() -> None:
    assert all({R.FAILED, R.ABORTING} <= RUN[state] for state in LIVE)
