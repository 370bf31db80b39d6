"""Where the instrument's clock stands against ours: bounds from what was seen, and when. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 64
LEAST_HALF_WIDTH_NS = 1_000_000
FASTEST_DRIFT = 500e-6
"""So fast may its clock walk away from ours; a bound loosens by that as it grows old."""


@dataclass(slots=True)
class BeatAlignment:
    """A reading was taken before we saw it, and after we had asked and not seen it: two bounds of (our clock - its clock).

    Each holds for the moment it was found. A bound of one side may be long without a successor, so it loosens with its age: else a clock
    that is 200 ppm off would be held by its first bounds.
    """

    uppers_ns: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    lowers_ns: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """(our time, bound)"""
    latest_ns: int = 0
    last_device_ns: int | None = None
    last_mono_ns: int = 0

    @property
    def offset_ns(self) -> int:
        """Our clock less its clock, at most."""
        return min(bound_ns + self._loosened_ns(at_ns) for at_ns, bound_ns in self.uppers_ns)

    @property
    def half_width_ns(self) -> int:
        """How much less it may be, at least 1 ms."""
        if not self.uppers_ns or not self.lowers_ns:
            return LEAST_HALF_WIDTH_NS
        lower_ns = max(bound_ns - self._loosened_ns(at_ns) for at_ns, bound_ns in self.lowers_ns)
        return max(LEAST_HALF_WIDTH_NS, self.offset_ns - lower_ns)

    def _loosened_ns(self, at_ns: int) -> int:
        return round(FASTEST_DRIFT * max(0, self.latest_ns - at_ns))

    def seen(self, device_ns: int, mono_ns: int) -> None:
        """A reading stamped ``device_ns`` was there at ``mono_ns``."""
        self.latest_ns = mono_ns
        self.uppers_ns.append((mono_ns, mono_ns - device_ns))

    def not_yet(self, device_ns: int, mono_ns: int) -> None:
        """What will be stamped ``device_ns`` was not there at ``mono_ns``."""
        self.latest_ns = mono_ns
        self.lowers_ns.append((mono_ns, mono_ns - device_ns))

    def follows(self, device_ns: int) -> bool:
        """False for a reading that came before."""
        return self.last_device_ns is None or device_ns > self.last_device_ns

    def place(self, device_ns: int) -> int:
        """Our time of a reading; never before the one before it."""
        mono_ns = max(device_ns + self.offset_ns, self.last_mono_ns + 1)
        self.last_device_ns, self.last_mono_ns = device_ns, mono_ns
        return mono_ns
