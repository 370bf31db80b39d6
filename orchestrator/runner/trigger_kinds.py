"""The kinds of triggers, each a small machine that sees the samples of one step. Pure.

The EVERY kinds sit on a grid of their interval, counted from the step's start (which itself does not fire), so that they do
not drift with lateness; a line that passes within the guard time after the edge fires when that is over. A jump over
several lines fires once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.model.acquisition import Condition, TriggerKind
from orchestrator.plan.orders import TriggerOrder

LINE_TOLERANCE = 1e-3
"""A line of the grid counts as reached within this part of an interval: the last line of a step is often its very end."""

SAME_S, SAME_X = 1e-6, 1e-6
"""Instants and fractions of x closer than this are the same."""

RETRY_AFTER_s = 30.0
"""A back-to-back trigger whose acquisition failed comes again after this long, not at once."""

KNEE_BINS = 15
KNEE_CONFIRM = 5
KNEE_BIN_OF_CAPACITY = 1 / 400
PLATEAU_V_PER_X = 0.25
"""domain.md 3.7 gives n = 15 points, m = 5, exit above twice the entry; bin width and slope are inferred, per unit of x."""


class Sample(NamedTuple):
    """One sample as triggers and rules see it.

    ``elapsed_s``: time under this step. ``charge_C``: signed, of this step. ``fraction``: abs(charge) over the capacity
    that percentages mean (None: unknown). ``x``: of the cell, with what it had when mounted. ``we_V``, ``ce_V``: of each electrode against
    the reference; NaN where not measured.
    """

    mono_ns: int
    elapsed_s: float
    charge_C: float
    voltage_V: float
    current_A: float
    x: float
    fraction: float | None
    we_V: float = math.nan
    ce_V: float = math.nan


def holds(condition: Condition | None, sample: Sample) -> bool:
    """Is the condition of a trigger fulfilled? Unknown x fulfils nothing."""
    if condition is None:
        return True
    value = sample.voltage_V if condition.of == "voltage" else None if sample.fraction is None else sample.fraction * 100.0
    if value is None:
        return False
    return value < condition.value if condition.side == "below" else value > condition.value


class Armed:
    """One trigger of the running step. ``due`` says whether it fires now, and moves it on when it does."""

    def __init__(self, order: TriggerOrder) -> None:
        self.order = order
        self.last: Sample | None = None

    outstanding = False
    """What it asked for is not over, and it waits for that."""

    def on_start(self) -> bool:
        """Fires on the edge itself, before any sample."""
        return False

    def on_end(self) -> bool:
        """Fires when the step has ended."""
        return False

    def released(self, elapsed_s: float, *, ok: bool) -> bool:  # noqa: ARG002
        """The console has finished an acquisition of this trigger's: True when the next one follows at once."""
        return False

    def feed(self, sample: Sample) -> bool:
        """True when it fires on this sample."""
        self.last = sample
        if sample.elapsed_s < self.order.guard_s:
            return False
        return self.due(sample, holds(self.order.condition, sample))

    def due(self, _sample: Sample, _allowed: bool, /) -> bool:  # noqa: FBT001 the engine's own, always by position
        """The kind's own rule."""
        return False

    def wait_s(self, _sample: Sample, /) -> float | None:
        """Estimated seconds until it fires, were all to go on as it does; None = not foreseeable."""
        return None


class _AtStart(Armed):
    _done = False

    def on_start(self) -> bool:
        self._done = self.order.guard_s == 0.0 and self.order.condition is None
        return self._done

    def due(self, _sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        fires, self._done = not self._done and allowed, True
        return fires


class AtEnd(Armed):
    """When the step has ended; its condition is that of the last sample."""

    def on_end(self) -> bool:
        """True unless the condition does not hold."""
        return self.last is None or holds(self.order.condition, self.last)


class _Grid(Armed):
    """Time, charge and x: on every line of a grid."""

    _line = 0

    def _position(self, sample: Sample) -> float | None:
        if self.order.kind is TriggerKind.EVERY_TIME:
            return sample.elapsed_s
        return abs(sample.charge_C) if self.order.kind is TriggerKind.EVERY_CHARGE else sample.fraction

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        position, every = self._position(sample), self.order.every
        if position is None or not every:
            return False
        line = math.floor(position / every + LINE_TOLERANCE)
        fires = allowed and line > self._line
        self._line = max(self._line, line)
        return fires

    def wait_s(self, sample: Sample, /) -> float | None:
        position, every = self._position(sample), self.order.every
        if position is None or not every or not holds(self.order.condition, sample):
            return None
        left = max(0.0, (self._line + 1) * every - position)
        if self.order.kind is TriggerKind.EVERY_TIME:
            return left
        speed = _speed(sample, self.order.kind)
        return left / speed if speed else None


def _speed(sample: Sample, kind: TriggerKind) -> float:
    """Coulomb or fraction of x a second."""
    if kind is TriggerKind.EVERY_CHARGE or not sample.charge_C or sample.fraction is None:
        return abs(sample.current_A)
    return abs(sample.current_A) * sample.fraction / abs(sample.charge_C)


class _Voltage(Armed):
    """Every so many volts from the last line; back over the line it came from only with the hysteresis on top."""

    _line_V: float | None = None
    _direction = 0.0

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        every = self.order.every
        if not every or not math.isfinite(sample.voltage_V):
            return False
        if self._line_V is None:
            self._line_V = sample.voltage_V
            return False
        moved_V = sample.voltage_V - self._line_V
        direction = math.copysign(1.0, moved_V)
        need_V = every if direction * self._direction >= 0 else every + self.order.hysteresis_V
        if abs(moved_V) + LINE_TOLERANCE * every < need_V:
            return False
        self._line_V += direction * math.floor(abs(moved_V) / every + LINE_TOLERANCE) * every
        self._direction = direction
        return allowed


class _Instants(Armed):
    """At given times after the step's start."""

    _next = 0

    def on_start(self) -> bool:
        first = bool(self.order.times_s) and self.order.times_s[0] <= 0.0
        if first and self.order.guard_s == 0.0 and self.order.condition is None:
            self._next = 1
            return True
        return False

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        before = self._next
        while self._next < len(self.order.times_s) and self.order.times_s[self._next] <= sample.elapsed_s + SAME_S:
            self._next += 1
        return allowed and self._next > before

    def wait_s(self, sample: Sample, /) -> float | None:
        return self.order.times_s[self._next] - sample.elapsed_s if self._next < len(self.order.times_s) else None


class _BackToBack(Armed):
    """Continuously, or n times from the start: the next one as soon as the last is over."""

    _not_before_s = 0.0

    def __init__(self, order: TriggerOrder) -> None:
        super().__init__(order)
        self._left = math.inf if order.kind is TriggerKind.CONTINUOUSLY else float(order.count or 1)

    def on_start(self) -> bool:
        return self.order.guard_s == 0.0 and self.order.condition is None and self._take()

    def _take(self) -> bool:
        if self.outstanding or self._left <= 0:
            return False
        self.outstanding = True
        self._left -= 1
        return True

    def released(self, elapsed_s: float, *, ok: bool) -> bool:
        was, self.outstanding = self.outstanding, False
        if not was:
            return False
        if not ok:
            self._left += 0 if self.order.kind is TriggerKind.CONTINUOUSLY else 1
            self._not_before_s = elapsed_s + RETRY_AFTER_s
            return False
        return (self.last is None or holds(self.order.condition, self.last)) and self._take()

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        return allowed and sample.elapsed_s >= self._not_before_s and self._take()

    def wait_s(self, sample: Sample, /) -> float | None:
        return 0.0 if self._left > 0 and holds(self.order.condition, sample) else None


class _AtX(Armed):
    """Each listed value once a step, when x stands on it at first or crosses it."""

    _before: float | None = None

    def __init__(self, order: TriggerOrder) -> None:
        super().__init__(order)
        self._left = list(order.x)

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        before, self._before = self._before, sample.x
        crossed = [x for x in self._left if _crossed(before, sample.x, x)]
        self._left = [x for x in self._left if x not in crossed]
        return allowed and bool(crossed)


def _crossed(before: float | None, now: float, value: float) -> bool:
    if before is None:
        return math.isclose(now, value, abs_tol=SAME_X)
    return min(before, now) <= value + SAME_X and value - SAME_X <= max(before, now)


class Plateau:
    """Entry to and exit from a plateau of E (domain.md 3.7): the slope of E over charge, by regression over the last bins of it."""

    def __init__(self) -> None:
        self.on: bool | None = None
        """None while too little charge has passed to say."""
        self.passed = 0
        """So many entries and exits."""
        self._confirmed = 0
        self._x: list[float] = []
        self._E: list[float] = []

    def feed(self, fraction: float | None, voltage_V: float) -> bool:
        """One sample; True where the plateau begins or ends."""
        if fraction is None or (self._x and fraction - self._x[-1] < KNEE_BIN_OF_CAPACITY):
            return False
        self._x, self._E = [*self._x, fraction][-KNEE_BINS:], [*self._E, voltage_V][-KNEE_BINS:]
        if len(self._x) < KNEE_BINS:
            return False
        self.on = bool(self.on)
        slope = abs(_slope(self._x, self._E))
        changed = slope > 2.0 * PLATEAU_V_PER_X if self.on else slope < PLATEAU_V_PER_X
        self._confirmed = self._confirmed + 1 if changed else 0
        if self._confirmed < KNEE_CONFIRM:
            return False
        self.on, self._confirmed, self.passed = not self.on, 0, self.passed + 1
        return True


class _Knee(Armed):
    """Entry to and exit from a plateau."""

    def __init__(self, order: TriggerOrder) -> None:
        super().__init__(order)
        self._plateau = Plateau()

    def due(self, sample: Sample, allowed: bool, /) -> bool:  # noqa: FBT001
        return self._plateau.feed(sample.fraction, sample.voltage_V) and allowed


def _slope(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0


KINDS: dict[TriggerKind, Callable[[TriggerOrder], Armed]] = {
    TriggerKind.AT_START: _AtStart,
    TriggerKind.AT_END: AtEnd,
    TriggerKind.EVERY_TIME: _Grid,
    TriggerKind.EVERY_CHARGE: _Grid,
    TriggerKind.EVERY_X: _Grid,
    TriggerKind.EVERY_VOLTAGE: _Voltage,
    TriggerKind.CONTINUOUSLY: _BackToBack,
    TriggerKind.LOG_SPACED: _Instants,
    TriggerKind.AT_X: _AtX,
    TriggerKind.KNEE: _Knee,
}


def arm(order: TriggerOrder) -> Armed:
    """The machine of one trigger; kinds that nobody feeds (on demand) never fire."""
    if order.kind is TriggerKind.TIMES:
        return _BackToBack(order) if order.from_start or not order.times_s else _Instants(order)
    return KINDS.get(order.kind, Armed)(order)
