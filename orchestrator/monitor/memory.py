"""A broker in memory, for runs at ``--speed max``: there, gone, or hanging; and what it was given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import BrokerGone, Heard, KEEPALIVE_s, Link, TIMEOUT_s
from orchestrator.monitor.picture import Out

State = Literal["there", "gone", "hangs"]


class MemoryBroker:
    """``retained``: the newest of each topic; ``passed``: what was not retained, in order. ``connections``: how many there were.

    One that is gone refuses connections and has broken those it had; one that hangs answers nothing, and only the client's
    own time-outs find that out.
    """

    def __init__(self) -> None:
        self.state: State = "there"
        self.retained: dict[str, bytes] = {}
        self.passed: list[tuple[str, bytes]] = []
        self.connections = 0
        self._changed = asyncio.Event()

    def become(self, state: State) -> None:
        """It goes, hangs, or is back."""
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Return when its state has changed."""
        await self._changed.wait()

    async def answer(self) -> None:
        """What every question to it waits for. Raises BrokerGone."""
        if self.state == "hangs":
            await asyncio.sleep(TIMEOUT_s)
            raise BrokerGone("it does not answer")
        if self.state == "gone":
            raise BrokerGone("nobody listens there")

    def take(self, out: Out) -> None:
        """One message."""
        if not out.retained:
            self.passed.append((out.topic, out.payload))
        elif out.payload:
            self.retained[out.topic] = out.payload
        else:
            self.retained.pop(out.topic, None)

    def events(self, topic: str) -> list[dict[str, Any]]:
        """Messages of a topic that are not retained, in order."""
        return [json.loads(payload) for name, payload in self.passed if name == topic]

    @asynccontextmanager
    async def connected(self, _broker: Broker, _client_id: str, will: Out | None = None) -> AsyncIterator[Link]:
        """A connection, as ``mqtt.connected`` gives one. Raises BrokerGone."""
        await self.answer()
        self.connections += 1
        try:
            yield MemoryLink(self)
        finally:
            if will is not None:
                self.take(will)


class MemoryLink(Link):
    """An open connection to a broker in memory."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._open = broker.connections

    async def publish(self, out: Out) -> None:
        """Send one message, until the broker has it."""
        await self._broker.answer()
        self._broker.take(out)

    async def subscribe(self, *_filters: str) -> None:
        """Nobody sends anything here but us."""
        await self._broker.answer()

    async def unsubscribe(self, *_filters: str) -> None:
        """As above."""
        await self._broker.answer()

    async def messages(self) -> AsyncGenerator[Heard, None]:
        """Nothing, until the broker goes; one that hangs is missed after its time."""
        while self._broker.state == "there":
            await self._broker.changed()
        if self._broker.state == "hangs":
            await asyncio.sleep(KEEPALIVE_s)
        raise BrokerGone("the connection broke")
        yield
