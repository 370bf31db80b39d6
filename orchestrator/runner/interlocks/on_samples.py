"""The interlocks that look at every sample: short, open lead, lost reference, overload, old samples. Pure, O(1) a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping

from drivers.base import Mode
from orchestrator.runner.interlocks.readings import NO_PART, Driven, Reading, Row, Values, least_current_A
from orchestrator.runner.interlocks.resistance import Resistance

UNCHANGED = 0.05
"""A current that moved by no more than this part of itself is the same current (inferred)."""


class HardShort:
    """|E - I R_lead| < part |I| R_cell at constant current, several samples of one sign in a row."""

    def __init__(self, numbers: Mapping[str, float], resistance: Resistance) -> None:
        self._part, self._guard_s, self._floor_V = numbers["part"], numbers["guard"], numbers["floor"]
        self._resistance = resistance
        self._row = Row(numbers["samples"])
        self._least_A = math.inf
        self._positive = False

    def begin(self, driven: Driven) -> None:
        """Only a constant current is judged: a held voltage near zero is what somebody wants."""
        self._least_A = math.inf if driven.current_A is None else least_current_A(driven.current_A)
        self._row.clear()

    def see(self, reading: Reading) -> Values | None:
        """The numbers, when it fires on this sample."""
        estimate, current_A = self._resistance.estimate, reading.current_A
        if estimate is None or reading.edge_s < self._guard_s or not abs(current_A) >= self._least_A:
            self._row.clear()
            return None
        R_ohm = estimate.R_cell_ohm
        bound_V = self._part * abs(current_A) * R_ohm
        if bound_V < self._floor_V:
            self._row.clear()
            return None
        if (current_A > 0.0) is not self._positive:
            self._positive = current_A > 0.0
            self._row.clear()
        lead_ohm = self._resistance.lead_ohm
        inner_V = abs(reading.voltage_V - current_A * lead_ohm)
        short = inner_V < bound_V
        if not (short or self._row.count) or not self._row.full(so=short):
            return None
        return {
            "voltage_V": reading.voltage_V,
            "current_A": current_A,
            "R_cell_ohm": R_ohm,
            "R_lead_ohm": lead_ohm,
            "short_ratio": inner_V / (abs(current_A) * R_ohm),
        }


class OpenLead:
    """The current that was asked for does not flow, or E stands at the end of the instrument's own range."""

    def __init__(self, numbers: Mapping[str, float], range_V: tuple[float, float] | None) -> None:
        self._part, self._guard_s = numbers["part"], numbers["guard"]
        lower_V, upper_V = range_V or (-math.inf, math.inf)
        self._lower_V, self._upper_V = lower_V * numbers["compliance"], upper_V * numbers["compliance"]
        self._row = Row(numbers["samples"])
        self._driven: Driven | None = None
        self._least_A = 0.0

    def begin(self, driven: Driven) -> None:
        """A rest asks for no current."""
        self._driven = driven if driven.mode in {Mode.GALVANOSTATIC, Mode.POTENTIOSTATIC} else None
        self._least_A = self._part * abs(driven.current_A) if driven.current_A is not None else 0.0
        self._row.clear()

    def see(self, reading: Reading) -> Values | None:
        """The numbers, when it fires on this sample."""
        if self._driven is None or reading.edge_s < self._guard_s:
            return None
        missing = abs(reading.current_A) < self._least_A
        at_the_end = reading.voltage_V <= self._lower_V or reading.voltage_V >= self._upper_V
        if not (missing or at_the_end or self._row.count) or not self._row.full(so=missing or at_the_end):
            return None
        asked = {} if self._driven.current_A is None else {"asked_A": self._driven.current_A}
        return {"voltage_V": reading.voltage_V, "current_A": reading.current_A, **asked}


class Overload:
    """The instrument says that it is beyond its range, or regulates a constant current badly."""

    def __init__(self, numbers: Mapping[str, float], overload_status: int) -> None:
        self._part, self._guard_s, self._mask = numbers["part"], numbers["guard"], overload_status
        self._row = Row(numbers["samples"])
        self._asked_A: float | None = None
        self._looks = False

    def begin(self, driven: Driven) -> None:
        """A step, or a further part of it, begins."""
        self._asked_A, self._looks = driven.current_A, driven.mode in {Mode.GALVANOSTATIC, Mode.POTENTIOSTATIC}
        self._row.clear()

    def see(self, reading: Reading) -> Values | None:
        """The numbers, when it fires on this sample."""
        if reading.edge_s < self._guard_s or not self._looks:
            return None
        bad = bool(reading.status & self._mask) or self._off(reading.current_A)
        if not (bad or self._row.count) or not self._row.full(so=bad):
            return None
        asked = {} if self._asked_A is None else {"asked_A": self._asked_A}
        return {"voltage_V": reading.voltage_V, "current_A": reading.current_A, "status": float(reading.status), **asked}

    def _off(self, current_A: float) -> bool:
        """Badly regulated; where next to nothing flows a lead is open, which is another interlock's."""
        asked_A = self._asked_A
        if asked_A is None or not abs(current_A) >= NO_PART * abs(asked_A):
            return False
        return abs(current_A - asked_A) > self._part * abs(asked_A)


class LostReference:
    """E, or that of one electrode, jumps at an unchanged current and stays there; or E_we is no number any more, or stands still."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._cell, self._we, self._ce = (_Jump(numbers) for _ in range(3))
        self._unread, self._stuck = _Unread(numbers["lasts"]), _Stuck(numbers["jump"])
        self._guard_s = numbers["guard"]

    def begin(self, driven: Driven) -> None:
        """Over an edge E may do what it likes."""
        for eye in (self._cell, self._we, self._ce):
            eye.begin(constant=driven.mode is Mode.GALVANOSTATIC)
        self._unread.begin()
        self._stuck.begin()

    def see(self, reading: Reading) -> Values | None:
        """The numbers, when it fires on this sample."""
        found: Values = {}
        if not self._cell.quiet(reading.edge_s, reading.voltage_V, reading.current_A):
            self._look("voltage", self._cell, reading, reading.voltage_V, found)
        if reading.we_V is not None:
            self._look("voltage_we", self._we, reading, reading.we_V, found)
        if reading.ce_V is not None:
            self._look("voltage_ce", self._ce, reading, reading.ce_V, found)
        if reading.we_V is not None and self._unread.lasts(reading):
            found |= {"voltage_we_unread_s": self._unread.lasts_s, "voltage_V": reading.voltage_V}
        if reading.we_V is not None and self._stuck.moved(reading.we_V, reading.voltage_V):
            found |= {"voltage_we_V": reading.we_V, "voltage_before_V": self._stuck.cell_V, "voltage_V": reading.voltage_V}
        return {**found, "current_A": reading.current_A} if found else None

    def _look(self, name: str, eye: _Jump, reading: Reading, value_V: float, found: Values) -> None:
        if math.isnan(value_V):
            return
        if reading.edge_s < self._guard_s:
            eye.take(reading.edge_s, value_V, reading.current_A)
        elif eye.jumped(reading.edge_s, value_V, reading.current_A):
            found |= {f"{name}_V": value_V, f"{name}_before_V": eye.base_V}


class _Unread:
    """E_we is no number while E of the cell is one: nothing is read against the reference any more."""

    def __init__(self, lasts_s: float) -> None:
        self.lasts_s = lasts_s
        self.begin()

    def begin(self) -> None:
        self._since_s: float | None = None
        self._told = False

    def lasts(self, reading: Reading) -> bool:
        """True once, when it has been so for long enough."""
        if reading.we_V is None or not math.isnan(reading.we_V) or math.isnan(reading.voltage_V):
            self.begin()
            return False
        self._since_s = reading.edge_s if self._since_s is None else self._since_s
        if self._told or reading.edge_s - self._since_s < self.lasts_s:
            return False
        self._told = True
        return True


class _Stuck:
    """E_we the same to the last digit, sample after sample, while E of the cell goes far: what is read is no electrode."""

    def __init__(self, far_V: float) -> None:
        self._far_V = far_V
        self.begin()

    def begin(self) -> None:
        self._we_V = self.cell_V = math.nan
        self._told = False

    def moved(self, we_V: float, cell_V: float) -> bool:
        """True once, when E has gone so far since E_we was last another number."""
        if we_V != self._we_V:
            self._we_V, self.cell_V, self._told = we_V, cell_V, False
            return False
        if self._told or not abs(cell_V - self.cell_V) > self._far_V:
            return False
        self._told = True
        return True


class _Jump:
    """One voltage. ``base_V``: where it was before it jumped."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._jump_V, self._within_s, self._lasts_s = numbers["jump"], numbers["within"], numbers["lasts"]
        self.base_V = math.nan
        self._since_s: float | None = None
        self._told = False
        self._constant = False
        self._last_s = self._last_V = self._last_A = math.nan

    def begin(self, *, constant: bool) -> None:
        self._constant, self._since_s, self._last_V, self._told = constant, None, math.nan, False

    def quiet(self, t_s: float, value_V: float, current_A: float) -> bool:
        """Nearly every sample: near the last one, and nothing is suspected."""
        if self._since_s is not None or not abs(value_V - self._last_V) <= self._jump_V:
            return False
        self._last_s, self._last_V, self._last_A = t_s, value_V, current_A
        return True

    def take(self, t_s: float, value_V: float, current_A: float) -> None:
        """An honest sample."""
        self._last_s, self._last_V, self._last_A, self._since_s, self._told = t_s, value_V, current_A, None, False

    def jumped(self, t_s: float, value_V: float, current_A: float) -> bool:
        """True once, when it has stayed there long enough."""
        if self._since_s is None:
            if not self._leaps(t_s, value_V, current_A):
                self.take(t_s, value_V, current_A)
            return False
        if abs(value_V - self.base_V) < 0.5 * self._jump_V:
            self.take(t_s, value_V, current_A)
            return False
        if self._told or t_s - self._since_s < self._lasts_s:
            return False
        self._told = True
        return True

    def _leaps(self, t_s: float, value_V: float, current_A: float) -> bool:
        if not abs(value_V - self._last_V) > self._jump_V or t_s - self._last_s > self._within_s:
            return False
        if self._constant and abs(current_A - self._last_A) > UNCHANGED * max(abs(current_A), abs(self._last_A)):
            return False
        self.base_V, self._since_s = self._last_V, t_s
        return True


class OldSamples:
    """Samples that are old when they come. A backlog after a lost link is caught up in a moment and is none."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._told = False

    def see(self, now_s: float, age_s: float, longest_s: float) -> Values | None:
        """``age_s``: of the newest sample, beyond its interval; the numbers when it was above ``longest_s`` for that long."""
        if age_s <= longest_s:
            self._since_s, self._told = None, False
            return None
        self._since_s = now_s if self._since_s is None else self._since_s
        if self._told or now_s - self._since_s < longest_s:
            return None
        self._told = True
        return {"age_s": age_s, "longest_s": longest_s}
