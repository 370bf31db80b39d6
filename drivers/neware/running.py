"""The step that a Neware runs: the instrument says how it ended, its rows say why."""

from __future__ import annotations

from typing import Any, ClassVar

from drivers.base import Mode, Reason
from drivers.neware import wire
from drivers.neware.models import OVERLOAD
from drivers.stream.running import CLOSE, LATE_S, End, RunningStep, S


class CyclerStep(RunningStep):
    """``test``: its number, where it is known already; ``before``: that of the test before it."""

    overload: ClassVar[int] = OVERLOAD
    tick_s: ClassVar[float] = 0.1  # in the data that were seen

    def __init__(self, *args: Any, test: int | None = None, before: int | None = None, **known: Any) -> None:
        super().__init__(*args, **known)
        self.test, self._before = test, before
        self.stands = False
        self.stood_ns = self.begun_ns

    def belongs(self, test: int) -> bool:
        """Is this its test? The first one that is not the one before it."""
        if self.test is None and test != self._before:
            self.test = test
        return self.test == test

    def at(self, elapsed_s: float, seen_ns: int) -> None:
        """The client's own time of the step, in tenths of a second: it holds where rows come late."""
        if elapsed_s > 0:
            self.alignment.take(seen_ns - round((elapsed_s - self.tick_s / 2) * S))

    def _is_too_long(self, now_ns: int) -> tuple[Reason, str] | None:
        return None if self.stands and self._rows_are_late() else super()._is_too_long(now_ns)

    def _rows_are_late(self) -> bool:
        """Rows of a step that is over: none lies beyond its time."""
        return self.plan is not None and (self.last_device_ns or 0) <= (self.plan.duration_s + LATE_S) * S

    # ---------------------------------------------------------------------------------------------------------- its end

    def verdict(self, status: str, now_ns: int, log_code: str = "") -> End:
        """The instrument has ended it, and says how: for what reason, in words, and when."""
        if self.plan is None:
            return Reason.LOST, f"it ended on the instrument ({status}); what it was is not known", now_ns
        if self.test is None and not self.rows and not self.seen_running:
            return Reason.DEVICE_ERROR, "the start was accepted, and nothing was ever seen to run", now_ns
        if status == wire.PROTECT:
            return self._protected(log_code)
        if status != wire.FINISH:
            return Reason.LOST, f"stopped by hand, or by another program ({status})", now_ns
        found = self.clearly(now_ns) or self.nearly()
        return found or (Reason.LOST, "it finished at none of its limits", now_ns)

    def _protected(self, log_code: str) -> End:
        """A protection: of the voltage on the side that the current leaves, of the charge while a voltage is held, or ring 2."""
        plan, said = self.plan, f" (log code {log_code})" if log_code else ""
        assert plan is not None
        if plan.order.mode is Mode.POTENTIOSTATIC and abs(self.charge_C) >= plan.charge.value * (1 - CLOSE):
            return plan.charge.reason, f"protection at {self.charge_C:.4g} C{said}", self.last_mono_ns
        bound = self._voltage_bound()
        if bound is not None and not self._beyond_limits():
            return bound.reason, f"protection at {self.voltage_V:.6g} V{said}", self.last_mono_ns
        shown = "" if self.voltage_V is None or self.current_A is None else f" at {self.voltage_V:.6g} V, {self.current_A:.4g} A"
        return Reason.SAFETY, f"protection{shown}{said}", self.last_mono_ns

    def _beyond_limits(self) -> bool:
        limits, volts = self.plan.order.limits if self.plan else None, self.voltage_V
        return limits is not None and volts is not None and not limits.voltage_lower_V <= volts <= limits.voltage_upper_V
