"""What detectors look at and what they say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from drivers.base import Mode
from orchestrator.model.units import NOTHING_A

Values = dict[str, float]
"""The numbers that made an interlock fire, units in their names."""

NO_PART = 0.1
"""A current below this part of what was asked for says nothing about the cell (inferred)."""


class Reading(NamedTuple):
    """One sample. ``edge_s``: since the running part of the step began. ``we_V``, ``ce_V``: None where not measured."""

    mono_ns: int
    edge_s: float
    voltage_V: float
    current_A: float
    status: int = 0
    we_V: float | None = None
    ce_V: float | None = None


class Driven(NamedTuple):
    """What the running part of a step asks for. ``current_A``: of a galvanostatic step, else None."""

    key: str
    mode: Mode
    current_A: float | None


def least_current_A(asked_A: float) -> float:
    """From so much current on a voltage is the cell's answer to it."""
    return max(NO_PART * abs(asked_A), NOTHING_A)


class SampleDetector(Protocol):
    """Looks at every sample of a step, O(1) each."""

    def begin(self, driven: Driven) -> None:
        """A step, or a further part of it, begins."""

    def see(self, reading: Reading) -> Values | None:
        """The numbers, when it fires on this sample."""


class Row:
    """Counts how often in a row something was so; ``full`` once when it was so often enough, again only after it was not."""

    def __init__(self, times: float) -> None:
        self._times = times
        self._told = False
        self.count = 0
        """How often in a row it was so, up to the last time."""

    def clear(self) -> None:
        """It was not so."""
        self.count, self._told = 0, False

    def full(self, *, so: bool) -> bool:
        """True on the one look that makes it often enough."""
        if not so:
            self.count, self._told = 0, False
            return False
        self.count += 1
        if self._told or self.count < self._times:
            return False
        self._told = True
        return True


class Finding(NamedTuple):
    """An interlock has fired: which, when, the numbers, and where. ``where``: a step, an acquisition, a sensor."""

    name: str
    mono_ns: int
    values: Mapping[str, float]
    where: str = ""
