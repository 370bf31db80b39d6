"""Steps without a current of their own: a person's part, and a set-point with its settling."""

from __future__ import annotations

from typing import Protocol

from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.prompts import Prompts
from orchestrator.runner.station import Alarms, Surroundings


class Work(Protocol):
    """What a step waits for. ``done``: it has come. ``late``: what is said when it has not."""

    done: bool
    late: str

    async def run(self) -> None:
        """Return when it has come."""


class Prompted:
    """Somebody answers a prompt."""

    def __init__(self, surroundings: Surroundings, prompts: Prompts, step: PlannedStep) -> None:
        self._s = surroundings
        self._prompts = prompts
        self._step = step
        self.done = False
        self.late = f"nobody has answered: {step.settings['prompt']}"

    async def run(self) -> None:
        """Ask until somebody says that it is done."""
        who = await self._prompts.ask(self._step.key, "Your part", str(self._step.settings["prompt"]))
        self.done = True
        self._s.put("note", text=f"{self._step.text}: done, says {who}", who="rig")


class Hands:
    """Makes the work of a step."""

    def __init__(self, surroundings: Surroundings, prompts: Prompts, alarms: Alarms) -> None:
        self._s = surroundings
        self._prompts = prompts
        self._alarms = alarms

    def work(self, step: PlannedStep) -> Work:
        """What this step waits for."""
        return Prompted(self._s, self._prompts, step)

    def late(self, work: Work) -> None:
        """It has not come in its time."""
        advice = "the cell is at open circuit and the protocol stands still; see to it, then resume"
        self._alarms.sound("hands", "alarm", "The protocol waits for a person", work.late, advice=advice)
