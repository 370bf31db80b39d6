"""One potentiostat: what is set, what drives the cell, what it reads.

It obeys at once and ends nothing by itself: what is switched on stays on until it is switched off. Inferred: a new set value or a new
coupling counts at once while it is on; a pseudo-galvanostat drives as a galvanostat does; ranges as the vendor's example of a setup has
them, and a set value beyond them is refused.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from drivers.sim.physics import Physics

MADE: dict[str, float] = {"Pset": 0.0, "Cset": 0.0, "Frq": 1000.0, "Ampl": 0.0, "Nw": 1.0, "Pot": 0.0, "Gal": 0.0, "GAL": 0.0}
"""As after switching on; Ampl in mV or mA."""
SWITCHES = {"Pot": (0.0, -1.0), "Gal": (0.0, -1.0), "GAL": (-1.0, 0.0, 1.0)}
LIKED = {"Frq": (1e-5, 8e6), "Ampl": (0.0, 1e6), "Nw": (1.0, 100.0)}
"""Ranges of the others (inferred)."""


class OutOfRange(ValueError):
    """Remote2's error 100."""


class Potentiostat:
    """``twin`` None: nothing is connected. ``disturb``: what a fault makes of a voltage that is read."""

    def __init__(self, twin: Physics | None, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._twin = twin
        self.ranges = dict(ranges)
        self.disturb: Callable[[float], float] = float
        self.values = dict(MADE)

    @property
    def on(self) -> bool:
        """Can a current flow?"""
        return self.values["Pot"] != 0.0

    @property
    def galvanostat(self) -> bool:
        """Is it the current that is set?"""
        return self.values["Gal"] != 0.0 or self.values["GAL"] != 0.0

    def knows(self, name: str) -> bool:
        """Is there such a value?"""
        return name in self.values

    def check(self, name: str, value: float) -> None:
        """Raises OutOfRange."""
        if name in SWITCHES:
            right = value in SWITCHES[name]
        else:
            low, high = {**LIKED, **self.ranges}[name]
            right = math.isfinite(value) and low <= value <= high
        if not right:
            raise OutOfRange(f"{name}={value:g}")

    def set(self, name: str, value: float, t_s: float) -> None:
        """One value; the cell feels it at once."""
        self.check(name, value)
        self.values[name] = value
        if name in {"Pset", "Cset", *SWITCHES}:
            self.drive(t_s)

    def off(self, t_s: float) -> None:
        """Open circuit."""
        self.set("Pot", 0.0, t_s)

    def drive(self, t_s: float) -> None:
        """The cell as it is set."""
        if self._twin is None:
            return
        if not self.on:
            self._twin.open_circuit(t_s)
        elif self.galvanostat:
            self._twin.drive_current(t_s, self.values["Cset"])
        else:
            self._twin.drive_voltage(t_s, self.values["Pset"])

    def read(self, t_s: float) -> tuple[float, float]:
        """Voltage and current now."""
        if self._twin is None:
            return self.disturb(0.0), 0.0
        found = self._twin.measure(t_s)
        return self.disturb(found.voltage_V), found.current_A

    def impedance(self, t_s: float) -> tuple[float, complex]:
        """At the frequency that is set: how long it takes, and what it finds."""
        frequency_Hz = self.values["Frq"]
        found = 0j if self._twin is None else complex(self._twin.impedance(t_s, np.array([frequency_Hz]))[0])
        return self.values["Nw"] / frequency_Hz, found

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {"values": copy.deepcopy(self.values)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.values = dict(state["values"])
