"""The dashboard's one connection to the broker, held for all pages: hears everything that rigs show, and never gives up."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.dashboard.rigs import FILTERS, Rigs
from orchestrator.monitor.mqtt import BrokerGone, connected

FIRST_PAUSE_s, LONGEST_PAUSE_s = 0.1, 3.0


class Client:
    """``run`` it; ``rigs`` is what is known."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self.rigs = Rigs(self.now_s())

    def now_s(self) -> float:
        """Seconds since 1970, by the clock on the wall."""
        return self._clock.utc_ns() / 1e9

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = FIRST_PAUSE_s
        while True:
            try:
                await self._listen()
            except BrokerGone as gone:
                self.rigs.why = str(gone)
            if self.rigs.lost_s is None:
                self.rigs.lost_s, pause_s = self.now_s(), FIRST_PAUSE_s
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_s, 2 * pause_s)

    async def _listen(self) -> None:
        async with connected(self._broker, f"dashboard-{os.getpid()}") as link:
            await link.subscribe(*FILTERS)
            self.rigs.lost_s, self.rigs.why = None, ""
            async with aclosing(link.messages()) as messages:
                async for heard in messages:
                    self.rigs.hear(heard.topic, heard.payload, self.now_s(), retained=heard.retained)
