"""What passed through a cell while nobody heard it: by the instrument's own count, else by what is known of the step. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.base import Mode, SampleBlock
from orchestrator.runner.account import Account

COUNTED = "charge_C"
"""Name of the further channel in which an instrument sends the charge of the running order, counted by itself from its start."""

CLOSE_INTERVALS = 3
"""Samples no farther apart than so many intervals have no gap between them: the instrument has kept and sent them."""

BY_INSTRUMENT, SET_CURRENT, OPEN_CIRCUIT = "counted by the instrument", "set current", "open circuit"


@dataclass(frozen=True, slots=True)
class Gap:
    """From the last sample before to the first after; ``charge_C`` passed meanwhile, of which ``uncertainty_C`` at most is not known."""

    since_ns: int
    until_ns: int
    charge_C: float
    uncertainty_C: float
    how: str

    @property
    def seconds(self) -> float:
        """How long."""
        return max(0.0, (self.until_ns - self.since_ns) / 1e9)


def counted_by(block: SampleBlock) -> list[float]:
    """What the instrument says of the charge of its running order, a sample each; NaN where it does not count."""
    counted = block.rows.aux.get(COUNTED)
    return [math.nan] * len(block) if counted is None else list(counted)


def bridged(account: Account, since_ns: int, mono_ns: int, counted_C: float, last_A: float | None, now_A: float) -> Gap | None:
    """The gap between two samples of a step that was adopted; None where there is none between them."""
    if mono_ns - since_ns <= CLOSE_INTERVALS * account.interval_s * 1e9:
        return None
    if math.isfinite(counted_C):
        return Gap(since_ns, mono_ns, account.earlier_C + counted_C - account.charge_C, 0.0, BY_INSTRUMENT)
    return estimated(account, since_ns, mono_ns, last_A, now_A)


def estimated(account: Account, since_ns: int, until_ns: int, *currents_A: float | None) -> Gap:
    """By the current that was set (of a step at constant voltage: the mean of those before and after), all of it uncertain."""
    if not account.has_current:
        return Gap(since_ns, until_ns, 0.0, 0.0, OPEN_CIRCUIT)
    seconds = max(0.0, (until_ns - since_ns) / 1e9)
    seen_A = [current_A for current_A in currents_A if current_A is not None and math.isfinite(current_A)]
    set_A = account.planned.current_A if account.planned.mode is Mode.GALVANOSTATIC else None
    mean_A = set_A if set_A is not None else sum(seen_A) / len(seen_A) if seen_A else 0.0
    most_A = max([abs(mean_A), *map(abs, seen_A)]) if seen_A or set_A is not None else account.planned.limits.current_A
    return Gap(since_ns, until_ns, mean_A * seconds, most_A * seconds, SET_CURRENT)
