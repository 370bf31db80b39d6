"""When a run may go on: not before, must end by, a booking, nightly windows. Pure; instants are UTC nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from orchestrator.model.values import Frozen
from orchestrator.plan.instants import NS, local, spoken, utc_ns, zone_of

NIGHTLY = re.compile(r"(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")
DAYS_AHEAD = 60
LEAST_s = 3600.0
"""A run that may be cut short is not begun for less than this."""


class BadTime(ValueError):
    """A window or a booking that nobody understands."""


class Opening(NamedTuple):
    """A time in which a run may go on. ``end_ns`` None: without end."""

    start_ns: int
    end_ns: int | None

    @property
    def has_s(self) -> float:
        """How long it is."""
        return float("inf") if self.end_ns is None else (self.end_ns - self.start_ns) / NS


class Times(Frozen):
    """What was asked for. ``nightly``: ``19:00-08:00`` and its like, by the clock of ``zone``."""

    zone: str = "UTC"
    not_before_ns: int | None = None
    must_end_by_ns: int | None = None
    booking: tuple[int, int] | None = None
    nightly: tuple[str, ...] = ()

    @property
    def bounded(self) -> bool:
        """Is there an end by which it must be over?"""
        return bool(self.nightly) or self.booking is not None or self.must_end_by_ns is not None


def times_of(
    zone: str,
    *,
    not_before: str | None = None,
    must_end_by: Iterable[str | None] = (),
    booking: str | None = None,
    nightly: Iterable[str] = (),
) -> Times:
    """What people write. Raises BadTime, Unresolved."""
    ends = [utc_ns(text, zone) for text in must_end_by if text]
    windows = tuple(f"{a:%H:%M}-{b:%H:%M}" for a, b in map(nightly_of, nightly))
    begin = utc_ns(not_before, zone) if not_before else None
    return Times(zone=zone, not_before_ns=begin, must_end_by_ns=min(ends, default=None), booking=_booking(booking, zone), nightly=windows)


def nightly_of(text: str) -> tuple[time, time]:
    """``19:00-08:00``: two times of day; the second may be of the next day. Raises BadTime."""
    match = NIGHTLY.fullmatch(text.strip())
    if match is None:
        raise BadTime(f"`{text}` is no window; write 19:00-08:00")
    try:
        first, last = time.fromisoformat(match[1].zfill(5)), time.fromisoformat(match[2].zfill(5))
    except ValueError:
        raise BadTime(f"`{text}` is no window: a day has 24 hours of 60 minutes") from None
    if first == last:
        raise BadTime(f"`{text}` begins when it ends; leave it out for the whole day")
    return first, last


def _booking(text: str | None, zone: str) -> tuple[int, int] | None:
    if not text:
        return None
    first, found, last = text.partition("..")
    if not found:
        raise BadTime(f"`{text}` is no booking; write 2026-03-01 19:00..2026-03-02 08:00")
    booking = (utc_ns(first.strip(), zone), utc_ns(last.strip(), zone))
    if booking[0] >= booking[1]:
        raise BadTime(f"`{text}`: the booking ends before it begins")
    return booking


def openings(times: Times, now_ns: int) -> Iterator[Opening]:
    """The openings from now on, in order; the first may have begun."""
    first = max(now_ns, times.not_before_ns or 0, times.booking[0] if times.booking else 0)
    ends = [end for end in (times.must_end_by_ns, times.booking[1] if times.booking else None) if end is not None]
    last = min(ends, default=None)
    if not times.nightly:
        if last is None or last > first:
            yield Opening(first, last)
        return
    day = local(first, times.zone).date() - timedelta(days=1)
    for ahead in range(DAYS_AHEAD):
        for start, end in sorted(_window(text, day + timedelta(days=ahead), times.zone) for text in times.nightly):
            opening = Opening(max(start, first), end if last is None else min(end, last))
            if opening.has_s > 0:
                yield opening


def _window(text: str, day: date, zone: str) -> tuple[int, int]:
    """A window of one day, its wall clock as the zone has it that day."""
    start, end = nightly_of(text)
    return _instant(day, start, zone), _instant(day + timedelta(days=1) if end <= start else day, end, zone)


def _instant(day: date, at: time, zone: str) -> int:
    return int(datetime.combine(day, at, zone_of(zone)).timestamp()) * NS


def needs_now(needs_s: float, *, cut_short: bool) -> float:
    """What must be left of an opening for a run to begin in it."""
    return min(needs_s, LEAST_s) if cut_short else needs_s


def first_fit(times: Times, now_ns: int, needs_s: float, *, cut_short: bool = False) -> Opening | None:
    """The first opening that is long enough; None where none is."""
    least_s = needs_now(needs_s, cut_short=cut_short)
    return next((one for one in openings(times, now_ns) if one.has_s >= least_s), None)


def said(opening: Opening, zone: str) -> str:
    """``Mon 02 Mar 19:00 to Tue 03 Mar 08:00 (13 h)``."""
    if opening.end_ns is None:
        return f"from {local(opening.start_ns, zone):%a %d %b %H:%M}"
    return f"{local(opening.start_ns, zone):%a %d %b %H:%M} to {local(opening.end_ns, zone):%a %d %b %H:%M} ({spoken(opening.has_s)})"


def refusal(times: Times, now_ns: int, needs_s: float, worst_s: float) -> str:
    """Why nothing fits, with the arithmetic."""
    needs = f"the run needs {spoken(needs_s)} (at worst {spoken(worst_s)})"
    longest = max(openings(times, now_ns), key=lambda one: one.has_s, default=None)
    if longest is None:
        return f"{needs}, but no time is left: its window is over"
    short_s = needs_s - longest.has_s
    has = f"{needs}, but the longest time it may have is {said(longest, times.zone)}: {spoken(short_s)} too long"
    return f"{has}; fewer cycles, more current, a longer window, or say in the experiment what happens then: `when_booking_ends`"


def arithmetic(opening: Opening, zone: str, needs_s: float, worst_s: float) -> str:
    """What a run needs against what it has."""
    text = f"needs {spoken(needs_s)}, at worst {spoken(worst_s)}; {said(opening, zone)}"
    if opening.has_s < needs_s:
        return f"{text}: cut short by {spoken(needs_s - opening.has_s)} or more, as `when_booking_ends` says"
    if opening.has_s < worst_s:
        return f"{text}: at worst cut short by {spoken(worst_s - opening.has_s)}"
    return text
