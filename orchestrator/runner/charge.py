"""Charge by the host's own integral: trapezoid between samples, and to the very edges of a step. Pure."""

from __future__ import annotations

import math


class Charge:
    """Counts charge over a whole run: net (oxidation at *working* positive), throughput, and x.

    The first interval of a step has the current of its first sample, its last that of its last sample.
    """

    def __init__(self, x: float, x_per_C: float) -> None:
        self.net_C = 0.0
        self.throughput_C = 0.0
        self.x = x
        self._x_per_C = x_per_C
        self._at_ns = 0
        self._last_A: float | None = None

    def begin(self, mono_ns: int) -> None:
        """A step begins: what passed before does not belong to it."""
        self._at_ns, self._last_A = mono_ns, None

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

    def end(self, mono_ns: int) -> float:
        """Count up to the end of the step; returns the charge since its last sample."""
        return self.pass_to(mono_ns, self._last_A or 0.0)
