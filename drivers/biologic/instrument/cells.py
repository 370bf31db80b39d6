"""What hangs on a channel's leads: the twin's cell, or a resistor where nobody has mounted anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Measured, Physics

OPEN, CURRENT, VOLTAGE = "open", "current", "voltage"


class Leads(Protocol):
    """A cell; times are the twin's."""

    def drive(self, t_s: float, how: str, value: float) -> None:
        """Open, or so much current, or so much voltage, from now on."""

    def measure(self, t_s: float) -> tuple[float, float]:
        """Ewe in V and current in A."""

    def counter_V(self, t_s: float) -> float:
        """Ece; 0 where Ref is on the counter electrode."""

    def impedance(self, t_s: float, frequency_Hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """complex128 (f,): ohm."""


class TwinLeads:
    """The cell of the twin; ``three``: Ref is on its reference electrode, and all that is measured and held is against that."""

    def __init__(self, twin: Physics, *, three: bool = False) -> None:
        self._twin, self._three = twin, three

    def drive(self, t_s: float, how: str, value: float) -> None:
        """As the channel does."""
        if how == OPEN:
            self._twin.open_circuit(t_s)
        elif how == CURRENT:
            self._twin.drive_current(t_s, value)
        else:
            self._twin.drive_voltage(t_s, value, *(("we",) if self._three else ()))

    def measure(self, t_s: float) -> tuple[float, float]:
        """With the twin's noise."""
        found = self._read(t_s)
        return (found.voltage_V if found.we_V is None else found.we_V), found.current_A

    def counter_V(self, t_s: float) -> float:
        """With the twin's noise."""
        return (self._read(t_s).ce_V or 0.0) if self._three else 0.0

    def _read(self, t_s: float) -> Measured:
        return self._twin.measure(t_s, reference=True) if self._three else self._twin.measure(t_s)

    def impedance(self, t_s: float, frequency_Hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """complex128 (f,): the twin's own."""
        return self._twin.impedance(t_s, frequency_Hz)


class Resistor:
    """A dummy cell of so many ohms."""

    def __init__(self, ohm: float = 1000.0) -> None:
        self.ohm = ohm
        self._how, self._value = OPEN, 0.0

    def drive(self, t_s: float, how: str, value: float) -> None:  # noqa: ARG002
        """Remember it."""
        self._how, self._value = how, value

    def measure(self, t_s: float) -> tuple[float, float]:  # noqa: ARG002
        """Ohm's law."""
        if self._how == OPEN:
            return 0.0, 0.0
        return (self._value * self.ohm, self._value) if self._how == CURRENT else (self._value, self._value / self.ohm)

    def counter_V(self, t_s: float) -> float:  # noqa: ARG002
        """Ref is on the counter electrode."""
        return 0.0

    def impedance(self, t_s: float, frequency_Hz: NDArray[np.float64]) -> NDArray[np.complex128]:  # noqa: ARG002
        """complex128 (f,): the same everywhere."""
        return np.full(np.shape(frequency_Hz), self.ohm, dtype=np.complex128)

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {"how": self._how, "value": self._value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self._how, self._value = state["how"], state["value"]
