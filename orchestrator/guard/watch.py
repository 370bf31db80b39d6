"""When to act: pure, in seconds of whatever clock the caller has."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.control.heartbeat import Heartbeat

LONGEST_SILENCE_s = 10.0
SHORTEST_SILENCE_s = 2.0
"""Two missed heartbeats: less would act on an ordinary hiccup."""


def silence_limit_s(host_lost_s: float, make_safe_s: float) -> float:
    """How long silence or stale samples are borne: 10 s, or a third of what ``host_lost`` leaves for noticing."""
    return max(SHORTEST_SILENCE_s, min(LONGEST_SILENCE_s, (host_lost_s - make_safe_s) / 3))


@dataclass(frozen=True, slots=True)
class Due:
    """The guard must act: why, and when (``at_s``) the cell must be safe if the device may finish first."""

    why: str
    at_s: float


class Watch:
    """Heartbeats in, a verdict out."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        self.limit_s = limit_s
        self.newest: Heartbeat | None = None
        self._heard_s = now_s
        self._ended: str | None = None
        self.stood_down = False

    def beat(self, heartbeat: Heartbeat, now_s: float) -> None:
        """A heartbeat came."""
        self.newest = heartbeat
        self._heard_s = now_s

    def end(self, why: str) -> None:
        """The line is closed."""
        self._ended = self._ended or why

    def stand_down(self) -> None:
        """The run is over and the cell safe."""
        self.stood_down = True

    def due(self, now_s: float) -> Due | None:
        """None while all is well; otherwise why and by when to act."""
        if self.stood_down:
            return None
        why = self._ended or self._silent(now_s) or self._stale(now_s)
        return Due(why, now_s + self._grace_s()) if why else None

    def _silent(self, now_s: float) -> str | None:
        silence_s = now_s - self._heard_s
        return f"no heartbeat for {silence_s:.1f} s" if silence_s > self.limit_s else None

    def _stale(self, now_s: float) -> str | None:
        if self.newest is None or self.newest.last_sample_age_s is None:
            return None
        age_s = self.newest.last_sample_age_s + now_s - self._heard_s
        return f"no sample for {age_s:.1f} s" if age_s > self.limit_s else None

    def _grace_s(self) -> float:
        beat = self.newest
        if beat is None or beat.order == "open circuit" or beat.finish_within_s is None:
            return 0.0
        return max(0.0, beat.finish_within_s)
