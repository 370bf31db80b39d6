"""Is the instrument still heard? One timer for all lines, not one each; loss and return of the link, each said once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.base import LinkLost, LinkRestored
from drivers.clock import Clock
from drivers.stream.samples import Outbox

CLOCK_ROUNDS_S = 1e-6


class Silence:
    """``patience_s()``: real seconds without a line before ``on_silence`` is called; None = nothing is expected.

    ``last_ns()``: when the last sample was taken, None where there is none: as of then the link is lost, since lines that were held up on
    their way are samples from then on.
    """

    def __init__(
        self,
        clock: Clock,
        outbox: Outbox,
        patience_s: Callable[[], float | None],
        on_silence: Callable[[], object],
        on_restored: Callable[[], None],
        last_ns: Callable[[], int | None],
    ) -> None:
        self._clock = clock
        self._outbox = outbox
        self._patience_s = patience_s
        self._on_silence = on_silence
        self._on_restored = on_restored
        self._last_ns = last_ns
        self._timer: asyncio.TimerHandle | None = None
        self._waits_s = self._until_s = 0.0
        self.lost = False

    def arm(self) -> None:
        """Count from now."""
        patience_s = self._patience_s()
        if patience_s is None:
            self.disarm()
            return
        loop = asyncio.get_running_loop()
        self._waits_s, self._until_s = patience_s, loop.time() + patience_s
        if self._timer is None or self._timer.when() > self._until_s:
            self.disarm()
            self._timer = loop.call_at(self._until_s, self._look)

    def disarm(self) -> None:
        """Wait for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._until_s - CLOCK_ROUNDS_S:  # lines came meanwhile
            self._timer = loop.call_at(self._until_s, self._look)
            return
        self._timer = None
        self.say_lost(f"nothing heard for {self._waits_s:.1f} s")
        self._on_silence()

    def say_lost(self, why: str) -> None:
        """The link is lost, and why; said once."""
        if not self.lost:
            self.lost = True
            last_ns = self._last_ns()
            self._outbox.put(LinkLost(self._clock.mono_ns() if last_ns is None else last_ns, why))

    def say_restored(self, detail: str, at_ns: int | None = None) -> None:
        """The link is back, if it was lost; as of the sample that says so, which may come late."""
        if self.lost:
            self.lost = False
            self._outbox.put(LinkRestored(self._clock.mono_ns() if at_ns is None else at_ns, detail))
            self._on_restored()
