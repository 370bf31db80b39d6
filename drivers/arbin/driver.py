"""Arbin cyclers by MITS Pro's CTI: a schedule of the lab's, given the numbers of one step, runs by itself and is watched.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

from typing import Any

from drivers.arbin.door import ArbinDoor
from drivers.arbin.models import Options, capabilities_of, planned
from drivers.base import Capabilities, Context, Settings, StepOrder
from drivers.stream.bounds import StepPlan
from drivers.stream.driver import DoorPotentiostat
from drivers.stream.running import End, RunningStep

OVER = 0.01
"""Of the current that was asked for: with less the step was over when its one sample was read."""


class ArbinStep(RunningStep):
    """CTI shows the moment only: a step that was over before anybody looked has one sample, at open circuit again."""

    def nearly(self) -> End | None:
        """As the others; of such a step, the bound that it met at once."""
        found, order = super().nearly(), self.order
        at_once = order is not None and self.samples == 1 and abs(self.current_A or 0.0) <= OVER * abs(order.current_A or 0.0)
        return self._before_the_first(self.plan) if found is None and at_once and self.plan is not None else found


class Arbin(DoorPotentiostat):
    """One channel. Options: see ``drivers.arbin.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(Options.of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = Options.of(settings)
        self.capabilities = capabilities_of(options)
        self._behind(ArbinDoor(settings, context, options))

    def _planned(self, program: tuple[StepOrder, ...]) -> StepPlan:
        return planned(program, self.capabilities)

    def _running(self, key: str, plan: StepPlan | None, begun_ns: int, **known: Any) -> ArbinStep:
        return ArbinStep(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)
