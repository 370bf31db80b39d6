"""When the guard acts: silence, stale samples, a closed line; and when it does not."""

from __future__ import annotations

import pytest

from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.watch import Watch, silence_limit_s


def beat(**changes: object) -> Heartbeat:
    values = {"pid": 1, "started": 1.0, "cell": "on", "order": "open circuit", "last_sample_age_s": 0.1, **changes}
    return Heartbeat(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host_lost_s", "make_safe_s", "limit_s"), [(60.0, 3.0, 10.0), (10.0, 1.0, 3.0), (4.0, 1.0, 2.0), (600.0, 5.0, 10.0)]
)
def test_silence_limit_leaves_time_to_act(host_lost_s: float, make_safe_s: float, limit_s: float) -> None:
    assert silence_limit_s(host_lost_s, make_safe_s) == limit_s


def test_nothing_is_due_while_heartbeats_come() -> None:
    watch = Watch(3.0, 0.0)
    for second in range(60):
        watch.beat(beat(), float(second))
        assert watch.due(second + 0.9) is None


def test_silence_is_due_after_the_limit_only() -> None:
    watch = Watch(3.0, 0.0)
    watch.beat(beat(last_sample_age_s=None), 10.0)
    assert watch.due(13.0) is None
    due = watch.due(13.1)
    assert due is not None
    assert "no heartbeat for 3.1 s" in due.why
    assert due.at_s == 13.1


def test_silence_before_the_first_heartbeat_counts() -> None:
    assert Watch(3.0, 0.0).due(3.5) is not None


def test_stale_samples_are_due_although_heartbeats_come() -> None:
    watch = Watch(3.0, 0.0)
    watch.beat(beat(last_sample_age_s=2.9), 10.0)
    assert watch.due(10.0) is None
    watch.beat(beat(last_sample_age_s=3.2), 11.0)
    due = watch.due(11.0)
    assert due is not None
    assert "no sample for 3.2 s" in due.why


def test_no_samples_expected_is_not_stale() -> None:
    watch = Watch(3.0, 0.0)
    watch.beat(beat(last_sample_age_s=None, cell="off"), 10.0)
    assert watch.due(12.9) is None


def test_a_closed_line_is_due_at_once() -> None:
    watch = Watch(3.0, 0.0)
    watch.beat(beat(), 10.0)
    watch.end("the line to the rig closed")
    due = watch.due(10.0)
    assert due is not None
    assert due.why == "the line to the rig closed"


def test_a_device_that_may_finish_gets_its_time() -> None:
    watch = Watch(3.0, 0.0)
    watch.beat(beat(order="let the device finish", finish_within_s=120.0), 10.0)
    watch.end("gone")
    due = watch.due(11.0)
    assert due is not None
    assert due.at_s == 131.0


def test_stood_down_is_never_due() -> None:
    watch = Watch(3.0, 0.0)
    watch.end("gone")
    watch.stand_down()
    assert watch.due(1000.0) is None
