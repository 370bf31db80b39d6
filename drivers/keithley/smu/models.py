"""What tells the three models apart (potentiostats.md 2; ranges by the data sheets)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """Ranges in V and A, smallest first; ``most_A``: at each voltage range."""

    name: str
    firmware: str
    voltage_ranges_V: tuple[float, ...]
    current_ranges_A: tuple[float, ...]
    most_A: tuple[float, ...]
    vlimit_V: tuple[float, float]
    ilimit_A: tuple[float, float]

    @property
    def identity(self) -> str:
        """Answer to ``*IDN?`` without the serial number."""
        return f"KEITHLEY INSTRUMENTS,MODEL {self.name}"


_SMALL = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MODELS = {
    "2450": Model("2450", "1.7.12b", (0.02, 0.2, 2.0, 20.0, 200.0), _SMALL, (1.05, 1.05, 1.05, 1.05, 0.105), (0.02, 210.0), (1e-9, 1.05)),
    "2460": Model(
        "2460",
        "1.7.12b",
        (0.2, 2.0, 10.0, 20.0, 100.0),
        (*_SMALL[2:], 4.0, 5.0, 7.0),
        (7.35, 7.35, 7.35, 4.2, 1.05),
        (0.02, 105.0),
        (1e-9, 7.35),
    ),
    "2461": Model(
        "2461",
        "1.0.0i",
        (0.2, 2.0, 10.0, 20.0, 100.0),
        (*_SMALL[2:], 4.0, 5.0, 7.0),
        (7.35, 7.35, 7.35, 4.2, 1.05),
        (0.2, 105.0),
        (1e-9, 7.35),
    ),
}
