"""The instrument's own timer, in whole nanoseconds. Pure."""

from __future__ import annotations

PPB = 1_000_000_000


class DeviceClock:
    """The instrument's own timer against the run's clock; ``skew_ppb``: how fast it runs."""

    def __init__(self, mono_ns: int) -> None:
        self.mono_ns, self.device_ns, self.skew_ppb = mono_ns, 0, 0

    def now(self, mono_ns: int) -> int:
        """The timer's value at an instant of the run's clock."""
        return self.device_ns + (mono_ns - self.mono_ns) * (PPB + self.skew_ppb) // PPB

    def mono(self, device_ns: int) -> int:
        """The first instant of the run's clock at which the timer shows this."""
        return self.mono_ns - (self.device_ns - device_ns) * PPB // (PPB + self.skew_ppb)

    def adjust(self, mono_ns: int, skew_ppb: int) -> None:
        """Run at another speed from now on."""
        self.device_ns, self.mono_ns, self.skew_ppb = self.now(mono_ns), mono_ns, skew_ppb
