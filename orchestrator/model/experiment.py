"""What people write, in its normal form: an Experiment with its cell, limits, acquisitions, protocol and rules.

``config`` reads YAML and sentences into these; ``plan`` turns them into orders. Nothing here does I/O. Names are the
field's; quantities keep the unit kind they were written in (a C-rate stays a C-rate until ``plan`` knows the cell).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from drivers.base import ElectrodeBounds
from orchestrator.model.acquisition import Acquisition, MissedPolicy, NmrTrigger
from orchestrator.model.cell import Cell
from orchestrator.model.protocol import ProtocolItem
from orchestrator.model.rule import Action, InterlockSetting, Rule
from orchestrator.model.units import Quantity
from orchestrator.model.validation import Validation
from orchestrator.model.values import Frozen, Where


class SafetyLimits(Frozen):
    """Ring 2: what no step may pass. Both voltage sides, current, charge per step, and what to do when the host dies.

    ``voltage_name``: which E that is; ``electrodes``: further voltages of single electrodes, beside the cell's.
    """

    voltage_lower_V: float
    voltage_upper_V: float
    current_A: float
    charge_per_step: Quantity
    host_lost: Literal["open circuit", "finish step on device"]
    host_lost_within_s: float | None = None
    lower_armed_above_V: float | None = None
    voltage_name: str = "cell"
    electrodes: tuple[ElectrodeBounds, ...] = ()
    where: Where = Where()

    def bounds(self, name: str) -> ElectrodeBounds:
        """Lower and upper limit of one voltage (``cell``, ``we``, ``ce``), where it has any."""
        first = ElectrodeBounds(self.voltage_name, self.voltage_lower_V, self.voltage_upper_V)
        return next((one for one in (first, *self.electrodes) if one.electrode == name), ElectrodeBounds(name))


class Record(Frozen):
    """How densely electrochemistry is kept."""

    every_s: float = 1.0
    every_V: float | None = None


class BookingEnd(Frozen):
    """What happens when the booked magnet time ends."""

    nmr: str = "stop after this spectrum and hand console back"
    cell: Literal["continue", "finish half-cycle then open circuit", "open circuit"] = "open circuit"


class AtEnd(Frozen):
    """How the run leaves cell and console."""

    cell: str = "open circuit"
    nmr: tuple[str, ...] = ()
    label: str | None = None
    attach: tuple[str, ...] = ()


class Experiment(Frozen):
    """One experiment: what to do to which cell, what to measure when, and what must never happen."""

    version: Literal[1] = 1
    name: str
    cell: Cell
    limits: SafetyLimits
    prepare: tuple[Action, ...] = ()
    acquisitions: Mapping[str, Acquisition] = Field(default_factory=dict)
    protocol: tuple[ProtocolItem, ...]
    nmr: tuple[NmrTrigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    windows: Mapping[str, tuple[float, float]] = Field(default_factory=dict)
    """In ppm, for the analysis: instead of the built-in ones of these names, or beside them."""
    interlocks: tuple[InterlockSetting, ...] = ()
    record: Record = Record()
    cut_offs: Literal["E", "E - I*R_lead"] = "E"
    """Which voltage the cut-offs of constant-current steps and the triggers mean; limits always mean what is measured."""
    busy: Literal["coalesce", "queue"] = "coalesce"
    missed: MissedPolicy = MissedPolicy()
    when_booking_ends: BookingEnd | None = None
    booking_ends: str | None = None
    when_run_dies: Literal["wait for a person", "resume"] = "wait for a person"
    """Of a run that the queue has started: does its daemon continue it without a person, after a crash or a power cut?"""
    at_end: AtEnd = AtEnd()
    budget: Mapping[str, Any] | None = None
    after_short: Mapping[str, str] | None = None
    rig: str | None = None
    validation: Validation | None = None
    """``validate:``, which ``run`` ignores."""
    source: str = ""
    """The YAML text, verbatim."""
    file: str = ""
    """The file it was read from; ``rig`` and ``history`` are relative to its folder."""
    places: Mapping[str, Where] = Field(default_factory=dict)
    """Where each top-level key was written."""
