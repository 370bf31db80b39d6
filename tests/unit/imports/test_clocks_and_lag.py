"""What a stamp means, and by how much clocks differ: bounds from arrivals, best lag of an area behind the charge."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.follow.clocks import BadZone, dated, instant_ns, interval_of, utc_ns, zone_of
from drivers.follow.cycler import resolved
from drivers.follow.tails import Start, Unreadable
from orchestrator.imports.lag import Bounds, best_lag, between

BERLIN = ZoneInfo("Europe/Berlin")


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 10**6


def test_DATE_of_a_bruker_file_is_the_end_of_the_scan():
    found = interval_of({"DATE": "1691753543"}, None, None, 10**6, UTC)
    assert found.start_ns is None
    assert found.end_ns == 1691753543 * 10**9
    assert found.half_width_ns == 10**9


def test_an_audit_trail_is_believed_before_DATE():
    found = interval_of({"DATE": "1691753543"}, 5, 7, 10**6, UTC)
    assert (found.start_ns, found.end_ns, found.half_width_ns) == (5, 7, 10**6)


def test_vnmrj_says_local_time():
    stamps = {"time_run": "20231118T023054", "time_complete": "20231118T023157"}
    found = interval_of(stamps, None, None, 10**9, BERLIN)
    assert found.start_ns == ns("2023-11-18T01:30:54+00:00")
    assert found.end_ns == ns("2023-11-18T01:31:57+00:00")


def test_spinsolve_says_when_it_began_and_not_when_it_ended():
    found = interval_of({"CurrentTime": "2024-05-02T10:11:12.5"}, None, None, 1000, BERLIN)
    assert found.start_ns == ns("2024-05-02T08:11:12.500000+00:00")
    assert found.end_ns is None


def test_a_date_that_can_be_read_both_ways_is_not_guessed_without_a_hint():
    start = Start(local=dated("03/04/2023 10:00:00"), text="03/04/2023 10:00:00")
    with pytest.raises(Unreadable, match="--date-order"):
        resolved(start, UTC, "", None)
    assert resolved(start, UTC, "dmy", None)[0] == ns("2023-04-03T10:00:00+00:00")
    near, how = resolved(start, UTC, "", ns("2023-03-05T00:00:00+00:00"))
    assert near == ns("2023-03-04T10:00:00+00:00")
    assert "nearer" in how
    assert resolved(Start(local=dated("11/14/2023 17:25:01.017")), UTC, "", None)[0] == ns("2023-11-14T17:25:01.017000+00:00")


def test_words_that_are_no_time():
    assert dated("nothing") == {}
    assert instant_ns("nothing", UTC) is None
    with pytest.raises(BadZone, match="Mars"):
        zone_of("Mars/Olympus")
    with pytest.raises(Unreadable, match="soon"):
        resolved(Start(text="soon"), UTC, "", None)


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))
def test_every_date_is_among_its_readings(moment):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    text = f"{moment:%m/%d/%Y %H:%M:%S}.{moment.microsecond // 1000:03d}"
    assert dated(text)["mdy"] == moment
    assert utc_ns(moment, UTC) == round((moment - datetime(1970, 1, 1)).total_seconds() * 1000) * 10**6


@settings(max_examples=60)
@given(
    offset_s=st.floats(-4000, 4000),
    seed=st.integers(0, 2**16),
    n=st.integers(1, 40),
    poll_s=st.sampled_from([0.5, 5.0]),
    resolution_s=st.sampled_from([0.001, 1.0]),
)
def test_the_truth_lies_within_the_bounds(offset_s, seed, n, poll_s, resolution_s):
    noise = np.random.default_rng(seed)
    bounds = Bounds()
    for written_s in np.cumsum(noise.uniform(20, 400, n)):
        theirs_s = written_s - offset_s - noise.uniform(0, 2.0)
        stamp_s = np.floor(theirs_s / resolution_s) * resolution_s
        at_s = np.ceil(written_s / poll_s) * poll_s
        bounds.add(stamp_s, at_s - poll_s, at_s, late_s=2.0, resolution_s=resolution_s)
    assert bounds.known
    assert abs(bounds.middle_s - offset_s) <= bounds.half_width_s + 1e-9
    assert bounds.half_width_s <= (poll_s + resolution_s + 2.0) / 2 + 1e-9


def test_an_arrival_that_came_late_does_not_count():
    bounds = Bounds()
    for written_s in (100.0, 300.0, 900.0):
        bounds.add(written_s, written_s - 1, written_s, late_s=1.0, resolution_s=0.0)
    bounds.add(1000.0, 1059.0, 1060.0, late_s=1.0, resolution_s=0.0)
    assert abs(bounds.middle_s) <= bounds.half_width_s
    assert bounds.broken == 1
    late_first = Bounds()
    late_first.add(100.0, 159.0, 160.0, late_s=1.0, resolution_s=0.0)
    late_first.add(300.0, 299.0, 300.0, late_s=1.0, resolution_s=0.0)
    assert abs(late_first.middle_s) <= late_first.half_width_s


def test_what_was_copied_there_later_says_nothing_of_clocks():
    bounds = Bounds()
    bounds.add(0.0, 9e7, 9e7 + 1, late_s=1.0, resolution_s=1.0)
    assert not bounds.known


def test_both_uncertainties_add_up():
    one, other = Bounds(), Bounds()
    one.add(0.0, 10.0, 12.0, late_s=0.0, resolution_s=0.0)
    other.add(0.0, -5.0, -1.0, late_s=0.0, resolution_s=0.0)
    found = between(one, other)
    assert (found.seconds, found.half_width_s) == (14.0, 3.0)


def cycled(lag_s: float, noise_sd: float, seed: int, *, n: int = 90):
    """Areas that follow the charge of a cell cycled with ±1 mA, measured for 200 s each, stamped by a clock that is ``lag_s`` ahead."""
    noise = np.random.default_rng(seed)
    ec_s = np.arange(0.0, n * 300.0, 10.0)
    current_A = np.where((ec_s // 3600).astype(int) % 2, -1e-3, 1e-3)
    charge_C = np.concatenate([[0.0], np.cumsum(np.diff(ec_s) * (current_A[1:] + current_A[:-1]) / 2)])
    start_s = np.arange(n - 2) * 300.0 + 60.0
    end_s = start_s + 200.0
    mean_C = [np.interp(np.linspace(a, b, 200), ec_s, charge_C).mean() for a, b in zip(start_s, end_s, strict=True)]
    area = 5.0 + 2.0 * np.array(mean_C) + noise.normal(0, noise_sd, n - 2)
    return start_s + lag_s, end_s + lag_s, area, ec_s, current_A


@pytest.mark.parametrize("lag_s", [-600.0, 0.0, 137.0])
def test_the_best_lag_is_the_difference_of_the_clocks(lag_s):
    inside = 0
    for seed in range(12):
        found = best_lag(*cycled(lag_s, 0.05, seed), longest_s=2000.0)
        assert found is not None
        assert found.half_width_s < 20
        inside += abs(found.seconds - lag_s) <= found.half_width_s
    assert inside >= 10  # two sigma: nineteen of twenty


def test_half_a_period_of_cycling_is_another_answer_and_so_there_is_none():
    assert best_lag(*cycled(0.0, 0.05, 1), longest_s=5000.0) is None


def test_areas_that_know_nothing_of_the_charge_give_no_lag():
    start, end, area, ec_s, current_A = cycled(0.0, 0.05, 1)
    assert best_lag(start, end, np.random.default_rng(2).normal(size=area.size), ec_s, current_A, longest_s=3600.0) is None
    assert best_lag(start, end, area, ec_s, np.full_like(current_A, 1e-3), longest_s=3600.0) is None
    assert best_lag(start[:5], end[:5], area[:5], ec_s, current_A, longest_s=3600.0) is None
