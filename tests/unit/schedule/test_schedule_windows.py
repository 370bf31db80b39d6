"""When a run may go on, and what is said where it does not fit."""

from __future__ import annotations

import itertools

import pytest

from orchestrator.plan.instants import NS, utc_ns
from orchestrator.schedule.summary import next_hour
from orchestrator.schedule.windows import BadTime, Opening, Times, arithmetic, first_fit, nightly_of, openings, refusal, said, times_of

ZONE = "Europe/Berlin"


def at(text: str) -> int:
    return utc_ns(text, ZONE)


def nights(*texts: str, **more: str) -> Times:
    return times_of(ZONE, nightly=texts, **more)  # type: ignore[arg-type]


def test_a_nightly_window_opens_each_evening_and_ends_next_morning() -> None:
    found = list(itertools.islice(openings(nights("19:00-08:00"), at("2026-03-02 12:00")), 2))
    assert found == [
        Opening(at("2026-03-02 19:00"), at("2026-03-03 08:00")),
        Opening(at("2026-03-03 19:00"), at("2026-03-04 08:00")),
    ]


def test_a_night_that_has_begun_counts_for_what_is_left_of_it() -> None:
    first = next(openings(nights("19:00-08:00"), at("2026-03-02 02:00")))
    assert first == Opening(at("2026-03-02 02:00"), at("2026-03-02 08:00"))
    assert first_fit(nights("19:00-08:00"), at("2026-03-02 02:00"), 7 * 3600) == Opening(at("2026-03-02 19:00"), at("2026-03-03 08:00"))


def test_the_nights_in_which_clocks_change_are_an_hour_longer_and_shorter() -> None:
    spring, autumn = (next(openings(nights("19:00-08:00"), at(text))) for text in ("2026-03-28 12:00", "2026-10-24 12:00"))
    assert (spring.has_s, autumn.has_s) == (12 * 3600, 14 * 3600)


def test_not_before_booking_and_must_end_by_cut_an_opening() -> None:
    booking = "2026-03-02 20:00..2026-03-03 06:00"
    times = nights("19:00-08:00", booking=booking, not_before="2026-03-02 21:00")
    assert list(openings(times, at("2026-03-01 12:00"))) == [Opening(at("2026-03-02 21:00"), at("2026-03-03 06:00"))]
    times = times_of(ZONE, must_end_by=["2026-03-02 20:00", None, "2026-03-02 18:00"])
    assert list(openings(times, at("2026-03-02 12:00"))) == [Opening(at("2026-03-02 12:00"), at("2026-03-02 18:00"))]
    assert list(openings(times, at("2026-03-02 18:00"))) == []


def test_without_times_it_may_begin_now_and_never_end() -> None:
    assert list(openings(times_of(ZONE), 5)) == [Opening(5, None)]
    assert first_fit(times_of(ZONE), 5, 1e9) == Opening(5, None)


def test_the_refusal_has_the_arithmetic() -> None:
    text = refusal(nights("19:00-08:00"), at("2026-03-02 12:00"), 14.5 * 3600, 20 * 3600)
    assert "the run needs 14.5 h (at worst 20 h)" in text
    assert "Mon 02 Mar 19:00 to Tue 03 Mar 08:00 (13 h): 1.5 h too long" in text
    over = refusal(times_of(ZONE, must_end_by=["2026-03-02 11:00"]), at("2026-03-02 12:00"), 60, 60)
    assert "its window is over" in over


def test_what_may_be_cut_short_fits_a_shorter_window_and_says_by_how_much() -> None:
    now = at("2026-03-02 12:00")
    assert first_fit(nights("19:00-08:00"), now, 20 * 3600) is None
    opening = first_fit(nights("19:00-08:00"), now, 20 * 3600, cut_short=True)
    assert opening is not None
    assert "cut short by 7 h or more, as `when_booking_ends` says" in arithmetic(opening, ZONE, 20 * 3600, 25 * 3600)
    assert "at worst cut short by 1 h" in arithmetic(opening, ZONE, 12 * 3600, 14 * 3600)
    assert "cut short" not in arithmetic(opening, ZONE, 12 * 3600, 13 * 3600)


@pytest.mark.parametrize("text", ["19-08", "19:00-25:00", "19:00", "8:00-8:00", ""])
def test_what_is_no_window_is_said(text: str) -> None:
    with pytest.raises(BadTime):
        nightly_of(text)


@pytest.mark.parametrize("text", ["2026-03-02 20:00", "2026-03-02 20:00..2026-03-02 19:00"])
def test_what_is_no_booking_is_said(text: str) -> None:
    with pytest.raises(BadTime):
        times_of(ZONE, booking=text)


def test_one_digit_hours_are_understood() -> None:
    assert times_of(ZONE, nightly=["9:00-17:30"]).nightly == ("09:00-17:30",)
    assert said(Opening(at("2026-03-02 12:00"), None), ZONE) == "from Mon 02 Mar 12:00"


def test_the_hour_of_a_summary_comes_once_a_day_by_the_rigs_clock() -> None:
    first = next_hour("07:00", at("2026-03-28 06:59"), ZONE)
    assert first == at("2026-03-28 07:00")
    assert next_hour("07:00", first, ZONE) - first == 23 * 3600 * NS, "the night in which clocks go forward"
