"""Between what limits another computer's clock differs from ours, from what is seen to arrive. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

FARTHEST_s = 26 * 3600.0
"""Clocks, and zones that were told wrong, differ by less: what is older has been copied there, and says nothing."""


@dataclass(slots=True)
class Bounds:
    """Our clock less theirs lies between ``low_s`` and ``high_s``. ``n``: arrivals so far."""

    low_s: float = -math.inf
    high_s: float = math.inf
    n: int = 0
    broken: int = 0

    def add(self, stamp_s: float, before_s: float, at_s: float, *, late_s: float, resolution_s: float) -> None:
        """What is stamped ``stamp_s`` (cut to ``resolution_s``) was not there at ``before_s`` and was at ``at_s``.

        ``late_s``: so long after its stamp it may have been written. One that contradicts the others has come late: it does not count.
        """
        high_s = at_s - stamp_s
        low_s = before_s - stamp_s - resolution_s - late_s
        if not math.isfinite(low_s) or abs(high_s) > FARTHEST_s:
            return
        if high_s < self.low_s:
            # It came sooner than any that we believed: they were late, not this one.
            self.low_s, self.high_s, self.n, self.broken = low_s, high_s, 1, self.broken + 1
        elif low_s > self.high_s:
            self.broken += 1
        else:
            self.low_s, self.high_s, self.n = max(self.low_s, low_s), min(self.high_s, high_s), self.n + 1

    @property
    def known(self) -> bool:
        """True when both sides are bounded."""
        return self.n > 0

    @property
    def middle_s(self) -> float:
        """The middle of the interval."""
        return (self.low_s + self.high_s) / 2

    @property
    def half_width_s(self) -> float:
        """Half of the interval."""
        return (self.high_s - self.low_s) / 2
