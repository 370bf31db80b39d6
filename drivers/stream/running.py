"""The step that runs: its samples on our clock, its charge, its spectrum, and why it ended. No I/O: rows in, events out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from drivers.base import ImpedanceSpectrum, Mode, Reason, StepEnded, StepOrder, StepStarted
from drivers.stream.alignment import Alignment
from drivers.stream.bounds import Bound, StepPlan
from drivers.stream.rows import Point, Row
from drivers.stream.samples import Outbox, Sample

CLOSE_V, CLOSE = 2e-4, 2e-3
"""So near to a bound, in V and relative to a current or a charge, a sample is at it: instruments round and compare in single precision."""
BEYOND_V = 5e-4
LATE_S = 5.0
BACKWARDS, TOO_MUCH, LITTLE_A = 0.5, 1.5, 1e-6
"""A current is astray that flows the other way with half its size, or with half as much again; less than this is noise."""
BEYOND = 2
S = 1e9
NEVER_NS = 10**18
End = tuple[Reason, str, int]


def astray(asked_A: float, current_A: float) -> bool:
    """Is this another current than the one that was asked for: a sign, a unit or a decimal point that the instrument read otherwise?"""
    if current_A * asked_A < 0:
        return abs(current_A) > BACKWARDS * abs(asked_A) and abs(current_A) > LITTLE_A
    return abs(current_A) > TOO_MUCH * abs(asked_A) + LITTLE_A


class RunningStep:
    """One step that the instrument runs, tests and ends by itself. ``begun_ns``: our clock when its time was zero, or a little later.

    ``plan`` None: adopted, and nobody knows what it is. ``charge_C`` NaN: nobody knows what has passed before. ``speed``: of the clock, by
    which the patience with the wire is longer. ``waits``: for a trigger; it begins with its first sample, however long that takes.
    """

    overload: ClassVar[int] = 1
    """Bit of ``status`` for a voltage or a current that is no number."""
    tick_s: ClassVar[float] = 0.01
    """What the instrument's times are rounded to."""
    begins_at_once: ClassVar[bool] = True
    """Its time was zero when the start was answered; else its first sample says when it was."""

    def __init__(
        self,
        key: str,
        plan: StepPlan | None,
        outbox: Outbox,
        begun_ns: int,
        *,
        shown: bool = True,
        charge_C: float = 0.0,
        speed: float = 1.0,
        waits: bool = False,
    ) -> None:
        self.key, self.plan, self.begun_ns, self.shown = key, plan, begun_ns, False
        self._outbox, self.speed = outbox, speed
        self.alignment, self.waits = Alignment(), waits
        if not waits and self.begins_at_once:
            self.alignment.take(begun_ns)
        self.last_mono_ns = begun_ns
        self.last_device_ns: int | None = None
        self.voltage_V: float | None = None
        self.current_A: float | None = None
        self.charge_C = charge_C
        self.stops = self.samples = self.rows = self.refused = self.beyond = self.astray = 0
        self.trouble, self.trouble_reason = "", Reason.DEVICE_ERROR
        self.seen_running = self.more = False
        self._volts: deque[tuple[float, float]] = deque(maxlen=2)
        self._points: list[Point] = []
        if shown and not waits and self.begins_at_once:
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
        """When its time is over, on our clock; while it waits nobody knows."""
        if self.waits:
            return self.begun_ns + NEVER_NS
        zero_ns = self.alignment.offset_ns if self.alignment.sorted_ns else self.begun_ns
        return zero_ns + round((self.plan.duration_s if self.plan else 0.0) * S)

    def show(self, mono_ns: int) -> None:
        """Say, once, that it has begun."""
        if not self.shown:
            self.shown = True
            self._outbox.put(StepStarted(self.key, mono_ns))

    # ---------------------------------------------------------------------------------------------------------- samples

    def take(self, rows: Sequence[Row], seen_ns: int, status: int = 0) -> None:
        """Rows in the order in which they were measured; ``status`` belongs to the last one."""
        self._align(rows, seen_ns)
        for row in rows:
            self.rows = max(self.rows, row.number)
            if isinstance(row, Point):
                self._points.append(row)
            if not 0 <= row.time_s < S or not self._follows(device_ns := round(row.time_s * S)):
                self._refuse(row)
                continue
            if self.waits or (not self.begins_at_once and not self.shown):
                self.waits, self.begun_ns, self.last_mono_ns = False, seen_ns - device_ns, seen_ns - device_ns
            self.show(self.begun_ns)
            self._sample(row, device_ns, status if row is rows[-1] else 0)

    def _align(self, rows: Sequence[Row], seen_ns: int) -> None:
        """Of rows that come together only the newest says how late a row is; and where more wait, not even that one."""
        newest_s = next((row.time_s for row in reversed(rows) if 0 <= row.time_s < S), None)
        if newest_s is not None and not (self.more and self.alignment.sorted_ns):
            self.alignment.take(seen_ns - round(newest_s * S))

    def _refuse(self, row: Row) -> None:
        """A row that was no sample; it is counted, in the file too. A point of a sweep has said what it has to say."""
        if not isinstance(row, Point):
            self.refused += 1
            self._outbox.garbled += 1

    def _follows(self, device_ns: int) -> bool:
        return self.last_device_ns is None or device_ns > self.last_device_ns

    def _sample(self, row: Row, device_ns: int, status: int) -> None:
        mono_ns = max(device_ns + self.alignment.offset_ns, self.last_mono_ns + (self.samples > 0))
        self._count(row, device_ns)
        self.samples += 1
        self.last_device_ns, self.voltage_V, self.current_A = device_ns, row.voltage_V, row.current_A
        self._volts.append((row.time_s, row.voltage_V))
        self._count_beyond(row)
        self.last_mono_ns = mono_ns
        bits = status | (0 if math.isfinite(row.voltage_V) and math.isfinite(row.current_A) else self.overload)
        half_width_ns, ce_V = self.alignment.half_width_ns, row.ce_V
        if ce_V is not None and math.isnan(ce_V):
            return  # it is counted; what E of the cell was, nobody has read
        voltage_V, we_V = (row.voltage_V, None) if ce_V is None else (row.voltage_V - ce_V, row.voltage_V)
        told = Sample(self.key, mono_ns, voltage_V, row.current_A, device_ns, half_width_ns, bits, self.charge_C, we_V, ce_V)
        self._outbox.sample(told)

    def _count(self, row: Row, device_ns: int) -> None:
        """The instrument's own count, which has no sign; ours where it has none."""
        if math.isfinite(row.charge_C) and not self.rests:
            self.charge_C = math.copysign(row.charge_C, row.current_A or self.charge_C)
        elif math.isfinite(row.current_A):
            self.charge_C += row.current_A * (device_ns - (self.last_device_ns or 0)) / S

    def _count_beyond(self, row: Row) -> None:
        """How many samples in a row lay beyond a voltage at which it should have been over; how many had a current not asked for."""
        plan, past_V = self.plan, CLOSE_V + BEYOND_V
        beyond = plan is not None and (
            (plan.upper is not None and row.voltage_V > plan.upper.value + past_V)
            or (plan.lower is not None and row.voltage_V < plan.lower.value - past_V)
        )
        self.beyond = self.beyond + 1 if beyond else 0
        asked_A = plan.order.current_A if plan is not None and plan.order.mode is Mode.GALVANOSTATIC else None
        self.astray = self.astray + 1 if asked_A and astray(asked_A, row.current_A) else 0

    # ------------------------------------------------------------------------------------------- what the host ends it for

    def to_be_ended(self, now_ns: int) -> tuple[Reason, str] | None:
        """Why this program must end the step, where the instrument does not or did not."""
        if self.plan is None:
            return None
        return self._is_astray() or self._is_beyond() or self._is_charged() or self._at_open_voltage() or self._is_too_long(now_ns)

    def _is_astray(self) -> tuple[Reason, str] | None:
        if self.astray < BEYOND or self.order is None:
            return None
        return Reason.DEVICE_ERROR, f"{self.current_A:.4g} A flow where {self.order.current_A:.4g} A were asked for"

    def _is_beyond(self) -> tuple[Reason, str] | None:
        if self.beyond < BEYOND or self.plan is None or self.voltage_V is None:
            return None
        upper = self.plan.upper is not None and self.voltage_V > self.plan.upper.value
        bound = self.plan.upper if upper else self.plan.lower
        if bound is None:
            return None
        return bound.reason, f"{self.voltage_V:.4g} V, beyond {bound.value:g} V, and the instrument went on"

    def _is_charged(self) -> tuple[Reason, str] | None:
        """At constant current the instrument keeps it, as a time."""
        plan, passed_C = self.plan, abs(self.charge_C)
        if plan is None or plan.order.mode is Mode.GALVANOSTATIC or math.isnan(passed_C) or passed_C < plan.charge.value:
            return None
        return plan.charge.reason, f"{passed_C:.4g} C" + (", beyond the limit" if plan.charge.reason is Reason.SAFETY else "")

    def _at_open_voltage(self) -> tuple[Reason, str] | None:
        """At open circuit and in a sweep instruments test no voltage."""
        order, now_V = self.order, self.voltage_V
        if order is None or now_V is None or order.mode not in {Mode.REST, Mode.IMPEDANCE}:
            return None
        ends = order.ends
        if ends.voltage_upper_V is not None and now_V >= ends.voltage_upper_V:
            return Reason.V_UPPER, f"{now_V:.4g} V"
        return (Reason.V_LOWER, f"{now_V:.4g} V") if ends.voltage_lower_V is not None and now_V <= ends.voltage_lower_V else None

    def _is_too_long(self, now_ns: int) -> tuple[Reason, str] | None:
        if self.plan is None:
            return None
        of_its_own = self.plan.order.mode is not Mode.IMPEDANCE
        patience_s = LATE_S * self.speed + 2 * self.interval_s if of_its_own else 0.0
        if now_ns < self.due_ns + patience_s * S:
            return None
        return self.plan.duration.reason, "its time was over, and the instrument went on" if of_its_own else "its time was over"

    # ---------------------------------------------------------------------------------------------------------- its end

    def why(self, now_ns: int) -> End:
        """The instrument has stopped by itself: for what reason, in words, and when. It does not say; the samples do."""
        if self.plan is None:
            return Reason.LOST, "it ended on the instrument; what it was is not known", now_ns
        if not self.samples and not self.seen_running:
            return Reason.DEVICE_ERROR, "the start was accepted, and nothing was ever seen to run", now_ns
        if self.plan.order.mode is Mode.IMPEDANCE and self._swept():
            return Reason.TIME, "the sweep is complete", now_ns
        if self.waits:
            return Reason.LOST, "it was stopped before its trigger came", now_ns
        found = self.clearly(now_ns)
        if found is None and self.trouble:
            return self.trouble_reason, self.trouble, now_ns
        found = found or self.nearly()
        return found or (Reason.LOST, "it stopped at none of its limits: by hand, or by another program", now_ns)

    def clearly(self, now_ns: int) -> End | None:
        """The end that its last row shows; None where rows may still be missing."""
        return self._at_bound() or self._at_time(now_ns)

    def _swept(self) -> bool:
        wanted = self.plan.order.impedance if self.plan is not None else None
        return wanted is not None and len(self._points) >= wanted.points

    def _voltage_bound(self) -> Bound | None:
        """The voltage that its last row has reached."""
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
        if last_s < self.plan.duration_s - 1.02 * self.interval_s - self.tick_s:
            return None
        charge = f", {self.charge_C:.4g} C" if self.plan.duration.reason is Reason.CHARGE else ""
        return self.plan.duration.reason, f"{self.plan.duration_s:g} s{charge}", min(now_ns, self.due_ns)

    def nearly(self) -> End | None:
        """The bound that the next sample would have passed: instruments test more often than they record."""
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

    def _before_the_first(self, plan: StepPlan) -> End | None:
        bound = plan.upper if (plan.order.current_A or 0.0) > 0 else plan.lower
        if bound is not None and plan.order.mode is Mode.GALVANOSTATIC:
            return bound.reason, f"at {bound.value:g} V before its first sample", self.begun_ns
        return (Reason.CURRENT, "before its first sample", self.begun_ns) if plan.taper_A is not None else None

    def end(self, reason: Reason, detail: str, end_ns: int, now_ns: int) -> None:
        """Spectrum, if there is one, and end; a step whose trigger never came has not begun."""
        if not self.waits:
            self.show(self.begun_ns)
        end_ns = max(min(end_ns, now_ns), self.last_mono_ns)
        if self._points:
            import numpy as np

            frequency_Hz = np.array([point.frequency_Hz for point in self._points], np.float64)
            impedance_ohm = np.array([point.impedance_ohm for point in self._points], np.complex128)
            self._outbox.put(ImpedanceSpectrum(self.key, end_ns, frequency_Hz, impedance_ohm))
        self._outbox.put(StepEnded(self.key, end_ns, reason, detail, self.last_device_ns))
