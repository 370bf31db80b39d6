"""What is known of lithium and sodium metal: how fast their nuclei relax, and where plate and moss appear. Pure.

T1 T is a constant, at any field (Korringa; Anderson and Redfield 1959). Bulk metal follows the angle between the electrode's normal
and B0 (bulk susceptibility): 7Li 242 ppm with the normal along B0, 272 ppm across, so the split into bulk and moss holds near
0 degrees only (practice.md 16). inferred: 23Na moves by 5 ppm over the same turn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ROOM_K = 298.0
KORRINGA_s_K = {"7Li": (44.0, 2.0), "23Na": (5.1, 0.3)}
"""T1 T of lithium and of sodium, and its error (domain.md 2.3)."""


class Known(NamedTuple):
    """A time and its standard error, in s."""

    value_s: float
    sd_s: float


def metal_T1(nucleus: str, temperature_K: float = ROOM_K) -> Known | None:
    """T1 of a nucleus in its own metal; None of one that nobody has measured."""
    constants = KORRINGA_s_K.get(nucleus)
    return None if constants is None else Known(constants[0] / temperature_K, constants[1] / temperature_K)


METAL_TURNS_ppm = {"7Li": 30.0, "6Li": 30.0, "23Na": 5.0}
"""Shift of a plate between its normal along B0 and across: the observed range."""
BULK_ppm = {"7Li": (240.0, 252.0), "6Li": (240.0, 252.0), "23Na": (1123.0, 1128.0)}
MOSS_ppm = {"7Li": (255.0, 280.0), "6Li": (255.0, 280.0), "23Na": (1128.5, 1145.0)}
METALS_ppm = {"7Li": (220.0, 310.0), "23Na": (1050.0, 1200.0)}
"""Where a carrier is on the metal."""
Range = tuple[float, float]


def on_metal(nucleus: str, carrier_ppm: float) -> bool:
    """Is what is measured with this carrier the metal's?"""
    low_ppm, high_ppm = METALS_ppm.get(nucleus, (0.0, 0.0))
    return low_ppm < carrier_ppm < high_ppm


def bulk_and_moss_ppm(nucleus: str, normal_to_B0_deg: float | None) -> tuple[Range, Range] | None:
    """Where both appear; None without the angle, and where they would overlap."""
    if nucleus not in BULK_ppm or normal_to_B0_deg is None:
        return None
    turned_ppm = METAL_TURNS_ppm[nucleus] * math.sin(math.radians(normal_to_B0_deg)) ** 2
    low_ppm, high_ppm = (edge + turned_ppm for edge in BULK_ppm[nucleus])
    moss = MOSS_ppm[nucleus]
    return None if high_ppm > moss[0] else ((low_ppm, high_ppm), moss)
