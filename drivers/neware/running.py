"""The step that runs: its samples on our clock, its charge, and why it ended. No I/O: rows in, events out."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

from drivers.base import Mode, Reason, StepEnded, StepOrder, StepStarted
from drivers.neware import wire
from drivers.neware.models import OVERLOAD
from drivers.neware.steps import Bound, Plan
from drivers.stream.alignment import Alignment
from drivers.stream.samples import Outbox, Sample

CLOSE_V, CLOSE = 2e-4, 2e-3
"""So near to a bound, in V and relative to a current or a charge, a sample is at it: files count in 0.1 mV, samples are rounded."""
LATE_S = 5.0
BACKWARDS, TOO_MUCH, LITTLE_A = 0.5, 1.5, 1e-6
"""A current is astray that flows the other way with half its size, or with half as much again; less than this is noise."""
BEYOND = 2
TICK_S = 0.1
"""The instrument's time of a row, in the data that were seen."""
S = 1e9
End = tuple[Reason, str, int]


def astray(asked_A: float, current_A: float) -> bool:
    """Is this another current than the one that was asked for: a sign, or a unit, that the client read otherwise?"""
    if current_A * asked_A < 0:
        return abs(current_A) > BACKWARDS * abs(asked_A) and abs(current_A) > LITTLE_A
    return abs(current_A) > TOO_MUCH * abs(asked_A) + LITTLE_A


class Running:
    """One step. ``begun_ns``: our clock when its time was zero, or a little later.

    ``plan`` None: adopted, and nobody knows what it is. ``test``: its number, where it is known already; ``before``: that of the test
    before it. ``first_ns``: rows from before count, and are no samples again (an earlier host had them). ``speed``: of the clock.
    """

    def __init__(
        self,
        key: str,
        plan: Plan | None,
        outbox: Outbox,
        begun_ns: int,
        *,
        test: int | None = None,
        before: int | None = None,
        first_ns: int = 0,
        shown: bool = True,
        speed: float = 1.0,
    ) -> None:
        self.key, self.plan, self.begun_ns, self.shown = key, plan, begun_ns, False
        self.test, self._before, self._first_ns, self.speed = test, before, first_ns, speed
        self._outbox = outbox
        self.alignment = Alignment()
        self.alignment.take(begun_ns)
        self.last_mono_ns = begun_ns
        self.last_device_ns: int | None = None
        self.voltage_V: float | None = None
        self.current_A: float | None = None
        self.charge_C = 0.0
        self.rows = self.stops = self.beyond = self.astray = 0
        self.seen_running = self.stands = False
        self.stood_ns = begun_ns
        self._volts: deque[tuple[float, float]] = deque(maxlen=2)
        if shown:
            self.show(begun_ns)

    @property
    def order(self) -> StepOrder | None:
        """What was asked for."""
        return self.plan.order if self.plan is not None else None

    @property
    def interval_s(self) -> float:
        """How often a sample is due."""
        return self.order.sample_interval_s if self.order is not None else 1.0

    @property
    def rests(self) -> bool:
        """The circuit is open."""
        return self.order is not None and self.order.mode is Mode.REST

    @property
    def due_ns(self) -> int:
        """When its time is over, on our clock."""
        return self.alignment.offset_ns + round((self.plan.duration_s if self.plan else 0.0) * S)

    def show(self, mono_ns: int) -> None:
        """Say, once, that it has begun."""
        if not self.shown:
            self.shown = True
            self._outbox.put(StepStarted(self.key, mono_ns))

    def belongs(self, test: int) -> bool:
        """Is this its test? The first one that is not the one before it."""
        if self.test is None and test != self._before:
            self.test = test
        return self.test == test

    # ---------------------------------------------------------------------------------------------------------- samples

    def take(self, rows: tuple[wire.Row, ...], seen_ns: int) -> None:
        """Rows in the order in which they were measured."""
        for row in rows:
            self.rows = max(self.rows, row.number)
            if not 0 <= row.time_s < S or (self.last_device_ns is not None and round(row.time_s * S) <= self.last_device_ns):
                self._outbox.garbled += 1
                continue
            self.show(self.begun_ns)
            self.alignment.take(seen_ns - round(row.time_s * S))
            self._sample(row, round(row.time_s * S))

    def at(self, elapsed_s: float, seen_ns: int) -> None:
        """The client's own time of the step, in tenths of a second: it holds where rows come late."""
        if elapsed_s > 0:
            self.alignment.take(seen_ns - round((elapsed_s - TICK_S / 2) * S))

    def _sample(self, row: wire.Row, device_ns: int) -> None:
        mono_ns = max(device_ns + self.alignment.offset_ns, self.last_mono_ns + (self.last_device_ns is not None))
        self._count(row, device_ns)
        self.last_device_ns, self.voltage_V, self.current_A = device_ns, row.voltage_V, row.current_A
        self._volts.append((row.time_s, row.voltage_V))
        self._count_beyond(row)
        if mono_ns < self._first_ns:
            return
        self.last_mono_ns = mono_ns
        status = 0 if math.isfinite(row.voltage_V) and math.isfinite(row.current_A) else OVERLOAD
        half_width_ns = self.alignment.half_width_ns
        self._outbox.sample(Sample(self.key, mono_ns, row.voltage_V, row.current_A, device_ns, half_width_ns, status, self.charge_C))

    def _count(self, row: wire.Row, device_ns: int) -> None:
        """The instrument's own count, which has no sign; ours where it has none."""
        if math.isfinite(row.charge_C) and (self.plan is None or self.plan.order.mode is not Mode.REST):
            self.charge_C = math.copysign(row.charge_C, row.current_A) if row.current_A else math.copysign(row.charge_C, self.charge_C)
        elif math.isfinite(row.current_A):
            self.charge_C += row.current_A * (device_ns - (self.last_device_ns or 0)) / S

    def _count_beyond(self, row: wire.Row) -> None:
        """How many samples in a row lay beyond a voltage at which it should have been over; how many had a current not asked for."""
        plan = self.plan
        beyond = plan is not None and (
            row.voltage_V > plan.upper.value + CLOSE_V + 0.0005
            or (plan.lower is not None and row.voltage_V < plan.lower.value - CLOSE_V - 0.0005)
        )
        self.beyond = self.beyond + 1 if beyond else 0
        asked_A = plan.order.current_A if plan is not None and plan.order.mode is Mode.GALVANOSTATIC else None
        self.astray = self.astray + 1 if asked_A and astray(asked_A, row.current_A) else 0

    # ------------------------------------------------------------------------------------------- what the host ends it for

    def to_be_ended(self, now_ns: int) -> tuple[Reason, str] | None:
        """Why this program must end the step, where the instrument does not or did not."""
        if self.plan is None:
            return None
        return self._is_astray() or self._is_beyond() or self._is_charged() or self._is_at_rest_voltage() or self._is_too_long(now_ns)

    def _is_astray(self) -> tuple[Reason, str] | None:
        if self.astray < BEYOND or self.order is None:
            return None
        return Reason.DEVICE_ERROR, f"{self.current_A:.4g} A flow where {self.order.current_A:.4g} A were asked for"

    def _is_beyond(self) -> tuple[Reason, str] | None:
        if self.beyond < BEYOND or self.plan is None or self.voltage_V is None:
            return None
        bound = self.plan.upper if self.voltage_V > self.plan.upper.value else self.plan.lower
        if bound is None:
            return None
        return bound.reason, f"{self.voltage_V:.4g} V, beyond {bound.value:g} V, and the instrument went on"

    def _is_charged(self) -> tuple[Reason, str] | None:
        """While a voltage is held the protection ends it, with patience; this program is not slower."""
        plan = self.plan
        if plan is None or plan.order.mode is not Mode.POTENTIOSTATIC or abs(self.charge_C) < plan.charge.value:
            return None
        return plan.charge.reason, f"{self.charge_C:.4g} C"

    def _is_at_rest_voltage(self) -> tuple[Reason, str] | None:
        """A rest has no word for a voltage at which it ends."""
        order, now_V = self.order, self.voltage_V
        if order is None or now_V is None or order.mode is not Mode.REST:
            return None
        ends = order.ends
        if ends.voltage_upper_V is not None and now_V >= ends.voltage_upper_V:
            return Reason.V_UPPER, f"{now_V:.4g} V"
        return (Reason.V_LOWER, f"{now_V:.4g} V") if ends.voltage_lower_V is not None and now_V <= ends.voltage_lower_V else None

    def _is_too_long(self, now_ns: int) -> tuple[Reason, str] | None:
        patience_ns = (LATE_S * self.speed + 2 * self.interval_s) * S
        if self.plan is None or (self.stands and self._rows_are_late()) or now_ns < self.due_ns + patience_ns:
            return None
        return self.plan.duration.reason, "its time was over, and the instrument went on"

    def _rows_are_late(self) -> bool:
        """Rows of a step that is over: none lies beyond its time."""
        return self.plan is not None and (self.last_device_ns or 0) <= (self.plan.duration_s + LATE_S) * S

    # ---------------------------------------------------------------------------------------------------------- its end

    def why(self, status: str, now_ns: int, log_code: str = "") -> End:
        """The instrument has ended it: for what reason, in words, and when. It says how; the samples say why."""
        if self.plan is None:
            return Reason.LOST, f"it ended on the instrument ({status}); what it was is not known", now_ns
        if self.test is None and not self.rows and not self.seen_running:
            return Reason.DEVICE_ERROR, "the start was accepted, and nothing was ever seen to run", now_ns
        if status == wire.PROTECT:
            return self._protected(log_code)
        if status != wire.FINISH:
            return Reason.LOST, f"stopped by hand, or by another program ({status})", now_ns
        found = self.clearly(now_ns) or self._nearly()
        return found or (Reason.LOST, "it finished at none of its limits", now_ns)

    def clearly(self, now_ns: int) -> End | None:
        """The end that its last row shows; None where rows may still be missing."""
        return self._at_bound() or self._at_time(now_ns)

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

    def _voltage_bound(self) -> Bound | None:
        plan, volts = self.plan, self.voltage_V
        if plan is None or volts is None:
            return None
        for bound, sign in ((plan.upper, 1), (plan.lower, -1)):
            if bound is not None and sign * (volts - bound.value) >= -CLOSE_V:
                return bound
        return None

    def _at_bound(self) -> End | None:
        plan, bound, amps = self.plan, self._voltage_bound(), self.current_A
        if plan is None or amps is None:
            return None
        if bound is not None and plan.order.mode is Mode.GALVANOSTATIC:
            return bound.reason, f"{self.voltage_V:.6g} V", self.last_mono_ns
        if plan.taper_A is not None and abs(amps) <= plan.taper_A * (1 + CLOSE):
            return Reason.CURRENT, f"{amps:.4g} A", self.last_mono_ns
        return None

    def _at_time(self, now_ns: int) -> End | None:
        if self.plan is None:
            return None
        last_s = (self.last_device_ns or 0) / S
        if last_s < self.plan.duration_s - 1.02 * self.interval_s - TICK_S:
            return None
        charge = f", {self.charge_C:.4g} C" if self.plan.duration.reason is Reason.CHARGE else ""
        return self.plan.duration.reason, f"{self.plan.duration_s:g} s{charge}", min(now_ns, self.due_ns)

    def _nearly(self) -> End | None:
        """The bound that the next sample would have passed: the instrument tests more often than it records."""
        plan = self.plan
        if plan is None:
            return None
        if not self._volts:
            return self._before_the_first(plan)
        soon_V = self._volts[-1][1]
        for (before_s, before_V), (last_s, last_V) in pairwise(self._volts):
            soon_V = last_V + (last_V - before_V) / (last_s - before_s) * self.interval_s * 1.5
        if plan.order.mode is Mode.GALVANOSTATIC:
            for bound, sign in ((plan.upper, 1), (plan.lower, -1)):
                if bound is not None and sign * (soon_V - bound.value) >= 0:
                    return bound.reason, f"on the way to {bound.value:g} V after {self._volts[-1][1]:.6g} V", self._between()
        if plan.taper_A is not None and self.current_A is not None and abs(self.current_A) <= 2 * plan.taper_A:
            return Reason.CURRENT, f"on the way to {plan.taper_A:.4g} A after {self.current_A:.4g} A", self._between()
        return None

    def _between(self) -> int:
        return self.last_mono_ns + round(self.interval_s * S / 2)

    def _before_the_first(self, plan: Plan) -> End | None:
        bound = plan.upper if (plan.order.current_A or 0.0) > 0 else plan.lower
        if bound is not None and plan.order.mode is Mode.GALVANOSTATIC:
            return bound.reason, f"at {bound.value:g} V before its first sample", self.begun_ns
        return (Reason.CURRENT, "before its first sample", self.begun_ns) if plan.taper_A is not None else None

    def end(self, reason: Reason, detail: str, end_ns: int, now_ns: int) -> None:
        """Say that it is over."""
        self.show(self.begun_ns)
        end_ns = max(min(end_ns, now_ns), self.last_mono_ns)
        self._outbox.put(StepEnded(self.key, end_ns, reason, detail, self.last_device_ns))
