"""Bytes that have arrived and wait for their one reader: what every medium but TCP is made of."""

from __future__ import annotations

import asyncio


class Inbox:
    """A first-in first-out buffer of bytes with an end; ``read`` loses nothing when it is cancelled.

    ``chunking``: sizes in bytes at which successive reads are cut, over and over (a fault to test parsers with).
    """

    def __init__(self, chunking: tuple[int, ...] = ()) -> None:
        self._data = bytearray()
        self._ended = False
        self._reader: asyncio.Future[None] | None = None
        self._chunking = chunking
        self._reads = 0

    def __len__(self) -> int:
        return len(self._data)

    @property
    def ended(self) -> bool:
        """True when nothing more will come."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Bytes have arrived; what comes after the end is dropped."""
        if not self._ended:
            self._data += data
            self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def clear(self) -> None:
        """Throw away what waits."""
        self._data.clear()

    def peek(self) -> bytes:
        """What waits, left in place."""
        return bytes(self._data)

    async def read(self, limit: int = 65536) -> bytes:
        """At least one byte, at most ``limit``; ``b""`` after the end."""
        while not self._data and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._take(limit)

    def _take(self, limit: int) -> bytes:
        if self._chunking and self._data:
            limit = min(limit, self._chunking[self._reads % len(self._chunking)])
            self._reads += 1
        taken = bytes(self._data) if len(self._data) <= limit else bytes(self._data[:limit])
        del self._data[: len(taken)]
        return taken
