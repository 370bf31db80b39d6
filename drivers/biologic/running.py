"""The step that a BioLogic runs."""

from __future__ import annotations

from typing import ClassVar

from drivers.base import Mode, Reason
from drivers.biologic.models import OVERLOAD_E
from drivers.stream.running import CLOSE, End, RunningStep


class BioLogicStep(RunningStep):
    """A hold ends at its current limit too, by a test of its own."""

    overload: ClassVar[int] = OVERLOAD_E

    def _at_bound(self) -> End | None:
        return super()._at_bound() or self._at_most_current()

    def _at_most_current(self) -> End | None:
        plan, amps = self.plan, self.current_A
        if plan is None or amps is None or plan.order.mode is not Mode.POTENTIOSTATIC:
            return None
        if abs(amps) < plan.order.limits.current_A * (1 - CLOSE):
            return None
        return Reason.SAFETY, f"{amps:.4g} A, beyond the limit", self.last_mono_ns


class EcLabStep(BioLogicStep):
    """EC-Lab answers before it has made and started what it was told to run (inferred)."""

    begins_at_once: ClassVar[bool] = False
