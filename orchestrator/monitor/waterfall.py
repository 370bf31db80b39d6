"""Spectra as they go to the broker: rows that cover the whole night whatever its length, the newest one, its numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.fourier import estimate_ph0_deg, rephased, shift_axis_ppm, spectra
from orchestrator.model.events import Event
from orchestrator.monitor.tiles import ROW_POINTS, Row, max_hold
from orchestrator.monitor.topics import ROWS
from orchestrator.recorder.fids import fourier_settings

Real = NDArray[np.float64]
MAD_TO_SIGMA = 1.4826


def spectrum_of(event: Event) -> tuple[Real, Real]:
    """float64 (n,) twice: shift in ppm, falling, and real intensity of a ``fid.block``, for display."""
    data = event.data
    fid = np.frombuffer(event.blob or b"", dtype=data["dtype"]).reshape(data["shape"])
    fid = fid if fid.ndim == 1 else fid[0]
    settings = fourier_settings(data, fid.size)
    unphased = spectra(fid, settings)
    intensity = rephased(unphased, estimate_ph0_deg(unphased) or 0.0).real
    return shift_axis_ppm(settings, data["carrier_MHz"], data["reference_MHz"])[::-1], intensity[::-1]


class Seen(NamedTuple):
    """What one spectrum shows. ``first_ppm``, ``last_ppm``: the middles of the first and last point of the row."""

    row: Row
    first_ppm: float
    last_ppm: float
    snr: float | None
    peak_ppm: float
    peak: float


def seen(event: Event, index: int, run: int, t_s: float, time_s: float, voltage_V: float | None, cycle: int) -> Seen | None:
    """A ``fid.block`` as a row; None where it holds no point."""
    shift_ppm, intensity = spectrum_of(event)
    if intensity.size == 0:
        return None
    noise = float(MAD_TO_SIGMA * np.median(np.abs(intensity - np.median(intensity))))
    at = int(np.abs(intensity).argmax())
    held = max_hold(intensity, ROW_POINTS)
    half_bin = 0.5 * (intensity.size / held.size - 1.0) * float(shift_ppm[0] - shift_ppm[-1]) / max(1, intensity.size - 1)
    volts = math.nan if voltage_V is None else voltage_V
    partial, scans = bool(event.data.get("partial")), int(event.data["scans"])
    row = Row(run, index, scans, t_s, time_s, noise, volts, cycle, partial, held)
    peak = float(intensity[at])
    snr = abs(peak) / noise if noise > 0 else None
    return Seen(row, float(shift_ppm[0]) - half_bin, float(shift_ppm[-1]) + half_bin, snr, float(shift_ppm[at]), peak)


class Slots:
    """Which of so many places a row gets, so that all rows together always cover the whole night.

    When all are taken, every second spectrum is enough from then on, and the places of the others are given away one by one.
    """

    def __init__(self, places: int = ROWS) -> None:
        self.stride = 1
        self._places = places
        self._free = list(range(places))[::-1]
        self._taken: dict[int, int] = {}

    def place(self, index: int) -> int | None:
        """The place of spectrum ``index`` (0, 1, 2 …); None: it is left out."""
        if index % self.stride:
            return None
        if not self._free:
            self.stride *= 2
            self._free = sorted((place for place, other in self._taken.items() if other % self.stride), reverse=True)
            if index % self.stride:
                return None
        place = self._free.pop()
        self._taken[place] = index
        return place


def middle_ns(event: Event) -> int:
    """The middle of a ``fid.block`` on the run's monotonic clock; where nobody knows it, when it was stored."""
    start: Any = event.data.get("t_start_mono_ns")
    end: Any = event.data.get("t_end_mono_ns")
    return event.mono_ns if start is None or end is None else (int(start) + int(end)) // 2
