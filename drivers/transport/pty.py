"""The instrument's side of a serial line: a pseudo-terminal, or a TCP port where there are none."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress

from drivers.base import ByteStream, Listener
from drivers.errors import NotReachable
from drivers.transport import tcp
from drivers.transport.inbox import Inbox

try:
    import tty
except ImportError:  # Windows
    tty = None  # type: ignore[assignment]

UNREAD_S = 1.0
"""A full line that nobody empties for so long loses what comes next, as a serial wire does."""


class PtyStream:
    """The instrument's end of a pseudo-terminal; hosts open and close the other end as they like.

    Our own descriptor of the host's end stays open: reads do not fail while no host is there, and the line stays raw.
    """

    def __init__(self) -> None:
        self._own, self._host = os.openpty()
        tty.setraw(self._host)
        os.set_blocking(self._own, False)
        self.address = os.ttyname(self._host)
        self._inbox = Inbox()
        self._room = asyncio.Event()
        self._one_writer = asyncio.Lock()
        self._overrun = False
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._own, self._readable)

    def _readable(self) -> None:
        with suppress(BlockingIOError):
            self._inbox.feed(os.read(self._own, 65536))

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever a host sent, at least one byte; ``b""`` once closed."""
        return await self._inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Send all bytes; what finds no room for a second is lost, and then at once until there is room again."""
        async with self._one_writer:
            rest = data[self._put(data) :]
            while rest and not self._overrun:
                self._overrun = not await self._wait_for_room()
                rest = rest[self._put(rest) :]

    def _put(self, data: bytes) -> int:
        if self._closed:
            raise NotReachable(f"serial line {self.address} is closed", sent=data)
        try:
            count = os.write(self._own, data)
        except BlockingIOError:
            return 0
        self._overrun = False
        return count

    async def _wait_for_room(self) -> bool:
        self._room.clear()
        self._loop.add_writer(self._own, self._room.set)
        try:
            async with asyncio.timeout(UNREAD_S):
                await self._room.wait()
        except TimeoutError:
            return False
        finally:
            if not self._closed:
                self._loop.remove_writer(self._own)
        return True

    async def close(self) -> None:
        """Unplug: the host's reads end."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._own)
        self._loop.remove_writer(self._own)
        self._room.set()
        for descriptor in (self._host, self._own):
            os.close(descriptor)
        self._inbox.end()


class TcpLine:
    """A serial line served at a TCP port: one host after another."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._host: ByteStream | None = None

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever the present host sent, at least one byte; ``b""`` once closed. Takes the next host when one leaves."""
        while True:
            try:
                self._host = self._host or await self._listener.accept()
            except NotReachable:
                return b""
            data = await self._host.read(limit)
            if data:
                return data
            await self._host.close()
            self._host = None

    async def write(self, data: bytes) -> None:
        """Send; lost while no host is there."""
        if self._host is not None:
            with suppress(NotReachable):
                await self._host.write(data)

    async def close(self) -> None:
        """Unplug."""
        await self._listener.close()
        if self._host is not None:
            await self._host.close()


async def serve_tcp_line() -> tuple[ByteStream, str]:
    """A serial line at a loopback TCP port, and the address a driver opens."""
    listener = await tcp.listen()
    return TcpLine(listener), f"socket://{listener.host}:{listener.port}"


async def serve_serial() -> tuple[ByteStream, str]:
    """The instrument's end of a new serial line, and the address a driver opens."""
    if tty is None:
        return await serve_tcp_line()
    try:
        stream = PtyStream()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOSPC}:
            return await serve_tcp_line()
        raise
    return stream, stream.address
