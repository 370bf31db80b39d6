"""What a check of a plan may look at, and how it says what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from drivers.base import Capabilities, ConsoleCapabilities
from orchestrator.model.experiment import Experiment
from orchestrator.model.problems import Problem
from orchestrator.model.rig import Rig, StationSetup
from orchestrator.model.values import Where
from orchestrator.plan.estimate import at_end_s
from orchestrator.plan.expand import Expanded
from orchestrator.plan.orders import Plan, PlannedStep


@dataclass(frozen=True, slots=True)
class Instruments:
    """What is known of the station's instruments; the contract's defaults where nobody has asked them yet."""

    potentiostat: Capabilities = field(default_factory=Capabilities)
    console: ConsoleCapabilities = field(default_factory=ConsoleCapabilities)
    potentiostat_known: bool = False
    console_known: bool = False

    @classmethod
    def of(cls, setup: StationSetup, known: Mapping[str, Capabilities | ConsoleCapabilities]) -> Instruments:
        """The instruments of a station, out of what is known by instrument id."""
        channel = known.get(setup.potentiostat.partition(":")[0])
        console = known.get(setup.console)
        return cls(
            channel if isinstance(channel, Capabilities) else Capabilities(),
            console if isinstance(console, ConsoleCapabilities) else ConsoleCapabilities(),
            isinstance(channel, Capabilities),
            isinstance(console, ConsoleCapabilities),
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a check may look at. ``start_utc_ns``, ``free_bytes``: None where not known."""

    experiment: Experiment
    rig: Rig
    setup: StationSetup
    instruments: Instruments
    plan: Plan
    expanded: Expanded
    start_utc_ns: int | None = None
    free_bytes: int | None = None

    def steps(self) -> Iterator[tuple[PlannedStep, Where]]:
        """Planned steps and where they were written."""
        yield from zip(self.expanded.steps, self.expanded.wheres, strict=True)

    def at(self, key: str) -> Where:
        """Where a top-level key of the file stands; nowhere, if what is wrong was not written there."""
        return self.experiment.places.get(key, Where())

    @property
    def around_s(self) -> float:
        """Expected seconds of ``prepare`` and of the acquisitions of ``at_end``."""
        return sum(step.expected_s for step in self.plan.prepare) + at_end_s(self.plan)


def warning(where: Where, message: str, hint: str = "") -> Problem:
    """Something unwise: said, not refused."""
    return Problem(where, message, hint, level="warning")


Check = Callable[[Facts], Iterator[Problem]]
