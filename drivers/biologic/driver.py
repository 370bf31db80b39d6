"""BioLogic potentiostats: EC-Lab obeys by OLE-COM, or the EC-Lab Development Package's DLL on channels that the rig names ours.

A program is one step: a technique that the instrument runs, tests and ends by itself. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import math
from typing import Any

from drivers.base import WE, Capabilities, Context, Identity, Mode, Settings, StepOrder
from drivers.biologic.doors import make_door, options_of
from drivers.biologic.models import capabilities_of, channel_of, check
from drivers.biologic.running import BioLogicStep, EcLabStep
from drivers.biologic.techniques import plan_of
from drivers.stream import notebook
from drivers.stream.bounds import StepPlan, acting_on
from drivers.stream.driver import DoorPotentiostat


class BioLogic(DoorPotentiostat):
    """One channel. Options: see ``drivers.biologic.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(options_of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        self._options, self._channel = options_of(settings), channel_of(settings.channel, settings.instrument)
        self._notes = notebook.in_folder(self._options.folder, self._channel, self._clock, self._name)
        self._serial = ""
        self.capabilities = capabilities_of(self._options)
        self._behind(make_door(self._options, settings, context, self._channel))

    def _planned(self, program: tuple[StepOrder, ...]) -> StepPlan:
        return self._plan_of(check(program, self.capabilities))

    def _plan_of(self, order: StepOrder) -> StepPlan:
        return plan_of(acting_on(order, WE) if self._options.three else order)

    def _waits(self, plan: StepPlan) -> bool:
        return self._options.door == "dll" and self._options.trigger(plan.order).into

    def _running(self, key: str, plan: StepPlan | None, begun_ns: int, **known: Any) -> BioLogicStep:
        kind = BioLogicStep if self._options.door == "dll" else EcLabStep
        return kind(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    async def _meet(self) -> Identity:
        identity = await super()._meet()
        self._serial = identity.serial
        return identity

    @property
    def _place(self) -> str:
        return f"{self._serial}:{self._channel}"

    async def _known(self, identity: Identity, elapsed_s: float | None) -> BioLogicStep | None:
        """Neither DLL nor EC-Lab keeps the name of a step: the notebook does."""
        self._serial = identity.serial
        entry = await self._notes.entry()
        if entry is None or not entry.fits(self._place, elapsed_s, self._clock.utc_ns()):
            return None
        charge_C = 0.0 if entry.order.mode in {Mode.GALVANOSTATIC, Mode.REST} else math.nan
        begun_ns = self._clock.mono_ns() - round((elapsed_s or 0.0) * 1e9)
        return self._running(entry.order.key, self._plan_of(entry.order), begun_ns, charge_C=charge_C)

    async def _note(self, plan: StepPlan) -> None:
        await self._notes.write(notebook.Entry(self._place, self._clock.utc_ns(), plan.order))
