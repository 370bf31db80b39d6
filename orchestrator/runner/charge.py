"""Charge by the host's own integral: trapezoid between samples, and to the very edges of a step. Pure."""

from __future__ import annotations

import math

LONGEST_END_INTERVALS = 2
"""So many intervals after its last sample a step's current is still taken to be that of the sample."""


def or_none(value: float) -> float | None:
    """A number for JSON; None where there is none."""
    return value if math.isfinite(value) else None


class Charge:
    """Counts charge over a whole run: net (oxidation at *working* positive), throughput, and x.

    The first interval of a step has the current of its first sample, its last that of its last sample, for at most
    LONGEST_END_INTERVALS; ``complete`` says whether that reached the end. Where x has no meaning it is NaN.
    """

    def __init__(self, x: float, x_per_C: float | None) -> None:
        self.net_C = 0.0
        self.throughput_C = 0.0
        self.x = math.nan if x_per_C is None else x
        self.complete = True
        self._x_per_C = x_per_C or 0.0
        self._interval_s = math.inf
        self._at_ns = 0
        self._last_A: float | None = None

    def restore(self, net_C: float, throughput_C: float, x: float) -> None:
        """Go on with what a run has counted that was broken off."""
        self.net_C, self.throughput_C, self.x = net_C, throughput_C, x

    def take_up(self, mono_ns: int, last_A: float | None, interval_s: float) -> None:
        """A step goes on that was counted up to an instant, with the current of its last sample."""
        self.begin(mono_ns, interval_s)
        self._last_A = last_A

    def add(self, mono_ns: int, charge_C: float) -> None:
        """Charge that passed unseen up to an instant."""
        self.net_C += charge_C
        self.throughput_C += abs(charge_C)
        self.x += self._x_per_C * charge_C
        self._at_ns, self._last_A, self.complete = mono_ns, None, False

    def count(self, mono_ns: int, charge_C: float, current_A: float) -> float:
        """Take the instrument's own count up to a sample instead of the integral; returns the charge."""
        complete = self.complete
        self.add(mono_ns, charge_C)
        self._last_A, self.complete = current_A, complete
        return charge_C

    def begin(self, mono_ns: int, interval_s: float = math.inf) -> None:
        """A step begins, sampled at this interval: what passed before does not belong to it."""
        self._at_ns, self._last_A, self.complete = mono_ns, None, True
        self._interval_s = interval_s

    def pass_to(self, mono_ns: int, current_A: float) -> float:
        """Count up to a sample; returns the charge since the last one. A current that is no number counts as the last one."""
        if not math.isfinite(current_A):
            current_A = self._last_A or 0.0
        mean_A = current_A if self._last_A is None else (self._last_A + current_A) / 2.0
        self._last_A = current_A
        if mono_ns <= self._at_ns:
            return 0.0
        charge_C = mean_A * (mono_ns - self._at_ns) / 1e9
        self._at_ns = mono_ns
        self.net_C += charge_C
        self.throughput_C += abs(charge_C)
        self.x += self._x_per_C * charge_C
        return charge_C

    def end(self, mono_ns: int, *, lost: bool = False) -> float:
        """Count up to the end of the step; returns the charge since its last sample: none where its end was not seen."""
        longest_s = 0.0 if lost or self._last_A is None else LONGEST_END_INTERVALS * self._interval_s
        until_ns = min(mono_ns, self._at_ns + longest_s * 1e9)
        self.complete = until_ns >= mono_ns
        return 0.0 if self._last_A is None else self.pass_to(int(until_ns), self._last_A)
