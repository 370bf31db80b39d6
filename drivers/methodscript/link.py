"""The serial line: opens it, reads lines for ever, opens it again after the port vanished: at first often, then patiently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from drivers.base import ByteStream
from drivers.errors import InstrumentError, NotReachable
from drivers.methodscript.wire import LineSplitter

BACK_OFF_S = (*(0.5,) * 20, 1.0, 2.0, 5.0)
"""A plug that is pushed back within seconds costs samples and not the run: twice a second for the first 10 s."""


class LinkOwner(Protocol):
    """Who hears the lines."""

    def on_line(self, text: str) -> None:
        """A whole line."""

    def on_lost(self, why: str) -> None:
        """The port is gone."""

    def on_reopened(self) -> None:
        """The port is there again; nothing was written."""


class Link:
    """One owner task (``run``) reads; anybody may ``write``."""

    def __init__(self, opener: Callable[[], Awaitable[ByteStream]], owner: LinkOwner) -> None:
        self._opener = opener
        self._owner = owner
        self._stream: ByteStream | None = None
        self._lines = LineSplitter()
        self.opened = asyncio.Event()

    async def open(self) -> None:
        """Open the port. Raises NotReachable."""
        self._stream = await self._opener()
        self._lines = LineSplitter()
        self.opened.set()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            why = await self._read_to_the_end()
            await self.close()
            self._owner.on_lost(why)
            await self._reopen()
            self._owner.on_reopened()

    async def _read_to_the_end(self) -> str:
        stream = self._stream
        assert stream
        try:
            while data := await stream.read():
                for text in self._lines.feed(data):
                    self._owner.on_line(text)
        except (OSError, InstrumentError) as fault:
            return f"port vanished: {fault}"
        return "port closed from the other side"

    async def _reopen(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)])
            attempt += 1
            try:
                return await self.open()
            except (OSError, InstrumentError):
                continue

    async def write(self, data: bytes) -> None:
        """Write in one piece. Raises NotReachable."""
        if self._stream is None:
            raise NotReachable("the port is closed", sent=data, did="nothing was sent")
        try:
            await self._stream.write(data)
        except OSError as fault:
            raise NotReachable(f"the port does not take bytes: {fault}", sent=data) from fault

    async def close(self) -> None:
        """Let go of the port."""
        self.opened.clear()
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                await stream.close()
            except OSError:
                return
