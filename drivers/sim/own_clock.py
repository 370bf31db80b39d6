"""The clock inside an instrument: it counts its own seconds, which may be longer or shorter than ours. Plain data."""

from __future__ import annotations

from collections.abc import Sequence

RIGHT = (0.0, 0.0, 0.0)


class OwnClock:
    """``since_s`` of the twin it showed ``shown_s``, and has been ``ppm`` fast since then."""

    def __init__(self) -> None:
        self.since_s, self.shown_s, self.ppm = RIGHT

    def at(self, now_s: float) -> float:
        """What it shows at an instant of the twin."""
        return self.shown_s + self.lasting(now_s - self.since_s)

    def lasting(self, seconds: float) -> float:
        """How long it says that something took."""
        return seconds * (1.0 + 1e-6 * self.ppm)

    def until(self, own_s: float) -> float:
        """How long it really takes until so many of its seconds are over."""
        return own_s / (1.0 + 1e-6 * self.ppm)

    def when(self, own_s: float) -> float:
        """The instant of the twin at which it shows this."""
        return self.since_s + self.until(own_s - self.shown_s)

    def skew(self, now_s: float, ppm: float) -> None:
        """From now on it is so much fast; it does not jump."""
        self.since_s, self.shown_s, self.ppm = now_s, self.at(now_s), float(ppm)

    def snapshot(self) -> list[float]:
        """Plain data."""
        return [self.since_s, self.shown_s, self.ppm]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from a snapshot."""
        self.since_s, self.shown_s, self.ppm = state
