"""TCP on the real network: one write is one segment (below 1024 bytes, unless the peer does not read), nothing is delayed."""

from __future__ import annotations

import asyncio
import errno
import socket

from drivers.base import ByteStream, Listener
from drivers.errors import NotReachable

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
_LOOPBACK = {"localhost": "127.0.0.1"}  # one address: two sockets would get two different free ports


class TcpStream:
    """A TCP connection; a peer that has closed only its sending side can still be written to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        self._reader = reader
        self._writer = writer
        self._peer = peer

    @property
    def peer_host(self) -> str:
        """Address of the computer at the other end."""
        return self._peer.rpartition(":")[0]

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` at the end of the stream or when the peer has reset it."""
        try:
            return await self._reader.read(limit)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Write all bytes in one piece; raises NotReachable when the connection is known to be gone."""
        try:
            self._require_open()
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise NotReachable(f"{self._peer} has closed the connection ({_reason(error)})", sent=data) from error

    def _require_open(self) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "closed")

    async def close(self) -> None:
        """Send what is left (for a second at most) and close."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except OSError:  # TimeoutError is one
            self._writer.transport.abort()


class TcpListener:
    """A listening TCP port."""

    def __init__(self) -> None:
        self.host = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._arrived: asyncio.Queue[TcpStream | None] = asyncio.Queue()

    async def open(self, host: str, port: int) -> None:
        """Bind; raises NotReachable."""
        host = _LOOPBACK.get(host, host)
        try:
            self._server = await asyncio.start_server(self._arrive, host, port)
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrived.put_nowait(TcpStream(reader, writer, _name(writer)))

    async def accept(self) -> ByteStream:
        """The next connection; raises NotReachable when the listener has been closed."""
        stream = await self._arrived.get()
        if stream is None:
            self._arrived.put_nowait(None)
            raise NotReachable(f"{self.host}:{self.port} no longer listens")
        return stream

    async def close(self) -> None:
        """Stop listening; who was not accepted sees the end of the stream."""
        if self._server is not None:
            self._server.close()
        waiting = [self._arrived.get_nowait() for _ in range(self._arrived.qsize())]
        self._arrived.put_nowait(None)
        for stream in waiting:
            if stream is not None:
                await stream.close()


async def connect(host: str, port: int, *, timeout_s: float = CONNECT_TIMEOUT_S) -> ByteStream:
    """Connect with TCP_NODELAY; raises NotReachable with what to try."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(_LOOPBACK.get(host, host), port)
    except OSError as error:
        raise _cannot_connect(host, port, timeout_s, error) from error
    return TcpStream(reader, writer, f"{host}:{port}")


async def listen(host: str = "127.0.0.1", port: int = 0) -> Listener:
    """Listen; port 0 picks a free one; raises NotReachable when the port is taken."""
    listener = TcpListener()
    await listener.open(host, port)
    return listener


def _name(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if peer else "the other side"


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _cannot_connect(host: str, port: int, timeout_s: float, error: OSError) -> NotReachable:
    where = f"{host}:{port}"
    if isinstance(error, ConnectionRefusedError):
        return NotReachable(f"nothing listens at {where}", advice="start the instrument's program first, or correct the port")
    if isinstance(error, socket.gaierror):
        return NotReachable(f"{where}: no computer is called {host}", advice="correct the name, or write the IP address")
    if isinstance(error, TimeoutError):
        return NotReachable(f"{where} did not answer within {timeout_s:g} s", advice="check power, cable, address and firewall")
    return NotReachable(f"cannot connect to {where} ({_reason(error)})", advice="check cable, address and network")


def _cannot_listen(host: str, port: int, error: OSError) -> NotReachable:
    if error.errno == errno.EADDRINUSE:
        return NotReachable(f"port {port} of {host} is already in use", advice="stop the other program, or use port 0 for a free one")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NotReachable(f"port {port} of {host} is not allowed", advice="use a port above 1023")
    return NotReachable(f"cannot listen at {host}:{port} ({_reason(error)})", advice="use an address of this computer")
