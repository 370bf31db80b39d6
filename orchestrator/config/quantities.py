"""Units as people type them, and the canonical unit of each kind (as in ``model.units``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.model.units import Quantity


@dataclass(frozen=True, slots=True)
class Unit:
    """Kind of quantity, canonical unit, and the factor to it (exact, as decimal text)."""

    kind: str
    canonical: str
    factor: str = "1"


UNITS: dict[str, Unit] = {
    **{name: Unit("time", "s") for name in ("s", "sec", "secs", "second", "seconds")},
    **{name: Unit("time", "s", "60") for name in ("min", "mins", "minute", "minutes")},
    **{name: Unit("time", "s", "3600") for name in ("h", "hr", "hrs", "hour", "hours")},
    **{name: Unit("time", "s", "86400") for name in ("d", "day", "days")},
    "ms": Unit("time", "s", "1e-3"),
    "V": Unit("voltage", "V"),
    "mV": Unit("voltage", "V", "1e-3"),
    "uV": Unit("voltage", "V", "1e-6"),
    **{f"{prefix}A": Unit("current", "A", factor) for prefix, factor in (("", "1"), ("m", "1e-3"), ("u", "1e-6"), ("n", "1e-9"))},
    **{f"{prefix}A/cm2": Unit("current", "A/cm2", factor) for prefix, factor in (("", "1"), ("m", "1e-3"), ("u", "1e-6"), ("n", "1e-9"))},
    **{f"{prefix}Ah": Unit("charge", "mAh", factor) for prefix, factor in (("", "1e3"), ("m", "1"), ("u", "1e-3"))},
    **{f"{prefix}Ah/cm2": Unit("charge", "mAh/cm2", factor) for prefix, factor in (("", "1e3"), ("m", "1"), ("u", "1e-3"))},
    "C": Unit("current", "C"),
    "%": Unit("charge", "%"),
    "K": Unit("temperature", "K"),
    "ohm": Unit("resistance", "ohm"),
    "ppm": Unit("shift", "ppm"),
    "deg": Unit("angle", "deg"),
    **{f"{prefix}Hz": Unit("frequency", "Hz", factor) for prefix, factor in (("", "1"), ("m", "1e-3"), ("k", "1e3"), ("M", "1e6"))},
}
SHOWN = {
    "time": "s, min, h",
    "voltage": "V, mV",
    "current": "A, mA, uA, mA/cm2, C/5",
    "charge": "mAh, mAh/cm2, %",
    "angle": "deg",
    "shift": "ppm",
    "temperature": "K",
    "frequency": "Hz, kHz",
}
_PER_AREA = re.compile(r"\s*/\s*cm\^?2|\s+cm\^?-2")


def canonical_name(typed: str) -> str:
    """``mA cm-2`` → ``mA/cm2``; words of time in lower case."""
    name = _PER_AREA.sub("/cm2", typed.strip())
    return name.lower() if UNITS.get(name.lower(), Unit("", "")).kind == "time" and len(name) > 2 else name


def unit_of(typed: str) -> Unit | None:
    """The unit that was typed; None where there is none of that name and case."""
    return UNITS.get(canonical_name(typed))


def quantity(number: str, unit: Unit, of: str = "") -> Quantity:
    """A number as typed, in the canonical unit: exact in decimal, then rounded once."""
    return Quantity(float(Decimal(number) * Decimal(unit.factor)), unit.canonical, of)


def c_rate(typed: str) -> Quantity:
    """``C/5`` → 0.2 C."""
    return Quantity(float(1 / Decimal(typed.partition("/")[2].strip())), "C")
