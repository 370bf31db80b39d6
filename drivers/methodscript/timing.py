"""Where the instrument's step timer stands against the host's clock. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

WINDOW = 64
AHEAD_NS = 1_000_000_000
LEAST_HALF_WIDTH_NS = 1_000_000


@dataclass(slots=True)
class StepTimer:
    """Smallest-delay estimate: a line is never heard before it was sent, so the smallest (heard - stamped) is nearest to the truth.

    The minimum runs over the last 64 samples: over a long step a clock 200 ppm off would walk away from its first value.
    """

    delays_ns: deque[int] = field(default_factory=deque)
    sorted_ns: list[int] = field(default_factory=list)
    last_mono_ns: int | None = None
    last_device_ns: int | None = None
    quantum_ns: int = 0

    def start(self, heard_ns: int) -> None:
        """The timer starts right after the line heard at ``heard_ns`` was sent: its zero, delayed like any sample."""
        self._take(heard_ns)

    def _take(self, delay_ns: int) -> None:
        """One more delay; the oldest falls out of a full window."""
        if len(self.delays_ns) == WINDOW:
            del self.sorted_ns[bisect_left(self.sorted_ns, self.delays_ns.popleft())]
        self.delays_ns.append(delay_ns)
        insort(self.sorted_ns, delay_ns)

    def follows(self, device_ns: int, heard_ns: int) -> bool:
        """False for a sample that came twice or was overtaken, and for a stamp that lies ahead of what can have been heard."""
        if self.last_device_ns is not None and device_ns <= self.last_device_ns:
            return False
        return not self.delays_ns or heard_ns - device_ns >= self.offset_ns - AHEAD_NS

    def place(self, device_ns: int, heard_ns: int, quantum_ns: int = 0) -> int:
        """The host's time of a sample stamped ``device_ns`` and heard at ``heard_ns``; never before the sample before it."""
        self._take(heard_ns - device_ns)
        self.quantum_ns = quantum_ns
        mono_ns = device_ns + self.sorted_ns[0]
        if self.last_mono_ns is not None:
            mono_ns = max(mono_ns, self.last_mono_ns + 1)
        self.last_mono_ns, self.last_device_ns = mono_ns, device_ns
        return mono_ns

    @property
    def offset_ns(self) -> int:
        """Host clock less step timer."""
        return self.sorted_ns[0]

    @property
    def half_width_ns(self) -> int:
        """Uncertainty: the typical extra delay, the timer's resolution, and at least 1 ms (inferred: the constant delay of USB)."""
        delays_ns = self.sorted_ns
        usual_ns = delays_ns[len(delays_ns) // 2] - delays_ns[0] if delays_ns else 0
        return max(LEAST_HALF_WIDTH_NS, self.quantum_ns, usual_ns)
