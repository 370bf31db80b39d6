"""A wire to the broker on which connections are counted, refused and made slow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.model.broker import Broker

CHUNK = 65536


@dataclass
class Counted:
    """Passes bytes on to ``port``. ``refuse``: so many connections end at once. ``gate``: nothing passes until it is set."""

    port: int
    refuse: int = 0
    opened: int = 0
    now: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    async def start(self) -> Counted:
        self.gate.set()
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return self

    @property
    def own_port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def through(self, broker: Broker) -> Broker:
        """The same broker, reached by this wire."""
        return broker.model_copy(update={"url": broker.url.replace(f":{self.port}", f":{self.own_port}")})

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        if self.opened <= self.refuse:
            writer.close()
            return
        self.now += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back))
                group.create_task(self._copy(there, writer))
        finally:
            self.now -= 1

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self.gate.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def end(self) -> None:
        assert self._server is not None
        self._server.close()
        async with asyncio.timeout(10.0):
            while self.now:
                await asyncio.sleep(0.01)
