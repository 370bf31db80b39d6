"""Whom the sampling task tells what it sees. No method here waits."""

from __future__ import annotations

from typing import Protocol

from drivers.base import LinkLost, LinkRestored, Reason, SampleBlock, StepEnded, StepStarted
from orchestrator.runner.account import Account
from orchestrator.runner.rules import Firing
from orchestrator.runner.safety import Violation
from orchestrator.runner.triggers import Fire, Sample

Edge = StepStarted | StepEnded | LinkLost | LinkRestored


class Listener(Protocol):
    """Who acts on what the sampling task sees."""

    def violated(self, violation: Violation) -> None:
        """A limit of ring 2 was passed."""

    def edge(self, edge: Edge) -> None:
        """A step started or ended, or the link changed; already journaled."""

    def ahead(self, fires: list[Fire]) -> bool:
        """These are about to ask for acquisitions: True where the console is told to start before that is written down."""

    def fired(self, fires: list[Fire], step_key: str, cause: int | None) -> None:
        """Triggers ask for acquisitions."""

    def ruled(self, firing: Firing, sample: Sample, step_key: str) -> None:
        """A rule has seen what it waits for."""

    def reached(self, reason: Reason) -> None:
        """An end condition is met that the instrument does not see to."""


class Watching(Protocol):
    """Who looks at every block besides: the interlocks."""

    def samples(self, block: SampleBlock, account: Account | None) -> None:
        """A block has been taken, with the step that runs."""
