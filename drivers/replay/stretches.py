"""A recording cut into its steps: which of them is what a plan asks for, and where and why it ends. Pure.

A file says its steps by numbers and modes where it has them; where it has neither, by the sign of the current.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from drivers.base import Mode, Reason, StepOrder
from drivers.follow.columns import GALVANOSTATIC, POTENTIOSTATIC, REST, UNKNOWN_MODE, Floats, Rows
from drivers.stream.bounds import Bound, StepPlan
from drivers.stream.running import CLOSE_V

MODES = {REST: Mode.REST, GALVANOSTATIC: Mode.GALVANOSTATIC, POTENTIOSTATIC: Mode.POTENTIOSTATIC}
LEAST_ROWS = 2
"""A single row between two steps is none: cyclers write one as they switch."""
RESTS_BELOW_A = 1e-7
STEADY = 0.05
"""A current that stays within this of its median was kept; one that differs so much from the order is not what was ordered."""
STEADY_V = 0.01
LATE = 1.5
"""So many intervals before a bound the last row may lie: cyclers test more often than they record."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """One recorded step. float64 (n,): ``time_s`` since it began (so far as the rows tell), ``voltage_V``, ``current_A``."""

    mode: Mode
    time_s: Floats
    voltage_V: Floats
    current_A: Floats

    @property
    def duration_s(self) -> float:
        """Until its last row."""
        return float(self.time_s[-1])

    @property
    def interval_s(self) -> float:
        """Between its rows, usually."""
        return float(np.median(np.diff(self.time_s)))

    @property
    def held(self) -> str:
        """What was kept in it, for people."""
        if self.mode is Mode.REST:
            return "rest"
        amps, volts = float(np.median(self.current_A)), float(np.median(self.voltage_V))
        return f"{amps * 1e3:.4g} mA" if self.mode is Mode.GALVANOSTATIC else f"hold at {volts:.4g} V"

    def is_what(self, order: StepOrder) -> bool:
        """Was this what is asked for?"""
        if order.mode is not self.mode:
            return False
        if order.mode is Mode.GALVANOSTATIC:
            asked_A = order.current_A or 0.0
            return abs(float(np.median(self.current_A)) - asked_A) <= STEADY * abs(asked_A)
        return order.mode is Mode.REST or abs(float(np.median(self.voltage_V)) - (order.voltage_V or 0.0)) <= STEADY_V

    def after(self, time_s: float) -> Stretch | None:
        """What is left of it behind that time; None where that is no step any more."""
        left = self.time_s > time_s
        if left.sum() < LEAST_ROWS or self.duration_s - time_s <= LATE * self.interval_s:
            return None
        return Stretch(self.mode, self.time_s[left] - time_s, self.voltage_V[left], self.current_A[left])


# ------------------------------------------------------------------------------------------------------------- cutting


def cut(rows: Rows) -> list[Stretch]:
    """The steps of one file, in order."""
    rows = _sound(rows)
    edges = _turned(rows, _edges(rows))
    found = (_stretch(rows, start, end) for start, end in pairwise(edges) if end - start >= LEAST_ROWS)
    return [one for one in found if one.duration_s > 0]


def _sound(rows: Rows) -> Rows:
    """Those with a voltage, at a time after the one before."""
    time_s = np.where(np.isfinite(rows.time_s) & np.isfinite(rows.voltage_V), rows.time_s, -np.inf)
    before_s = np.concatenate([[-np.inf], np.maximum.accumulate(time_s)[:-1]])
    # The last row of a step and the first of the next may bear one instant.
    new_step = np.concatenate([[True], np.diff(rows.step) != 0]) & (time_s == before_s) & np.isfinite(time_s)
    return rows.where((time_s > before_s) | new_step)


def _edges(rows: Rows) -> list[int]:
    """Where each step begins, and where the last ends."""
    if not len(rows):
        return [0, 0]
    numbered = bool(np.ptp(rows.step)) or bool((rows.mode != UNKNOWN_MODE).any())
    flows_A = np.nan_to_num(rows.current_A)
    sign = np.zeros(len(rows)) if numbered else np.where(np.abs(flows_A) > RESTS_BELOW_A, np.sign(flows_A), 0.0)
    changes = (np.diff(rows.step) != 0) | (np.diff(rows.mode) != 0) | (np.diff(sign) != 0)
    return [0, *(int(at) + 1 for at in np.flatnonzero(changes)), len(rows)]


def _turned(rows: Rows, edges: list[int]) -> list[int]:
    """With one more edge where a step first kept its current and then its voltage (Neware has a word for both in one)."""
    turns = (_turn(rows, start, end) for start, end in pairwise(edges) if rows.mode[start] == UNKNOWN_MODE)
    return sorted({*edges, *(turn for turn in turns if turn is not None)})


def _turn(rows: Rows, start: int, end: int) -> int | None:
    amps, volts = np.nan_to_num(rows.current_A[start:end]), rows.voltage_V[start:end]
    if end - start < 2 * LEAST_ROWS:
        return None
    kept_A = float(np.median(amps[: max(LEAST_ROWS, len(amps) // 8)]))
    kept = np.flatnonzero(np.abs(amps - kept_A) <= STEADY * abs(kept_A))
    turn = int(kept[-1]) + 1 if len(kept) else 0
    if not LEAST_ROWS <= turn <= len(amps) - LEAST_ROWS or abs(kept_A) <= RESTS_BELOW_A:
        return None
    return start + turn if np.ptp(volts[turn:]) <= STEADY_V else None


def _stretch(rows: Rows, start: int, end: int) -> Stretch:
    time_s, current_A = rows.time_s[start:end], rows.current_A[start:end]
    interval_s = float(np.median(np.diff(time_s)))
    began_s = float(time_s[0])
    if start and time_s[0] - rows.time_s[start - 1] <= LATE * interval_s:
        began_s = float(rows.time_s[start - 1])
    mode = _mode(int(rows.mode[start]), current_A)
    if mode is Mode.REST:
        current_A = np.nan_to_num(current_A)  # EC-Lab records none at open circuit
    return Stretch(mode, time_s - began_s, rows.voltage_V[start:end], current_A)


def _mode(said: int, current_A: Floats) -> Mode:
    if said in MODES:
        return MODES[said]
    flows_A = np.nan_to_num(current_A)
    middle_A = float(np.median(flows_A))
    if abs(middle_A) <= RESTS_BELOW_A:
        return Mode.REST
    low_A, high_A = np.percentile(flows_A, (5, 95))
    return Mode.GALVANOSTATIC if high_A - low_A <= STEADY * abs(middle_A) else Mode.POTENTIOSTATIC


# -------------------------------------------------------------------------------------------------------------- ending


@dataclass(frozen=True, slots=True)
class Ending:
    """After so many seconds a stretch ends, and why."""

    time_s: float
    reason: Reason
    detail: str


def ending(stretch: Stretch, plan: StepPlan) -> Ending:
    """The first bound of the plan that the recording meets, else the end of what was recorded."""
    met, own = list(_ends(stretch, plan)), _own_end(stretch, plan)
    return min(met if met and own.reason is Reason.SKIP else [*met, own], key=lambda end: end.time_s)


def _ends(stretch: Stretch, plan: StepPlan) -> Iterator[Ending]:
    if stretch.mode is Mode.GALVANOSTATIC:
        for bound, sign in ((plan.upper, 1), (plan.lower, -1)):
            if bound is not None:
                yield from _first(stretch, sign * (stretch.voltage_V - bound.value) >= -CLOSE_V, bound.reason, stretch.voltage_V, "V")
    if plan.taper_A is not None:
        yield from _first(stretch, np.abs(stretch.current_A) <= plan.taper_A, Reason.CURRENT, stretch.current_A, "A")
    if stretch.mode is not Mode.REST:
        yield from _charged(stretch, plan.charge)
    if plan.duration_s <= stretch.duration_s + LATE * stretch.interval_s:
        yield Ending(plan.duration_s, plan.duration.reason, f"{plan.duration_s:g} s")


def _first(stretch: Stretch, met: np.ndarray, reason: Reason, shown: Floats, unit: str) -> Iterator[Ending]:
    if met.any():
        at = int(np.argmax(met))
        yield Ending(float(stretch.time_s[at]), reason, f"{shown[at]:.6g} {unit}")


def _charged(stretch: Stretch, bound: Bound) -> Iterator[Ending]:
    amps = np.abs(np.nan_to_num(stretch.current_A))
    charge_C = np.cumsum(amps * np.diff(stretch.time_s, prepend=0.0))
    if charge_C[-1] >= bound.value:
        at = int(np.argmax(charge_C >= bound.value))
        yield Ending(float(stretch.time_s[at] - (charge_C[at] - bound.value) / amps[at]), bound.reason, f"{bound.value:.4g} C")


def _own_end(stretch: Stretch, plan: StepPlan) -> Ending:
    """Where its rows end: at the voltage towards which they went, or at nothing that the plan knows."""
    if stretch.mode is Mode.GALVANOSTATIC:
        volts = stretch.voltage_V
        soon_V = float(volts[-1] + LATE * (volts[-1] - volts[-2]))
        for bound, sign in ((plan.upper, 1), (plan.lower, -1)):
            if bound is not None and sign * (soon_V - bound.value) >= 0:
                return Ending(stretch.duration_s, bound.reason, f"on the way to {bound.value:g} V after {volts[-1]:.6g} V")
    return Ending(stretch.duration_s, Reason.SKIP, "what was recorded of this step ends here, at none of the plan's bounds")
