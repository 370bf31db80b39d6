"""Numbers as one EC-Lab writes them in a settings file: its decimal sign, three decimals, a unit. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from drivers.errors import Rejected


@dataclass(frozen=True, slots=True)
class Site:
    """How this EC-Lab writes: the name of the device, the decimal sign of its computer, the bandwidth."""

    device: str
    decimal: str
    bandwidth: int = 5


def fixed(value: float, site: Site, digits: int, rounding: Callable[[float], float] = round) -> str:
    """So many decimals."""
    scale = 10**digits
    steps = rounding(round(value * scale, 6))
    return f"{steps / scale + 0.0:.{digits}f}".replace(".", site.decimal)


def scaled(value: float, units: tuple[tuple[float, str], ...], site: Site) -> tuple[str, str]:
    """Three decimals in the largest unit that keeps the number as it is; where none does, in the smallest. Raises Rejected."""
    if not math.isfinite(value):
        raise Rejected(f"{value} is not a number")
    for scale, unit in units:
        steps = value / scale * 1e3
        if abs(steps - round(steps)) <= 1e-9 * abs(steps):
            return fixed(value / scale, site, 3), unit
    scale, unit = units[-1]
    text = fixed(value / scale, site, 3)
    if value and not text.strip("-0.,"):
        raise Rejected(f"{value} is too small to be written in {unit}")
    return text, unit
