"""What the simulated console makes of an order: the site's template, or a built-in series, into checked parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import AcquisitionOrder

SERIES: Mapping[str, Mapping[str, float]] = {
    "series_1p_7Li_metal": {"carrier_ppm": 137.0, "spectral_width_Hz": 93458.0, "points": 6144, "pulse_us": 8.0, "tip_deg": 90.0},
    "series_1p_7Li_wide": {"carrier_ppm": 137.0, "spectral_width_Hz": 200e3, "points": 8192, "pulse_us": 2.0, "tip_deg": 22.5},
    "series_1p_23Na_metal": {"carrier_ppm": 1126.0, "spectral_width_Hz": 200e3, "points": 4096, "pulse_us": 5.0, "tip_deg": 90.0},
    "series_1p_23Na_ionic": {"carrier_ppm": 0.0, "spectral_width_Hz": 100e3, "points": 4096, "pulse_us": 5.0, "tip_deg": 90.0},
}
UNUSED = frozenset({"name", "dataset", "arrays"})
NAMES = frozenset({"carrier_ppm", "carrier_MHz", "spectral_width_Hz", "points", "pulse_us", "tip_deg", "dead_us"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the console will do; the read-back of ``prepare``."""

    nucleus: str
    scans: int
    dummies: int
    recycle_s: float
    points: int
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    pulse_s: float
    tip_deg: float
    dead_s: float

    @property
    def repetition_s(self) -> float:
        """From pulse to pulse."""
        return self.recycle_s + self.points / self.spectral_width_Hz

    def duration_ns(self, scans: int) -> int:
        """Until so many scans are done."""
        return round((self.dummies + scans) * self.repetition_s * 1e9)


def parameters(order: AcquisitionOrder, reference_MHz: float) -> Parameters:
    """The parameters of an order. Raises ValueError with the reason for anything unknown or no number."""
    template = dict(order.template)
    given = {**(template.pop("parameters", None) or {}), **template}
    series, nucleus = given.pop("series", None), given.pop("nucleus", order.nucleus)
    given = {name: value for name, value in given.items() if name not in UNUSED}
    if nucleus != order.nucleus:
        raise ValueError(f"the template is for {nucleus}, the order for {order.nucleus}")
    if series is not None and series not in SERIES:
        raise ValueError(f"no series is called `{series}`; there are: {', '.join(SERIES)}")
    if unknown := sorted(set(given) - NAMES):
        raise ValueError(f"unknown parameter `{unknown[0]}`; there are: {', '.join(sorted(NAMES))}")
    start = SERIES[series or ("series_1p_23Na_ionic" if order.nucleus == "23Na" else "series_1p_7Li_metal")]
    stated = {name: value for name, value in given.items() if value is not None}
    return _checked(order, {"dead_us": 10.0, **start, **stated}, reference_MHz)


def _checked(order: AcquisitionOrder, values: Mapping[str, Any], reference_MHz: float) -> Parameters:
    try:
        numbers = {name: float(value) for name, value in values.items()}
        recycle_s = float(order.recycle_s)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a parameter is no number: {error}") from None
    if not all(math.isfinite(number) for number in (*numbers.values(), recycle_s)):
        raise ValueError("a parameter is not a finite number")
    carrier_MHz = numbers.pop("carrier_MHz", reference_MHz * (1.0 + numbers["carrier_ppm"] * 1e-6))
    del numbers["carrier_ppm"]
    points = int(numbers.pop("points"))
    for name in ("pulse", "dead"):
        numbers[f"{name}_s"] = numbers.pop(f"{name}_us") * 1e-6
    made = Parameters(
        order.nucleus, order.scans, order.dummies, recycle_s, points, carrier_MHz=carrier_MHz, reference_MHz=reference_MHz, **numbers
    )
    if min(made.scans, made.points, made.spectral_width_Hz, made.carrier_MHz) <= 0:
        raise ValueError("scans, points, spectral width and carrier must be positive")
    if min(made.dummies, made.recycle_s, made.pulse_s, made.dead_s) < 0:
        raise ValueError("dummies and delays must not be negative")
    return made
