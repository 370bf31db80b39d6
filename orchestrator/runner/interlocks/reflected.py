"""Reflected power for the amplifier's interlock: from a meter that the rig names, else from the tuner's own measurement. Pure."""

from __future__ import annotations

import math
from collections import deque

from drivers.base import Reading

WELL_MATCHED = 0.1
"""A tenth of the power comes back at -10 dB: below that one match is as good as another (inferred), so less counts as this much."""
KEPT = 1000


class ReflectedPower:
    """``meter``: the sensor that measures it, "" where there is none; then what the tuner tells counts.

    A meter's highest reading during an acquisition is that spectrum's, in the meter's own linear unit (dBm becomes mW): an
    amplifier that has tripped sends nothing, so nothing comes back. A tuner's is a share of the power it sends itself: it rises
    where a cable or a capacitor has failed.
    """

    def __init__(self, meter: str) -> None:
        self._meter = meter
        self._readings: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self.unit = ""

    def reading(self, sensor: str, reading: Reading) -> None:
        """A sensor was read."""
        if sensor == self._meter and math.isfinite(reading.value):
            power = 10.0 ** (reading.value / 10.0) if reading.unit == "dBm" else reading.value
            self.unit = "mW" if reading.unit == "dBm" else reading.unit
            self._readings.append((reading.mono_ns, power))

    def during(self, begin_ns: int, end_ns: int) -> float | None:
        """The highest reading of the meter in between; None without a meter, or where it was not read meanwhile."""
        return max((power for mono_ns, power in self._readings if begin_ns <= mono_ns <= end_ns), default=None)

    def tuned(self, share: float) -> float | None:
        """What the tuner has measured before a spectrum, as the interlock takes it; None where a meter counts."""
        return None if self._meter else max(share, WELL_MATCHED)
