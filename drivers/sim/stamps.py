"""Real-time marks inside an emulator's process, for benchmarks of latency only.

Nothing in a run reads them; they are the one place where an emulator asks the computer for real time
(``time.perf_counter_ns``), because the latency of the program is what they are there to measure.
"""

from __future__ import annotations

import sys
import time
from array import array

LIMIT = 20_000


class Stamps:
    """Named instants of this computer's performance counter, in ns; the oldest fall out after 20 000.

    A ring made once, so that a night's marks take no more memory than its first.
    """

    def __init__(self) -> None:
        self._names = [""] * LIMIT
        self._at_ns = array("q", bytes(8 * LIMIT))
        self._made = 0

    def mark(self, name: str, at_ns: int | None = None) -> int:
        """Keep one instant (now, unless ``at_ns`` says when) and return it."""
        instant_ns = time.perf_counter_ns() if at_ns is None else at_ns
        place = self._made % LIMIT
        self._names[place], self._at_ns[place] = sys.intern(name), instant_ns
        self._made += 1
        return instant_ns

    def rows(self) -> list[tuple[str, int]]:
        """All marks in the order they were made: (name, ns)."""
        places = (made % LIMIT for made in range(max(0, self._made - LIMIT), self._made))
        return [(self._names[place], self._at_ns[place]) for place in places]

    def last(self, name: str) -> int | None:
        """The newest mark of that name, in ns."""
        return next((at_ns for kept, at_ns in reversed(self.rows()) if kept == name), None)
