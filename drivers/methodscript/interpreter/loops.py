"""Where a measurement loop is, in the program and in time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
IMPEDANCE = frozenset({"meas_loop_eis", "meas_loop_geis"})


@dataclass(slots=True)
class Loop:
    """The measurement loop that runs: where it began in the program and in time, and how far it is."""

    place: int
    technique: str
    start_ns: int
    interval_s: float
    count: int
    done: int = 0
    due_ns: int = 0
    frequencies_Hz: tuple[float, float] = (0.0, 0.0)

    def point_frequency(self, point: int) -> float:
        """In Hz; logarithmic from the first to the last."""
        first, last = self.frequencies_Hz
        return first if self.count == 1 else float(first * (last / first) ** (point / (self.count - 1)))

    def next_ns(self) -> int:
        """When the next sample is due."""
        if self.technique in IMPEDANCE:
            return self.due_ns + round((3 / self.point_frequency(self.done) + 0.1) * NS)
        return self.start_ns + round((self.done + 1) * self.interval_s * NS)
