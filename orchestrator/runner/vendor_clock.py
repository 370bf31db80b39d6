"""What a console's files say of their own times, on the run's clock: by the offset that was measured, never by the stamp alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.base import ClockSample, VendorTimes

NS = 1_000_000_000


def placed(
    heard: Sequence[int | None], times: VendorTimes, sample: ClockSample | None, overhead_s: float, fired_ns: int, now_ns: int
) -> dict[str, Any]:
    """Fields of a ``fid.block`` for the instants that nobody heard; empty where nothing is to be said.

    The vendor's first stamp may lie ``overhead_s`` before the first scan. Instants that cannot be (before the acquisition was wanted,
    after now, the end before the start) mean that one of the clocks was set meanwhile: then they stay unknown.
    """
    stamps = (times.start_utc_ns, times.end_utc_ns)
    if None not in heard or sample is None or None in stamps:
        return {}
    half_width_ns = sample.half_width_ns + times.resolution_ns + round(overhead_s * NS)
    start_ns, end_ns = (
        told if told is not None else sample.mono_ns + int(stamp or 0) - sample.device_ns for told, stamp in zip(heard, stamps, strict=True)
    )
    if not fired_ns - half_width_ns <= start_ns <= end_ns <= now_ns + half_width_ns:
        return {}
    return {
        "t_start_mono_ns": start_ns,
        "t_end_mono_ns": end_ns,
        "t_half_width_ns": half_width_ns,
        "t_from": f"the console's stamps, its clock {(sample.device_ns - sample.mono_ns) / NS:.3f} s beside the run's",
    }
