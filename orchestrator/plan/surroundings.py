"""What a step needs to know besides itself: the cell, its limits, the acquisitions, what has passed so far."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drivers.base import Limits
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import Experiment
from orchestrator.model.protocol import SampleRate
from orchestrator.plan.ledger import Ledger
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.plan.resolve import Unresolved, capacity_C, charge_C, voltage_sign

SLACK = 1.02
SLACK_S = 60.0
"""Ring 2 of time lies this far behind ring 1, so that a step that ends by its own time is no violation."""
LIST_FACTOR = 1.5
"""A list of acquisitions at open circuit ends after 1.5 times its planned time, whatever is missing."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An experiment while it is being planned, step after step; ``ledger`` moves along."""

    experiment: Experiment
    acquisitions: Mapping[str, PlannedAcquisition]
    ledger: Ledger
    cut_off_ohm: float = 0.0
    """What cut-offs and triggers leave out of E, times the current."""

    @classmethod
    def of(cls, experiment: Experiment, acquisitions: Mapping[str, PlannedAcquisition], lead_ohm: float = 0.0) -> Surroundings:
        """The surroundings of the first step."""
        cut_off_ohm = lead_ohm if experiment.cut_offs != "E" else 0.0
        return cls(experiment, acquisitions, Ledger(capacity_or_none(experiment.cell)), cut_off_ohm)

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.experiment.cell

    @property
    def turned(self) -> int:
        """-1 where written voltages are the negative of what the instrument reads."""
        return voltage_sign(self.cell, self.experiment.limits)

    @property
    def sample(self) -> SampleRate:
        """How densely electrochemistry is kept, unless the step says otherwise."""
        return SampleRate(then_Hz=1.0 / self.experiment.record.every_s)

    @property
    def charge_limit_C(self) -> float:
        """Ring 2: what no step may pass."""
        return charge_C(self.cell, self.experiment.limits.charge_per_step)

    def duration_s(self, name: str) -> float:
        """How long one acquisition of this name takes."""
        return self.acquisitions[name].duration_s

    def list_s(self, names: Iterable[str]) -> float:
        """How long a list of acquisitions takes, one after the other."""
        return sum(self.duration_s(name) for name in names)

    def limits(self, time_s: float) -> Limits:
        """Ring 2, as the instrument reads it, of a step whose own time limit is ``time_s``."""
        written = self.experiment.limits
        lower_V, upper_V = sorted((self.turned * written.voltage_lower_V, self.turned * written.voltage_upper_V))
        if self.turned < 0 and written.lower_armed_above_V is not None:
            raise Unresolved(
                "a lower limit that arms later needs the working lead on the positive electrode", "exchange the leads and `working`"
            )
        return Limits(
            voltage_upper_V=upper_V,
            voltage_lower_V=lower_V,
            current_A=written.current_A,
            charge_C=self.charge_limit_C,
            time_s=time_s * SLACK + SLACK_S,
            voltage_lower_armed_above_V=written.lower_armed_above_V,
            voltage_name=written.voltage_name,
            electrodes=written.electrodes,
        )


def capacity_or_none(cell: Cell) -> float | None:
    """Capacity in coulomb, None where the cell record gives none."""
    try:
        return capacity_C(cell)
    except Unresolved:
        return None


def slug(text: str) -> str:
    """Lower-case letters, digits and hyphens: what any instrument language takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "step"
