"""Where an instrument's own time stands against the host's clock. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

WINDOW = 64
LEAST_HALF_WIDTH_NS = 1_000_000


@dataclass(slots=True)
class Alignment:
    """Host clock less the instrument's time: the smallest of the last delays, since nothing is read before it was measured."""

    delays_ns: deque[int] = field(default_factory=deque)
    sorted_ns: list[int] = field(default_factory=list)

    def take(self, delay_ns: int) -> None:
        """One more; the oldest falls out of a full window."""
        if len(self.delays_ns) == WINDOW:
            del self.sorted_ns[bisect_left(self.sorted_ns, self.delays_ns.popleft())]
        self.delays_ns.append(delay_ns)
        insort(self.sorted_ns, delay_ns)

    @property
    def offset_ns(self) -> int:
        """The best estimate."""
        return self.sorted_ns[0]

    @property
    def half_width_ns(self) -> int:
        """Uncertainty: the usual delay beyond the smallest, and at least 1 ms."""
        return max(LEAST_HALF_WIDTH_NS, self.sorted_ns[len(self.sorted_ns) // 2] - self.sorted_ns[0])
