"""Real-time marks inside an emulator's process, for benchmarks of latency only.

Nothing in a run reads them; they are the one place where an emulator asks the computer for real time
(``time.perf_counter_ns``), because the latency of the program is what they are there to measure.
"""

from __future__ import annotations

import time
from collections import deque

LIMIT = 20_000


class Stamps:
    """Named instants of this computer's performance counter, in ns; the oldest fall out after 20 000."""

    def __init__(self) -> None:
        self._rows: deque[tuple[str, int]] = deque(maxlen=LIMIT)

    def mark(self, name: str, at_ns: int | None = None) -> int:
        """Keep one instant (now, unless ``at_ns`` says when) and return it."""
        instant_ns = time.perf_counter_ns() if at_ns is None else at_ns
        self._rows.append((name, instant_ns))
        return instant_ns

    def rows(self) -> list[tuple[str, int]]:
        """All marks in the order they were made: (name, ns)."""
        return list(self._rows)

    def last(self, name: str) -> int | None:
        """The newest mark of that name, in ns."""
        return next((at_ns for kept, at_ns in reversed(self._rows) if kept == name), None)
