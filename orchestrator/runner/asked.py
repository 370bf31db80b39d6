"""What people, rules and policies have asked of the protocol, and what it has not come to yet. Nothing here waits or acts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.owners import Owner, Whys


class Asked:
    """Pauses, the stop, a skip to another step (``go_to``: its index), a spectrum and a hold (each with why it was asked for).

    ``resumed``: set as soon as nothing keeps the protocol from going on. ``shorted``: what opened the circuit for a short;
    ``no_more_current``: after it no step with current is to start in this run.
    """

    def __init__(self) -> None:
        self._pauses = Whys()
        self.resumed = asyncio.Event()
        self.stopping = False
        self.go_to: int | None = None
        self.impedance: str | None = None
        self.hold: tuple[PlannedStep, str] | None = None
        self.shorted: str | None = None
        self.no_more_current = False

    @property
    def paused(self) -> str | None:
        """Why the next step does not start."""
        return self._pauses.text

    @property
    def keeps_current(self) -> bool:
        """No current is started now, of whatever step."""
        return self.stopping or self.paused is not None

    @property
    def breaks_off(self) -> bool:
        """The steps that follow in the running program do not start."""
        return self.keeps_current or self.go_to is not None or self.by_rules

    @property
    def by_rules(self) -> bool:
        """Is there something that no step of the plan does?"""
        return self.impedance is not None or self.hold is not None

    def pause(self, owner: Owner, why: str) -> None:
        """One more that keeps the protocol from going on."""
        self._pauses.add(owner, why)
        self.resumed.clear()

    def restore(self, pauses: Mapping[Owner, str]) -> None:
        """Those of a run that was broken off."""
        for owner, why in pauses.items():
            self.pause(owner, why)

    def resume(self, *owners: Owner) -> list[str]:
        """End the pauses of these owners; returns why they were."""
        ended = self._pauses.remove(*owners)
        if ended and self.paused is None:
            self.resumed.set()
        return ended

    def stop(self) -> None:
        """No further step starts."""
        self.stopping = True
        self.resumed.set()

    def take_impedance(self) -> str | None:
        """The spectrum that is due now, if one is; behind a skip it waits for the step that the skip leads to."""
        if self.impedance is None or self.go_to is not None:
            return None
        why, self.impedance = self.impedance, None
        return why

    def take_hold(self) -> tuple[PlannedStep, str] | None:
        """The hold that is due now, likewise."""
        if self.hold is None or self.go_to is not None:
            return None
        hold, self.hold = self.hold, None
        return hold

    def take_go_to(self) -> int | None:
        """Where the protocol goes on, where a skip was asked for."""
        index, self.go_to = self.go_to, None
        return index
