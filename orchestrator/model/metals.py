"""What is known of the metals whatever the cell: T1 of their nuclei, and where their lines lie. Pure data."""

from __future__ import annotations

KORRINGA_s = {"7Li": 44.0 / 298.0, "23Na": 5.1 / 298.0}
"""T1 of the metal at 298 K (Anderson and Redfield 1959)."""
KORRINGA_PART = 0.06
"""Error of these, of themselves (domain.md 7, P3)."""
METALS_ppm = {"7Li": (220.0, 310.0), "23Na": (1050.0, 1200.0)}
"""Where a carrier is on the metal."""


def on_metal(nucleus: str, carrier_ppm: float) -> bool:
    """Is what is measured with this carrier the metal's?"""
    low_ppm, high_ppm = METALS_ppm.get(nucleus, (0.0, 0.0))
    return low_ppm < carrier_ppm < high_ppm
