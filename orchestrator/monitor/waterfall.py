"""Spectra as they go to the broker: rows that cover the whole night whatever its length, the newest one, its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.fourier import estimate_ph0_deg, evolved_s, rephased, shift_axis_ppm, slope_deg_per_ppm, spectra
from orchestrator.model.events import Event
from orchestrator.monitor.tiles import FINE_POINTS, ROW_POINTS, Row, max_hold
from orchestrator.monitor.topics import ROWS
from orchestrator.recorder.fids import fourier_settings

Real = NDArray[np.float64]
MAD_TO_SIGMA = 1.4826


class Shown(NamedTuple):
    """A spectrum as it is drawn: float64 (n,) twice, shift in ppm, falling, and real intensity; and how it was made."""

    shift_ppm: Real
    intensity: Real
    made: Mapping[str, Any]


def shown(event: Event) -> Shown:
    """The spectrum of a ``fid.block``, phased for display; of a block of several FIDs that with most in it."""
    data = event.data
    fids = np.frombuffer(event.blob or b"", dtype=data["dtype"]).reshape(-1, data["shape"][-1])
    fid = fids[int((np.abs(fids) ** 2).sum(axis=1).argmax())] if fids.size else fids.reshape(-1)
    settings = fourier_settings(data, fid.size)
    shift_ppm = shift_axis_ppm(settings, data["carrier_MHz"], data["reference_MHz"])
    evolved = evolved_s(data.get("parameters") or {}) or 0.0
    ph1 = slope_deg_per_ppm(evolved, data["reference_MHz"], mirrored=settings.reversed_axis)
    unphased = spectra(fid, settings) * np.exp(-1j * np.deg2rad(ph1 * shift_ppm))
    ph0 = estimate_ph0_deg(unphased) or 0.0
    made = {"fid_points": fid.size, "broadening_Hz": settings.LB_Hz, "ph0_deg": ph0, "ph1_deg_per_ppm": ph1}
    made |= {name: data[name] for name in ("spectral_width_Hz", "carrier_MHz", "reference_MHz")}
    made |= {"reversed_axis": settings.reversed_axis}
    return Shown(shift_ppm[::-1], rephased(unphased, ph0).real[::-1], made)


def spectrum_of(event: Event) -> tuple[Real, Real]:
    """float64 (n,) twice: shift in ppm, falling, and real intensity of a ``fid.block``, for display."""
    found = shown(event)
    return found.shift_ppm, found.intensity


class Seen(NamedTuple):
    """What one spectrum shows. ``row``, ``fine``: the same with fewer and with more points.

    ``first_ppm``, ``last_ppm``: the middles of the first and last point of ``row``. ``made``: as in ``Shown``.
    """

    row: Row
    fine: Row
    first_ppm: float
    last_ppm: float
    snr: float | None
    peak_ppm: float
    peak: float
    made: Mapping[str, Any]


def seen(event: Event, index: int, run: int, t_s: float, time_s: float, voltage_V: float | None, cycle: int) -> Seen | None:
    """A ``fid.block`` as a row; None where it holds no point."""
    shift_ppm, intensity, made = shown(event)
    if intensity.size == 0:
        return None
    noise = float(MAD_TO_SIGMA * np.median(np.abs(intensity - np.median(intensity))))
    at = int(np.abs(intensity).argmax())
    held = max_hold(intensity, ROW_POINTS)
    half_bin = 0.5 * (intensity.size / held.size - 1.0) * float(shift_ppm[0] - shift_ppm[-1]) / max(1, intensity.size - 1)
    volts = math.nan if voltage_V is None else voltage_V
    partial, scans = bool(event.data.get("partial")), int(event.data["scans"])
    row = Row(run, index, scans, t_s, time_s, noise, volts, cycle, partial, held)
    fine = replace(row, intensity=max_hold(intensity, FINE_POINTS))
    peak = float(intensity[at])
    snr = abs(peak) / noise if noise > 0 else None
    return Seen(row, fine, float(shift_ppm[0]) - half_bin, float(shift_ppm[-1]) + half_bin, snr, float(shift_ppm[at]), peak, made)


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
