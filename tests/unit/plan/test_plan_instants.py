"""Instants and durations as people write and read them."""

from __future__ import annotations

import pytest

from orchestrator.plan.instants import local, spoken, utc_ns, zone_of
from orchestrator.plan.resolve import Unresolved

SEVEN_UTC = 1_772_434_800 * 10**9


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-03-02 08:00", "Europe/Berlin"),
        ("2026-03-02T07:00Z", "Europe/Berlin"),
        ("2026-03-02T07:00", "UTC"),
        ("2026-03-02 07:00 UTC", "Europe/Berlin"),
        ("2026-03-02 08:00 Europe/Berlin", "UTC"),
        ("2026-03-02T02:00-05:00", "UTC"),
    ],
)
def test_the_same_instant_in_many_words(text: str, zone: str) -> None:
    assert utc_ns(text, zone) == SEVEN_UTC


def test_summer_time_is_the_zones_business() -> None:
    before, after = utc_ns("2026-03-28 08:00", "Europe/Berlin"), utc_ns("2026-03-29 08:00", "Europe/Berlin")
    assert after - before == 23 * 3600 * 10**9
    assert f"{local(after, 'Europe/Berlin'):%H:%M}" == "08:00"


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "08:00", ""])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(Unresolved):
        utc_ns(text, "UTC")


def test_an_unknown_zone_is_said() -> None:
    with pytest.raises(Unresolved, match="Europe/Berlim"):
        zone_of("Europe/Berlim")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (58.08, "58.1 s"),
        (89, "89 s"),
        (344, "5.73 min"),
        (3590, "59.8 min"),
        (3600, "1 h"),
        (52.5 * 3600, "52.5 h"),
        (7.2e5, "200 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
