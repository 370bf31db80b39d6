"""The six digital lines at the back: what each is, how it stands, and the edge that is an event for the trigger model. Plain data.

``TRIG:DIG<n>:IN:EDGE`` as the manual has it (falling unless told). Inferred: a line that becomes an output goes low.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drivers.keithley.smu.language import OUT_OF_RANGE, Command, Complaint

LINES = range(1, 7)
FALLING, RISING, EITHER = "FALL", "RIS", "EITH"


class DigitalLines:
    """``happen``: told ``DIG3`` when the edge that line 3 waits for has come; ``shows``: number and level of an output that changed."""

    def __init__(self, happen: Callable[[str], None], shows: Callable[[int, int], None]) -> None:
        self._happen, self._shows = happen, shows
        self.states = dict.fromkeys(LINES, 0)
        self.reset()

    def reset(self) -> None:
        """As after power-up."""
        for n in LINES:
            self._set(n, 0)
        self.modes = dict.fromkeys(LINES, "DIG,IN")
        self.edges = dict.fromkeys(LINES, FALLING)

    def _set(self, n: int, level: int) -> None:
        """We drive line ``n``."""
        before, self.states[n] = self.states[n], level
        if before != level:
            self._shows(n, level)

    def execute(self, c: Command) -> Any:
        """A command about lines, or NotImplemented. Raises Complaint."""
        match c.path, c.query:
            case "DIG:LINE:MODE", False:
                self.modes[_line(c)] = ",".join(argument.upper() for argument in c.arguments)
            case "DIG:LINE:MODE", True:
                return self.modes[_line(c)]
            case "DIG:LINE:STAT", False:
                self._set(_line(c), int(c.switch()))
            case "DIG:LINE:STAT", True:
                return str(self.states[_line(c)])
            case "TRIG:DIG:IN:EDGE", False:
                self.edges[_line(c)] = c.word(0, "FALLing", "RISing", "EITHer")
            case "TRIG:DIG:IN:EDGE", True:
                return self.edges[_line(c)]
            case _:
                return NotImplemented
        return None

    def put_out(self, pattern: int, mask: int) -> None:
        """What the trigger model sets; line 1 = bit 0."""
        for n in LINES:
            if mask >> (n - 1) & 1:
                self._set(n, pattern >> (n - 1) & 1)

    def drive(self, n: int, level: int) -> None:
        """Somebody else drives line ``n``."""
        before, self.states[n] = self.states[n], level
        edge = RISING if level > before else FALLING
        if self.modes[n].startswith("TRIG,IN") and before != level and self.edges[n] in {edge, EITHER}:
            self._happen(f"DIG{n}")

    def snapshot(self) -> list[list[Any]]:
        """Plain data."""
        return [[n, self.modes[n], self.states[n], self.edges[n]] for n in LINES]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """From plain data."""
        for n, mode, level, edge in state:
            self.modes[n], self.states[n], self.edges[n] = mode, level, edge


def _line(c: Command) -> int:
    if c.number not in LINES:
        raise Complaint(*OUT_OF_RANGE)
    return c.number
