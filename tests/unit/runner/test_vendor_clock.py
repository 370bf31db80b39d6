"""Times that nobody heard: by the console's stamps and the measured offset of its clock, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.base import ClockSample, VendorTimes
from orchestrator.runner.vendor_clock import aged, placed

S = 1_000_000_000
FAST_S = 2 * 3600 + 54 * 60
"""How far the clock of a DD2 workstation was found ahead."""
EPOCH_NS = 1_700_000_000 * S
SAMPLE = ClockSample(device_ns=EPOCH_NS + (1000 + FAST_S) * S, mono_ns=1000 * S, half_width_ns=S // 2)
TIMES = VendorTimes({}, "+0000", EPOCH_NS + (700 + FAST_S) * S, EPOCH_NS + (760 + FAST_S) * S, resolution_ns=S // 1000)


def laid(
    heard: list[int | None],
    widths_ns: tuple[int, int] = (0, 0),
    times: VendorTimes = TIMES,
    sample: ClockSample | None = SAMPLE,
    fired_s: int = 690,
) -> dict[str, Any]:
    return placed(heard, widths_ns, times, sample, 3.0, (fired_s * S, 1000 * S))


def test_the_offset_is_applied_and_its_uncertainty_told() -> None:
    found = laid([None, None])
    assert (found["t_start_mono_ns"], found["t_end_mono_ns"]) == (700 * S, 760 * S)
    assert found["t_half_width_ns"] == S // 2 + S // 1000 + 3 * S
    assert found["t_end_half_width_ns"] == S // 2 + S // 1000
    assert "beside the run's" in found["t_from"]


def test_what_was_heard_stays_as_it_was_heard() -> None:
    assert laid([700 * S, 761 * S]) == {}
    half = laid([701 * S, None])
    assert (half["t_start_mono_ns"], half["t_end_mono_ns"]) == (701 * S, 760 * S)
    assert half["t_half_width_ns"] == 0


def test_what_was_heard_late_gives_way_to_a_better_stamp_and_to_no_worse_one() -> None:
    late = laid([701 * S, 800 * S], (0, 60 * S))
    assert (late["t_start_mono_ns"], late["t_end_mono_ns"]) == (701 * S, 760 * S)
    assert (late["t_half_width_ns"], late["t_end_half_width_ns"]) == (0, S // 2 + S // 1000)
    assert laid([701 * S, 761 * S], (0, S // 4)) == {}


def test_an_hour_after_it_was_measured_a_clock_is_less_certain() -> None:
    assert aged(SAMPLE, SAMPLE.mono_ns + 3600 * S).half_width_ns == SAMPLE.half_width_ns + 360 * S // 1000
    assert aged(SAMPLE, SAMPLE.mono_ns) == SAMPLE


@pytest.mark.parametrize(
    ("times", "sample", "fired_s"),
    [
        (TIMES, None, 690),  # a clock that nobody can ask
        (replace(TIMES, start_utc_ns=None), SAMPLE, 690),  # local time without a zone
        (TIMES, replace(SAMPLE, device_ns=EPOCH_NS + 1000 * S), 690),  # somebody has set it right meanwhile: it would lie in the future
        (TIMES, SAMPLE, 800),  # before it was wanted
        (replace(TIMES, end_utc_ns=EPOCH_NS + FAST_S * S), SAMPLE, 690),  # over before it began
    ],
)
def test_no_stamp_is_trusted_alone(times: VendorTimes, sample: ClockSample | None, fired_s: int) -> None:
    assert laid([None, None], times=times, sample=sample, fired_s=fired_s) == {}
    assert laid([700 * S, 900 * S], (0, 200 * S), times, sample, fired_s) == {}
