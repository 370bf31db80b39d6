"""What runs on the console and is not ours: somebody at its screen, or another program."""

from __future__ import annotations

from collections.abc import Callable

from drivers.spinsolve import wire

READY_S = 10.0
"""``Ready`` is followed by ``Completed``; where that was lost, so many seconds are enough (a shim request ends without it)."""
STALE_S = 600.0
"""A run of which nothing is heard for so long no longer forbids a Start: the console itself refuses it where it is busy."""
LATE_S = 10.0
"""So long after the end of ours its last words may still come; they are nobody's."""


class Others:
    """Follows foreign runs by their words. ``grace_s``: seconds of the experiment, but not too few of the computer's."""

    def __init__(self, mono_ns: Callable[[], int], grace_s: Callable[[float], float]) -> None:
        self._mono_ns = mono_ns
        self._grace_s = grace_s
        self._heard_ns = 0
        self._ready = False
        self._ours, self._ours_over_ns = "", 0
        self.protocol = ""

    @property
    def running(self) -> bool:
        """As far as anybody has said."""
        silent_s = (self._mono_ns() - self._heard_ns) / 1e9
        if self.protocol and silent_s > self._grace_s(READY_S if self._ready else STALE_S):
            self.protocol = ""
        return bool(self.protocol)

    def ours_is_over(self, protocol: str) -> None:
        """A run of ours has ended just now."""
        self._ours, self._ours_over_ns = protocol, self._mono_ns()

    def forget(self) -> None:
        """The link is lost: nothing is known any more."""
        self.protocol = ""

    def hear(self, message: wire.State | wire.Progress | wire.Completed) -> None:
        """A word about a run that is not ours."""
        if isinstance(message, wire.Completed):
            self.protocol = ""
        elif isinstance(message, wire.State) and message.status == wire.Status.READY:
            self._ready = bool(self.protocol)
            self._heard_ns = self._mono_ns()
        elif begins(message) or not self._is_late(message):
            self.protocol = message.protocol or "something without a name"
            self._ready, self._heard_ns = False, self._mono_ns()

    def _is_late(self, message: wire.State | wire.Progress) -> bool:
        return message.protocol == self._ours and (self._mono_ns() - self._ours_over_ns) / 1e9 < LATE_S


def begins(message: wire.Notification) -> bool:
    """Has a run just begun?"""
    return isinstance(message, wire.State) and message.status == wire.Status.RUNNING
