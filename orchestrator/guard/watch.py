"""When to act: pure, in seconds of whatever clock the caller has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.control.heartbeat import Heartbeat

LONGEST_SILENCE_s = 10.0
SHORTEST_SILENCE_s = 2.0
"""Two missed heartbeats: less would act on an ordinary hiccup."""


def silence_limit_s(host_lost_s: float, make_safe_s: float) -> float:
    """How long silence or stale samples are borne: 10 s, or a third of what ``host_lost`` leaves for noticing."""
    return max(SHORTEST_SILENCE_s, min(LONGEST_SILENCE_s, (host_lost_s - make_safe_s) / 3))


@dataclass(frozen=True, slots=True)
class Due:
    """The guard must act: why, and when (``at_s``) the cell must be safe if the device may finish first.

    ``fence``: the rig may still hold the instrument and must be ended first.
    """

    why: str
    at_s: float
    fence: bool = True


def acting_limit_s(host_lost_s: float, make_safe_s: float, limit_s: float) -> float:
    """How old samples may be while the rig itself makes the cell safe: what leaves the guard its own time to do so."""
    return max(limit_s, host_lost_s - make_safe_s)


class Watch:
    """Heartbeats in, a verdict out. ``acting_s``: the limit for stale samples while the rig makes the cell safe."""

    def __init__(self, limit_s: float, now_s: float, acting_s: float = 0.0) -> None:
        self.limit_s = limit_s
        self.acting_s = max(limit_s, acting_s)
        self.newest: Heartbeat | None = None
        self._heard_s = now_s
        self._ended: str | None = None
        self._handed_over = False
        self.stood_down = False

    def beat(self, heartbeat: Heartbeat, now_s: float) -> None:
        """A heartbeat came."""
        self.newest = heartbeat
        self._heard_s = now_s

    def snapshot(self, now_s: float) -> dict[str, Any]:
        """Plain data: the newest heartbeat, and how long ago it came."""
        newest = None if self.newest is None else self.newest._asdict()
        return {"newest": newest, "silence_s": now_s - self._heard_s, "limit_s": self.limit_s, "acting_s": self.acting_s}

    @classmethod
    def restored(cls, state: Mapping[str, Any], now_s: float) -> Self:
        """Go on from a snapshot."""
        watch = cls(state["limit_s"], now_s - state["silence_s"], state["acting_s"])
        watch.newest = None if state["newest"] is None else Heartbeat(**state["newest"])
        return watch

    def end(self, why: str) -> None:
        """The line is closed."""
        self._ended = self._ended or why

    def hand_over(self) -> None:
        """The rig has let go of the instrument and leaves the cell to the guard."""
        self._handed_over = True

    def stand_down(self) -> None:
        """The run is over and the cell safe."""
        self.stood_down = True

    def due(self, now_s: float) -> Due | None:
        """None while all is well; otherwise why and by when to act."""
        if self.stood_down:
            return None
        if self._handed_over:
            return Due("the rig left the cell to its guard", now_s, fence=False)
        why = self._ended or self._silent(now_s) or self._stale()
        return Due(why, now_s + self._grace_s()) if why else None

    def _silent(self, now_s: float) -> str | None:
        silence_s = now_s - self._heard_s
        return f"no heartbeat for {silence_s:.1f} s" if silence_s > self.limit_s else None

    def _stale(self) -> str | None:
        """By what the rig itself said last: whether it still says anything is the other question."""
        beat = self.newest
        if beat is None or beat.last_sample_age_s is None:
            return None
        if self._grace_s() > 0.0:
            return None
        limit_s = self.acting_s if beat.making_safe else self.limit_s
        return f"no sample for {beat.last_sample_age_s:.1f} s" if beat.last_sample_age_s > limit_s else None

    def _grace_s(self) -> float:
        beat = self.newest
        if beat is None or beat.order == "open circuit" or beat.finish_within_s is None:
            return 0.0
        return max(0.0, beat.finish_within_s)
