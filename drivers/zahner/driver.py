"""Zahner's Zennium and IM6 by Thales' remote script: this program sets, reads and ends every step itself.

Built to the document, not yet met an instrument. When this program dies, what flows goes on (inferred): the guard opens the circuit.
"""

from __future__ import annotations

from drivers.base import Capabilities, Context, Settings, StepOrder
from drivers.stream.bounds import StepPlan
from drivers.stream.driver import DoorPotentiostat
from drivers.zahner.door import ZahnerDoor
from drivers.zahner.models import Options, capabilities_of, planned


class Zahner(DoorPotentiostat):
    """One instrument. Options: see ``drivers.zahner.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(Options.of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = Options.of(settings)
        self.capabilities = capabilities_of(options)
        self._behind(ZahnerDoor(settings, context, options))

    def _planned(self, program: tuple[StepOrder, ...]) -> StepPlan:
        return planned(program, self.capabilities)
