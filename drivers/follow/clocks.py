"""What a vendor's time stamp means in UTC. Pure.

A stamp without zone is local time of the computer that wrote it, which has to be told; EC-Lab writes the month first or the day
first, as its Windows does (inferred).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NS = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTH_FIRST, DAY_FIRST = "mdy", "dmy"
ORDERS = (MONTH_FIRST, DAY_FIRST)
_DATED = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})[ T]+(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?")
FORMS = ("%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S")


class BadZone(ValueError):
    """No such time zone."""


def zone_of(name: str) -> tzinfo:
    """An IANA zone; raises BadZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadZone(f"there is no time zone `{name}`; write `Europe/Berlin` or `UTC`") from None


def local_zone() -> str:
    """The IANA name of this computer's zone; ``UTC`` where it does not say one."""
    named = os.environ.get("TZ", "")
    if "/" in named and not named.startswith(("/", ":")):
        return named
    link = os.path.realpath("/etc/localtime")
    return link.partition("/zoneinfo/")[2] or "UTC"


def utc_ns(moment: datetime, zone: tzinfo) -> int:
    """Of a local time, or of one that has a zone of its own. Of an hour that comes twice in autumn the first."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return (aware.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """When something was measured, in UTC by the console's own clock; None where its files do not say."""

    start_ns: int | None
    end_ns: int | None
    half_width_ns: int


def interval_of(stamps: Mapping[str, str], start_ns: int | None, end_ns: int | None, resolution_ns: int, zone: tzinfo) -> Interval:
    """First scan's start and last scan's end by each console's convention.

    Bruker: the audit trail has both, with its zone; ``DATE`` is the **end** of the last scan. VnmrJ: ``time_run`` and
    ``time_complete``. Spinsolve: ``CurrentTime`` is the start (inferred), the end is not said.
    """
    start_ns = start_ns if start_ns is not None else _first(stamps, ("time_run", "CurrentTime"), zone)
    end_ns = end_ns if end_ns is not None else _first(stamps, ("time_complete",), zone)
    if end_ns is None and stamps.get("DATE", "").isdigit() and int(stamps["DATE"]) > 0:
        end_ns, resolution_ns = int(stamps["DATE"]) * NS, max(resolution_ns, NS)
    return Interval(start_ns, end_ns, resolution_ns)


def saved_ns(stamps: Mapping[str, str], names: Sequence[str], zone: tzinfo) -> int | None:
    """When the vendor wrote the files, by the first of these stamps that is there."""
    return _first(stamps, names, zone)


def _first(stamps: Mapping[str, str], names: Sequence[str], zone: tzinfo) -> int | None:
    found = (instant_ns(stamps[name], zone) for name in names if name in stamps)
    return next((instant for instant in found if instant is not None), None)


def instant_ns(text: str, zone: tzinfo) -> int | None:
    """A stamp as UTC nanoseconds; None where it is none."""
    if text.isdigit() and len(text) == 10:
        return int(text) * NS
    for form in (*FORMS, "%Y-%m-%d %H:%M:%S.%f %z", "%Y-%m-%d %H:%M:%S %z"):
        try:
            return utc_ns(datetime.strptime(text, form), zone)  # noqa: DTZ007  utc_ns gives it the zone
        except ValueError:
            continue
    return None


def dated(text: str) -> dict[str, datetime]:
    """``11/14/2023 17:25:01.017`` by each order of day and month that makes a date of it; none where it is no date."""
    match = _DATED.search(text)
    if match is None:
        return {}
    first, second, third, hour, minute, whole = (int(match[n]) for n in range(1, 7))
    microsecond = int((match[7] or "0").ljust(6, "0")[:6])
    if first > 31:
        readings = {MONTH_FIRST: (first, second, third), DAY_FIRST: (first, second, third)}
    else:
        readings = {MONTH_FIRST: (third, first, second), DAY_FIRST: (third, second, first)}
    found: dict[str, datetime] = {}
    for order, (year, month, day) in readings.items():
        try:
            found[order] = datetime(year, month, day, hour, minute, whole, microsecond)  # noqa: DTZ001  the file says no zone
        except ValueError:
            continue
    return found
