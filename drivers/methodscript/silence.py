"""Is the instrument still heard? One timer, armed anew by every line; loss and return of the link, each said once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.base import LinkLost, LinkRestored
from drivers.clock import Clock
from drivers.methodscript.outbox import Outbox


class Silence:
    """``patience_s()``: real seconds without a line before ``on_silence`` is called; None = nothing is expected."""

    def __init__(self, clock: Clock, outbox: Outbox, patience_s: Callable[[], float | None], on_silence: Callable[[], None]) -> None:
        self._clock = clock
        self._outbox = outbox
        self._patience_s = patience_s
        self._on_silence = on_silence
        self._timer: asyncio.TimerHandle | None = None
        self.lost = False

    def arm(self) -> None:
        """Count from now."""
        self.disarm()
        patience_s = self._patience_s()
        if patience_s is not None:
            self._timer = asyncio.get_running_loop().call_later(patience_s, self._too_long, patience_s)

    def disarm(self) -> None:
        """Wait for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_long(self, patience_s: float) -> None:
        self._timer = None
        self.say_lost(f"nothing heard for {patience_s:.1f} s")
        self._on_silence()

    def say_lost(self, why: str) -> None:
        """The link is lost, and why; said once."""
        if not self.lost:
            self.lost = True
            self._outbox.put(LinkLost(self._clock.mono_ns(), why))

    def say_restored(self, detail: str) -> None:
        """The link is back, if it was lost."""
        if self.lost:
            self.lost = False
            self._outbox.put(LinkRestored(self._clock.mono_ns(), detail))
