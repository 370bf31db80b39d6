"""Instants as people write and read them: UTC nanoseconds ↔ text in a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.plan.resolve import Unresolved

NS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> tzinfo:
    """A zone by its IANA name; raises Unresolved for a name nobody knows."""
    try:
        return UTC if name.upper() in {"UTC", "Z"} else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unresolved(f"no time zone is called `{name}`", "write an IANA name such as Europe/Berlin, or UTC") from error


def local(utc_ns: int, zone: str) -> datetime:
    """The instant in a zone, to the second."""
    return (EPOCH + timedelta(seconds=utc_ns // NS)).astimezone(zone_of(zone))


def utc_ns(text: str, zone: str) -> int:
    """``2026-03-02 08:00``, with an offset, ``Z``, ``UTC`` or a zone's name behind it; without one it is local to ``zone``."""
    words = text.strip().split()
    named = zone_of(words.pop()) if len(words) > 1 and words[-1][0].isalpha() else None
    try:
        moment = datetime.fromisoformat(" ".join(words))
    except ValueError as error:
        raise Unresolved(f"`{text}` is no date and time", "write 2026-03-02 08:00, or 2026-03-02T07:00Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=named or zone_of(zone))
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def spoken(seconds: float) -> str:
    """A duration as people say it: ``58 s``, ``5.7 min``, ``52.5 h``."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    if seconds < 3600 - 0.5:
        return f"{seconds / 60:.3g} min"
    return f"{round(seconds / 3600, 1):g} h"
