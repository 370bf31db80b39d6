"""Times that nobody heard: by the console's stamps and the measured offset of its clock, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.base import ClockSample, VendorTimes
from orchestrator.runner.vendor_clock import placed

S = 1_000_000_000
FAST_S = 2 * 3600 + 54 * 60
"""How far the clock of a DD2 workstation was found ahead."""
EPOCH_NS = 1_700_000_000 * S
SAMPLE = ClockSample(device_ns=EPOCH_NS + (1000 + FAST_S) * S, mono_ns=1000 * S, half_width_ns=S // 2)
TIMES = VendorTimes({}, "+0000", EPOCH_NS + (700 + FAST_S) * S, EPOCH_NS + (760 + FAST_S) * S, resolution_ns=S // 1000)


def test_the_offset_is_applied_and_its_uncertainty_told() -> None:
    found = placed([None, None], TIMES, SAMPLE, 3.0, 690 * S, 1000 * S)
    assert (found["t_start_mono_ns"], found["t_end_mono_ns"]) == (700 * S, 760 * S)
    assert found["t_half_width_ns"] == S // 2 + S // 1000 + 3 * S
    assert "beside the run's" in found["t_from"]


def test_what_was_heard_stays_as_it_was_heard() -> None:
    assert placed([700 * S, 761 * S], TIMES, SAMPLE, 3.0, 690 * S, 1000 * S) == {}
    half = placed([701 * S, None], TIMES, SAMPLE, 3.0, 690 * S, 1000 * S)
    assert (half["t_start_mono_ns"], half["t_end_mono_ns"]) == (701 * S, 760 * S)


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
    assert placed([None, None], times, sample, 3.0, fired_s * S, 1000 * S) == {}
