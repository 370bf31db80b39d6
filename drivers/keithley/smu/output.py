"""The output stage: two sources, each limited by the other quantity, and what the cell sees while the output is "off".

``NORM`` is no open circuit: it is a 0 V source, limited to 10 % of the current range, and drains a cell (potentiostats.md 2.2).
Inferred: changing the source function switches the output off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from drivers.keithley.smu.language import CONFLICT, OUT_OF_RANGE, Complaint
from drivers.keithley.smu.models import Model
from drivers.sim.physics import Measured, Physics

CABLE_ohm = 0.4
"""What two wires measure too much; four do not."""
SLACK_V, SLACK_A, SLACK = 3e-4, 1e-7, 1e-3
OFF_STATES = ("NORMal", "HIMPedance", "ZERO", "GUARd")
SOONEST_S, LATEST_S = 0.02, 1.0
PROTECTIONS_V = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 180.0)


@dataclass
class Source:
    """One of the two source functions. ``limit``: VLIM of a current source, ILIM of a voltage source."""

    level: float = 0.0
    fixed_range: float | None = None
    limit: float = 0.0
    readback: bool = True
    high_capacitance: bool = False
    off_state: str = "NORM"


@dataclass
class Regulated:
    """What the cell gets at this moment: one of ``open``, ``current``, ``voltage``; ``limited``: not what was asked for."""

    drive: str = "open"
    value: float = 0.0
    limited: bool = False
    asked: tuple[Any, ...] = field(default_factory=tuple)


class Output:
    """Holds the settings and drives the twin; ``t_s`` tells its time, ``warn`` takes events (number, text)."""

    def __init__(self, model: Model, twin: Physics, t_s: Callable[[], float], warn: Callable[[int, str], None]) -> None:
        self.model, self.twin, self.t_s, self.warn = model, twin, t_s, warn
        self.stuck = self.keeps_normal = False
        self.reset()

    def reset(self) -> None:
        """As after power-up and ``*RST``: 0 V source, off, NORM, two wires."""
        self.function = "VOLT"
        self.sources = {"VOLT": Source(limit=1.05e-4), "CURR": Source(limit=21.0)}
        self.on = False
        self.protection_V: float | None = None
        self.tripped = False
        self.four_wires = {"VOLT": False, "CURR": False, "RES": False}
        self._regulated = Regulated()
        self._last: Measured | None = None
        self.next_s = math.inf

    @property
    def source(self) -> Source:
        """The active one."""
        return self.sources[self.function]

    # --------------------------------------------------------------------------------------------------------- settings

    def choose(self, function: str) -> None:
        """``SOUR:FUNC``."""
        if function != self.function:
            self.switch(on=False)
            self.function = function
            self.apply()

    def set_level(self, function: str, level: float) -> None:
        """``SOUR:…:LEV``; beyond a fixed range it is refused."""
        source, ranges = self.sources[function], self._ranges(function)
        most = 1.05 * (source.fixed_range or ranges[-1])
        if abs(level) > most:
            raise Complaint(*OUT_OF_RANGE)
        source.level = level
        self._restrain()
        self.apply()

    def set_range(self, function: str, wanted: float | None) -> None:
        """``SOUR:…:RANG``: the smallest that holds it; None = automatic. It may move the limit, with a warning only."""
        source = self.sources[function]
        if wanted is not None:
            wanted = self.range_for(function, abs(wanted))
            if abs(source.level) > 1.05 * wanted:
                raise Complaint(*CONFLICT)
        source.fixed_range = wanted
        self._restrain()

    def range_for(self, function: str, value: float) -> float:
        """The smallest range that holds a value. Raises Complaint."""
        found = next((one for one in self._ranges(function) if one * 1.05 >= value), None)
        if found is None:
            raise Complaint(*OUT_OF_RANGE)
        return found

    def source_range(self, function: str) -> float:
        """The range in use."""
        source = self.sources[function]
        return source.fixed_range or self.range_for(function, abs(source.level))

    def _ranges(self, function: str) -> tuple[float, ...]:
        return self.model.voltage_ranges_V if function == "VOLT" else self.model.current_ranges_A

    def _restrain(self) -> None:
        """A voltage range allows only so much current."""
        voltage, ranges = self.sources["VOLT"], self.model.voltage_ranges_V
        most_A = self.model.most_A[ranges.index(self.source_range("VOLT"))]
        if voltage.limit > most_A:
            voltage.limit = most_A
            self.warn(5060, "Source limit changed to fit the range")

    def set_limit(self, function: str, limit: float) -> None:
        """``SOUR:CURR:VLIM`` and ``SOUR:VOLT:ILIM``."""
        low, high = self.model.vlimit_V if function == "CURR" else self.model.ilimit_A
        if not low <= limit <= high:
            raise Complaint(*OUT_OF_RANGE)
        self.sources[function].limit = limit
        self._restrain()
        self.apply()

    def set_off_state(self, functions: tuple[str, ...], state: str) -> None:
        """``OUTP:…:SMOD``."""
        if self.keeps_normal:
            return
        for function in functions:
            self.sources[function].off_state = state
        self.apply()

    def switch(self, *, on: bool) -> None:
        """``OUTP``."""
        if not on and self.stuck:
            return
        self.on = on
        self.apply()

    def protect(self, limit_V: float | None) -> None:
        """``SOUR:VOLT:PROT``; None = none."""
        self.protection_V, self.tripped = limit_V, False

    def _full_scale_A(self) -> float:
        """Of the current range in use: the source's, or the one that holds the limit."""
        return self.source_range("CURR") if self.function == "CURR" else self.range_for("CURR", self.sources["VOLT"].limit)

    # --------------------------------------------------------------------------------------------------------- the cell

    def asked(self) -> tuple[str, float, float]:
        """What the terminals are to do now: source, level and limit of the other quantity; ``open`` where nothing."""
        source = self.source
        if self.on:
            return self.function, source.level, source.limit
        match source.off_state:
            case "NORM":
                return "VOLT", 0.0, 0.1 * self._full_scale_A()
            case "ZERO":
                return "VOLT", 0.0, self.sources["VOLT"].limit
            case "GUAR":
                return "CURR", 0.0, self.sources["CURR"].limit
            case _:
                return "open", 0.0, 0.0

    def apply(self) -> None:
        """A setting has changed: the cell feels it at once."""
        asked = self.asked()
        if asked == self._regulated.asked:
            return
        self._regulated.asked = asked
        kind, level, _ = asked
        if kind == "open":
            self._drive("open", 0.0)
            self.next_s = math.inf
            return
        self._drive("current", level) if kind == "CURR" else self._begin_voltage(level)
        self._last = None
        self.settle()

    def _begin_voltage(self, level: float) -> None:
        """A limited voltage source begins at its limit where the cell stands far off, so that no moment exceeds it."""
        _, _, limit = self.asked()
        off_V = level - self.twin.measure(self.t_s()).voltage_V
        if abs(off_V) <= SLACK_V:
            self._drive("voltage", level)
        else:
            self._drive("current", math.copysign(limit, off_V), limited=True)

    def _drive(self, drive: str, value: float, *, limited: bool = False) -> None:
        regulated = self._regulated
        regulated.limited = limited
        if (regulated.drive, regulated.value) == (drive, value):
            return
        regulated.drive, regulated.value = drive, value
        t_s = self.t_s()
        if drive == "open":
            self.twin.open_circuit(t_s)
        elif drive == "current":
            self.twin.drive_current(t_s, value)
        else:
            self.twin.drive_voltage(t_s, value)

    def settle(self) -> Measured:
        """Let the loop find what holds now: the level, or its limit; and say when to look again (``next_s``)."""
        found = self.twin.measure(self.t_s())
        kind, level, limit = self.asked()
        if kind == "open":
            return found
        for _ in range(3):
            if not (self._regulate_current(found, level, limit) if kind == "CURR" else self._regulate_voltage(found, level, limit)):
                break
            found = self.twin.measure(self.t_s())
        if self.protection_V is not None and abs(found.voltage_V) > self.protection_V and self.on:
            self.tripped = True
            self.switch(on=False)
        self._plan(found, level, limit)
        return found

    def _regulate_current(self, found: Measured, level: float, limit_V: float) -> bool:
        """A current source holds its level while the voltage stays inside ±VLIM, else ±VLIM. True when it changed over."""
        if self._regulated.drive == "current":
            if abs(found.voltage_V) <= limit_V + SLACK_V:
                return False
            self._drive("voltage", math.copysign(limit_V, found.voltage_V), limited=True)
            return True
        inside = math.copysign(1.0, self._regulated.value) * (found.current_A - level)
        if inside <= SLACK_A + SLACK * abs(level):
            return False
        self._drive("current", level)
        return True

    def _regulate_voltage(self, found: Measured, level: float, limit_A: float) -> bool:
        """A voltage source holds its level while the current stays inside ±ILIM, else ±ILIM. True when it changed over."""
        if self._regulated.drive == "voltage":
            if abs(found.current_A) <= limit_A * (1 + SLACK) + SLACK_A:
                return False
            self._drive("current", math.copysign(limit_A, found.current_A), limited=True)
            return True
        if math.copysign(1.0, self._regulated.value) * (found.voltage_V - level) < 0.0:
            return False
        self._drive("voltage", level)
        return True

    def _plan(self, found: Measured, level: float, limit: float) -> None:
        """Look again in half the time in which, as it goes now, the loop would change over."""
        last, self._last = self._last, found
        wait_s = LATEST_S
        if last is not None and found.t_s > last.t_s:
            kind = self.asked()[0]
            edge = level if kind == "VOLT" else math.copysign(limit, found.voltage_V)
            slope = (found.voltage_V - last.voltage_V) / (found.t_s - last.t_s)
            left_V = edge - found.voltage_V
            if slope * left_V > 0.0:
                wait_s = min(wait_s, 0.5 * left_V / slope)
        elif self._regulated.limited:
            wait_s = SOONEST_S
        self.next_s = found.t_s + max(SOONEST_S, wait_s)

    # -------------------------------------------------------------------------------------------------------- measuring

    def read(self, function: str) -> tuple[float, float, bool]:
        """Voltage in V and current in A as the terminals show them, and whether the source is at its limit."""
        found = self.settle()
        if self.asked()[0] == "open":
            return 1e-4, 1e-12, False  # inferred: with the relay open the readings mean nothing
        voltage_V = found.voltage_V
        if self.on and not self.four_wires[function]:
            voltage_V += found.current_A * CABLE_ohm
        return voltage_V, found.current_A, self._regulated.limited and self.on

    @property
    def limited(self) -> bool:
        """At the limit now."""
        return self.on and self._regulated.limited

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "function": self.function,
            "sources": {name: dict(vars(source)) for name, source in self.sources.items()},
            "on": self.on,
            "protection_V": self.protection_V,
            "tripped": self.tripped,
            "four_wires": dict(self.four_wires),
            "regulated": [self._regulated.drive, self._regulated.value, self._regulated.limited, list(self._regulated.asked)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """From plain data; does not touch the twin, which has its own snapshot."""
        self.function, self.on = state["function"], state["on"]
        self.sources = {name: Source(**values) for name, values in state["sources"].items()}
        self.protection_V, self.tripped = state["protection_V"], state["tripped"]
        self.four_wires = dict(state["four_wires"])
        drive, value, limited, asked = state["regulated"]
        self._regulated = Regulated(drive, value, limited, tuple(asked))
        self._last, self.next_s = None, 0.0
