"""What a console's files say of their own times, on the run's clock: by the offset that was measured, never by the stamp alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from drivers.base import ClockSample, VendorTimes

NS = 1_000_000_000
DRIFT = 1e-4
"""A computer's clock that nobody sets runs off by no more than so much of the time since it was measured: inferred."""


def aged(sample: ClockSample, now_ns: int) -> ClockSample:
    """A measurement of some time ago, as uncertain as it has become."""
    return replace(sample, half_width_ns=sample.half_width_ns + round(DRIFT * abs(now_ns - sample.mono_ns)))


def placed(
    heard: Sequence[int | None],
    widths_ns: Sequence[int],
    times: VendorTimes,
    sample: ClockSample | None,
    overhead_s: float,
    between_ns: tuple[int, int],
) -> dict[str, Any]:
    """Fields of a ``fid.block`` for the instants that nobody heard, or only so late that the stamps tell better; empty where they do not.

    ``widths_ns``: how far off what was heard may be. The vendor's first stamp may lie ``overhead_s`` before the first scan. Instants that
    cannot be (before the acquisition was wanted, after now, the end before the start) mean that one of the clocks was set meanwhile: then
    what was heard stays, and what was not stays unknown.
    """
    stamps = (times.start_utc_ns, times.end_utc_ns)
    if sample is None or None in stamps:
        return {}
    end_half_ns = sample.half_width_ns + times.resolution_ns
    halves_ns = (end_half_ns + round(overhead_s * NS), end_half_ns)
    better = [at is None or width > half for at, width, half in zip(heard, widths_ns, halves_ns, strict=True)]
    if not any(better):
        return {}
    start_ns, end_ns = (
        sample.mono_ns + int(stamp or 0) - sample.device_ns if by_stamp or at is None else at
        for at, stamp, by_stamp in zip(heard, stamps, better, strict=True)
    )
    from_ns, to_ns = between_ns
    if not from_ns - halves_ns[0] <= start_ns <= end_ns <= to_ns + end_half_ns:
        return {}
    return {
        "t_start_mono_ns": start_ns,
        "t_end_mono_ns": end_ns,
        "t_half_width_ns": halves_ns[0] if better[0] else widths_ns[0],
        "t_end_half_width_ns": end_half_ns if better[1] else widths_ns[1],
        "t_from": f"the console's stamps, its clock {(sample.device_ns - sample.mono_ns) / NS:.3f} s beside the run's",
    }
