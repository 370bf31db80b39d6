"""Arbin cyclers by MITS Pro's CTI: a schedule of the lab's, given the numbers of one step, runs by itself and is watched.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import math
from typing import Any

from drivers.arbin.door import ArbinDoor
from drivers.arbin.models import Options, capabilities_of, channel_of, planned
from drivers.base import Capabilities, Context, Identity, Mode, Reason, Settings, StepOrder
from drivers.stream import notebook
from drivers.stream.bounds import StepPlan
from drivers.stream.driver import DoorPotentiostat
from drivers.stream.rows import Row
from drivers.stream.running import End, RunningStep

OVER = 0.01
"""Of the current that was asked for: with less the step was over when its one sample was read."""


class ArbinStep(RunningStep):
    """CTI shows the moment only: a step that was over before anybody looked has one sample, at open circuit again."""

    def _count(self, row: Row, device_ns: int) -> None:
        """The schedule's own count has no sign; at open circuit again the current that was asked for gives it, noise does not."""
        super()._count(row, device_ns)
        asked_A = (self.order.current_A or 0.0) if self.order is not None and self.order.mode is Mode.GALVANOSTATIC else 0.0
        if abs(row.current_A) <= OVER * abs(asked_A):
            self.charge_C = math.copysign(self.charge_C, asked_A)

    def why(self, now_ns: int) -> End:
        """As the others; of a test that no notebook knows, what a person can do about it."""
        if self.plan is not None:
            return super().why(now_ns)
        return Reason.LOST, f"{self.key} ended at MITS, and no notebook says what it was (option `folder` of the instrument)", now_ns

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
        self._arbin = ArbinDoor(settings, context, options)
        self._notes = notebook.in_folder(options.folder, channel_of(settings), self._clock, self._name)
        self._behind(self._arbin)

    def _planned(self, program: tuple[StepOrder, ...]) -> StepPlan:
        return planned(program, self.capabilities)

    def _running(self, key: str, plan: StepPlan | None, begun_ns: int, **known: Any) -> ArbinStep:
        return ArbinStep(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    async def _note(self, plan: StepPlan) -> None:
        await self._notes.write(notebook.Entry(self._arbin.test, self._clock.utc_ns(), plan.order))

    async def _known(self, identity: Identity, elapsed_s: float | None) -> ArbinStep | None:  # noqa: ARG002 a test's name is never given twice
        """A test is named after its step, and nobody else's has that name; what the step is, the notebook says."""
        entry = await self._notes.entry()
        if entry is None or not entry.fits(self._arbin.test, elapsed_s, self._clock.utc_ns()):
            return None
        begun_ns = self._clock.mono_ns() - round((elapsed_s or 0.0) * 1e9)
        return self._running(entry.order.key, planned((entry.order,), self.capabilities), begun_ns)
