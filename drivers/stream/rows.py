"""What an instrument gives for one moment, decoded. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One sample: seconds since the step began; NaN where the instrument does not measure it.

    ``ce_V``: of the counter electrode against the reference, where the instrument has one: ``voltage_V`` is then the working electrode's;
    NaN where it was not read with this row. ``charge_C``: the instrument's own count of the step, without sign. ``number``: its own of the
    row, from 1; 0 where it has none.
    """

    time_s: float
    voltage_V: float
    current_A: float
    charge_C: float = math.nan
    number: int = 0
    ce_V: float | None = None


@dataclass(frozen=True, slots=True)
class Point(Row):
    """One frequency of a sweep, with the voltage and current around which it swings."""

    frequency_Hz: float = math.nan
    impedance_ohm: complex = complex(math.nan, math.nan)
