"""What is true of a nucleus on every console."""

from __future__ import annotations

RATIO_TO_1H = {
    "1H": 1.0,
    "2H": 0.15350609,
    "6Li": 0.14716086,
    "7Li": 0.38863797,
    "11B": 0.32083974,
    "13C": 0.25145020,
    "19F": 0.94094011,
    "23Na": 0.26451900,
    "27Al": 0.26056859,
    "31P": 0.40480742,
}
"""Resonance frequency over that of 1H in the same field (IUPAC)."""
