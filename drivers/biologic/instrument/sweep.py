"""An impedance sweep: its frequencies, how long each takes, what its rows hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PERIODS_AT_LEAST_s = 0.05

Values = Mapping[str, list[Any]]


def frequency_Hz(values: Values, point: int) -> float:
    """Of one point: by equal factors, or by equal steps where ``sweep`` says so."""
    first, last = float(values["Initial_frequency"][0]), float(values["Final_frequency"][0])
    part = point / max(1, int(values["Frequency_number"][0]) - 1)
    return first + (last - first) * part if values["sweep"][0] else first * (last / first) ** part


def period_s(values: Values, point: int) -> float:
    """How long one frequency takes."""
    periods = max(1, int(values["Average_N_times"][0])) + float(values["Wait_for_steady"][0])
    return max(PERIODS_AT_LEAST_s, periods / frequency_Hz(values, point))


def words(values: Values, at_Hz: float, z: complex, read: tuple[float, float], time_s: float) -> list[float]:
    """A row: frequency, amplitudes, phase, mean voltage and current, nothing of a second electrode, time."""
    if "Amplitude_Current" in values:
        amplitude_A = float(values["Amplitude_Current"][0])
        amplitude_V = amplitude_A * abs(z)
    else:
        amplitude_V = float(values["Amplitude_Voltage"][0])
        amplitude_A = amplitude_V / abs(z)
    return [at_Hz, amplitude_V, amplitude_A, math.atan2(z.imag, z.real), *read, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, time_s]
