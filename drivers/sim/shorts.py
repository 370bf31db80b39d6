"""Whatever shorts a cell: the leak that heals, a filament, and the faults that play one."""

from __future__ import annotations

import math
from typing import Protocol

from drivers.sim.cell_parameters import SoftShort
from drivers.sim.faults import Faults


class Shorted(Protocol):
    """Of the state of a cell: since when it has which short, in seconds of the twin; None: it has none."""

    @property
    def soft_short_s(self) -> float | None:
        """The leak."""

    @property
    def hard_short_s(self) -> float | None:
        """The filament."""

    @property
    def hard_short_ohm(self) -> float:
        """Its resistance once it stands."""


def short_S(state: Shorted, soft: SoftShort, filament_s: float, faults: Faults, t_s: float) -> float:
    """Conductance of all of it at ``t_s``, in siemens; a filament grows over ``filament_s``."""
    total = 0.0
    if state.soft_short_s is not None:
        total += soft.conductance_S(t_s - state.soft_short_s)
    if state.hard_short_s is not None:
        total += -math.expm1(-(t_s - state.hard_short_s) / filament_s) / state.hard_short_ohm
    for fault in faults.listed:
        if fault.name == "soft_short" and fault.active(t_s):
            total += soft.conductance_S(t_s - fault.start_s)
    return total
