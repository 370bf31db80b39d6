"""Arbin cyclers by MITS Pro's CTI: a schedule of the lab's, given the numbers of one step, runs by itself and is watched.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

from drivers.arbin.door import ArbinDoor
from drivers.arbin.models import Options, capabilities_of, planned
from drivers.base import Capabilities, Context, Settings, StepOrder
from drivers.stream.bounds import StepPlan
from drivers.stream.driver import DoorPotentiostat


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
