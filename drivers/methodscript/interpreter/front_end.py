"""The analog side of the instrument: mode, ranges, relay, digital lines; between the script and the cell.

Inferred: a change of mode opens the cell (PalmSens' battery template switches it on again after each), ranges only show
in the metadata, a set-point outside the model's range is refused when it is applied.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.methodscript.interpreter.language import Code, ScriptError, Variable
from drivers.methodscript.interpreter.models import Model
from drivers.sim.physics import Measured, Physics

OVERLOAD = 2
HEADROOM = 1.1
"""A range still shows 10 % more than its name (inferred: published streams show 10.02 µA in the 10 µA range)."""
GALVANOSTATIC = 6
POTENTIOSTATIC = frozenset({2, 3, 4})


class FrontEnd:
    """Applies set-points to the twin and reads it back; ``t_s`` tells the twin's time now."""

    def __init__(self, model: Model, twin: Physics, t_s: Callable[[], float]) -> None:
        self.model = model
        self.twin = twin
        self.t_s = t_s
        self.gpio_level = 0
        self.reset()
        self.disturb: Callable[[float, float], tuple[float, float, int]] | None = None
        """Changes (E, I) on their way to the script and adds status bits: faults."""

    def reset(self) -> None:
        """As after power-up; does not touch the twin."""
        self.mode = 0
        self.cell_on = False
        self.set_e_V = 0.0
        self.set_i_A = 0.0
        self.current_range: tuple[float, float] = (0.0, math.inf)
        self.gpio_outputs = 0
        self.gpio_input = 0
        self.set_lines(0)

    def set_lines(self, level: int) -> None:
        """Its output lines, line 0 = bit 0; who looks at the cable sees those that change."""
        before, self.gpio_level = self.gpio_level, level & self.gpio_outputs
        for line in range((before ^ self.gpio_level).bit_length()):
            if (before ^ self.gpio_level) >> line & 1:
                self.twin.tell(self.t_s(), "line", line=line, level=self.gpio_level >> line & 1)

    # ------------------------------------------------------------------------------------------------------ set-points

    def set_mode(self, mode: int) -> None:
        """``set_pgstat_mode``."""
        if mode not in self.model.modes:
            raise ScriptError(Code.MODE_UNSUPPORTED)
        if mode != self.mode and self.cell_on:
            self.cell(on=False)
        self.mode = mode

    def set_potential(self, potential_V: float) -> None:
        """``set_e`` and the potential of a measurement loop."""
        low_V, high_V = self.model.potential_V
        if not low_V <= potential_V <= high_V:
            raise ScriptError(Code.POTENTIAL_RANGE)
        self.set_e_V = potential_V
        self._apply()

    def set_current(self, current_A: float) -> None:
        """``set_i`` and the current of a measurement loop."""
        if not abs(current_A) <= self.model.current_A:
            raise ScriptError(Code.OUT_OF_BOUNDS)
        self.set_i_A = current_A
        self._apply()

    def cell(self, *, on: bool) -> None:
        """``cell_on`` and ``cell_off``."""
        if on and self.mode == 0:
            raise ScriptError(Code.INVALID_FOR_MODE)
        self.cell_on = on
        if on:
            self._apply()
        else:
            self.twin.open_circuit(self.t_s())

    def _apply(self) -> None:
        if not self.cell_on:
            return
        if self.mode == GALVANOSTATIC:
            self.twin.drive_current(self.t_s(), self.set_i_A)
        elif self.mode in POTENTIOSTATIC:
            self.twin.drive_voltage(self.t_s(), self.set_e_V)

    def require(self, modes: frozenset[int]) -> None:
        """A measurement loop needs its mode and the cell on."""
        if self.mode not in modes:
            raise ScriptError(Code.INVALID_FOR_MODE)
        if not self.cell_on:
            raise ScriptError(Code.NEEDS_CELL_ON)

    # ------------------------------------------------------------------------------------------------------ measurement

    def read(self) -> tuple[float, float, int]:
        """Potential in V, current in A, status bits: at this instant, clipped to what the model can show."""
        leads: Measured = self.twin.measure(self.t_s())
        potential_V, current_A, status = leads.voltage_V, leads.current_A, 0
        if self.disturb is not None:
            potential_V, current_A, status = self.disturb(potential_V, current_A)
        low_V, high_V = self.model.potential_V
        if not low_V <= potential_V <= high_V and not math.isnan(potential_V):
            potential_V, status = min(max(potential_V, low_V), high_V), status | OVERLOAD
        if abs(current_A) > self.model.current_A:
            current_A, status = math.copysign(self.model.current_A, current_A), status | OVERLOAD
        return potential_V, current_A, status

    def current_index(self, current_A: float) -> int:
        """Index of the range a current is measured in: the smallest that holds it, within the ranges asked for."""
        low_A, high_A = self.current_range
        offset = self.model.galvanostat_offset if self.mode == GALVANOSTATIC else 0
        wanted_A = max(abs(current_A), low_A)
        usable = [pair for pair in self.model.current_ranges if pair[1] <= high_A * (1 + 1e-9)] or [self.model.current_ranges[0]]
        return offset + next((index for index, full_A in usable if full_A * HEADROOM >= wanted_A), usable[-1][0])

    def impedance(self, frequency_Hz: float) -> complex:
        """Of the cell, in ohm."""
        return complex(self.twin.impedance(self.t_s(), np.array([frequency_Hz]))[0])

    def fill(self, variable: Variable, kind: str, reading: tuple[float, float, int]) -> None:
        """One measured quantity into a variable, with its metadata; a type that is not measured here is refused."""
        potential_V, current_A, status = reading
        if kind in {"ab", "ag", "af"}:
            variable.number, variable.range_index = potential_V, self.model.default_potential_index
        elif kind == "ba":
            variable.number, variable.range_index = current_A, self.current_index(current_A)
        elif kind in {"ac", "ae", "as", "at"}:
            variable.number, variable.range_index = 0.0, None
        else:
            raise ScriptError(Code.WRONG_TYPE)
        variable.kind, variable.integer, variable.status = kind, False, status

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        high_A = self.current_range[1]
        return {
            "mode": self.mode,
            "cell_on": self.cell_on,
            "set_e_V": self.set_e_V,
            "set_i_A": self.set_i_A,
            "current_range": [self.current_range[0], None if math.isinf(high_A) else high_A],
            "gpio": [self.gpio_outputs, self.gpio_level, self.gpio_input],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """From plain data; does not touch the twin, which has its own snapshot."""
        self.mode, self.cell_on = state["mode"], state["cell_on"]
        self.set_e_V, self.set_i_A = state["set_e_V"], state["set_i_A"]
        low_A, high_A = state["current_range"]
        self.current_range = (low_A, math.inf if high_A is None else high_A)
        self.gpio_outputs, self.gpio_level, self.gpio_input = state["gpio"]
