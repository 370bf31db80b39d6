"""What can go wrong with the cell and the spectrometer of a twin, by name and twin second.

soft_short               a leak that ramps, holds and heals as the cell's ``soft_short`` says, from ``start_s``
hard_short_on_reversal   the first reversal of current after ``start_s`` grows a filament; ``value``: its ohms (1)
contact_loss             the leads hang free: voltage at compliance, no current
sense_swapped            the sense leads are the other way round: the voltage reads with the other sign, the current flows as ever
voltage_spike            ``value`` volts (0.3) on the measured voltage; give it an end (2 s after the start if none)
reference_drift          the reference electrode runs away by ``value`` V per hour (0.02): E_we and E_ce fall together, E does not change
reference_open           the reference has no contact: E_we reads the end of the range
amplifier_trip           no pulse reaches the coil: the FID is noise
gain_changed             somebody turned the receiver gain: counts times ``value`` (0.5)
detuning_ramp            the probe's resonance runs away by ``value`` kHz per hour (20)
turned                   somebody turned the cell: its electrodes' normal to ``value`` degrees (90) from B0, until the end or the next
filter_fault             the potentiostat's noise in the coil: noise times ``value`` (2)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULTS: dict[str, float] = {
    "soft_short": 0.0,
    "hard_short_on_reversal": 1.0,
    "contact_loss": 0.0,
    "sense_swapped": 0.0,
    "voltage_spike": 0.3,
    "reference_drift": 0.02,
    "reference_open": 0.0,
    "amplifier_trip": 0.0,
    "gain_changed": 0.5,
    "detuning_ramp": 20.0,
    "turned": 90.0,
    "filter_fault": 2.0,
}
NAMES = frozenset(DEFAULTS)
SPIKE_S = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault from ``start_s`` to ``end_s`` (None = for good), with the value its name asks for."""

    name: str
    start_s: float = 0.0
    end_s: float | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"no fault is called `{self.name}`; there are: {', '.join(sorted(NAMES))}")

    @property
    def size(self) -> float:
        """The value, or the default of the name."""
        return DEFAULTS[self.name] if self.value is None else self.value

    @property
    def until_s(self) -> float:
        """When it is over."""
        if self.end_s is not None:
            return self.end_s
        return self.start_s + SPIKE_S if self.name == "voltage_spike" else math.inf

    def active(self, t_s: float) -> bool:
        """True while it is there."""
        return self.start_s <= t_s < self.until_s


@dataclass(slots=True)
class Faults:
    """The faults of one twin; empty costs nothing."""

    listed: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """One more."""
        self.listed.append(fault)

    def active(self, name: str, t_s: float) -> Iterator[Fault]:
        """The faults of a name that are there at ``t_s``."""
        return (fault for fault in self.listed if fault.name == name and fault.active(t_s))

    def any(self, name: str, t_s: float) -> bool:
        """True while one of this name is there."""
        return any(True for _ in self.active(name, t_s))

    def next_edge_s(self, t_s: float) -> float:
        """The next instant after ``t_s`` at which a fault begins or ends; infinity when none."""
        edges = (edge for fault in self.listed for edge in (fault.start_s, fault.until_s) if edge > t_s)
        return min(edges, default=math.inf)

    def plain(self) -> list[dict[str, Any]]:
        """JSON data."""
        return [asdict(fault) for fault in self.listed]
