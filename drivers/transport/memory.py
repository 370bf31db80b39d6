"""TCP ports and serial lines without kernel or threads: same bytes, same errors, one event loop, always in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from drivers.base import ByteStream, Listener
from drivers.errors import NotReachable
from drivers.transport.inbox import Inbox
from drivers.transport.resource import socket_of

FIRST_FREE_PORT = 49152
SCHEME = "memory://"


class MemoryStream:
    """One end of a TCP connection in memory; ``closed`` is told once when it is closed."""

    def __init__(self, inbox: Inbox, outbox: Inbox, closed: Callable[[], None] = lambda: None) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._closed = False
        self._tell_closed = closed

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` at the end of the stream."""
        return b"" if self._closed else await self._inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Write all bytes in one piece; raises NotReachable when either side has closed."""
        if self._closed or self._outbox.ended:
            raise NotReachable("the connection is closed", sent=data)
        self._outbox.feed(data)

    async def close(self) -> None:
        """The other side reads what is in flight, then the end; what was not read here is lost."""
        if not self._closed:
            self._tell_closed()
        self._closed = True
        self._outbox.end()
        self._inbox.end()
        self._inbox.clear()


class MemoryListener:
    """A listening port in memory."""

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._network = network
        self._waiting: deque[MemoryStream] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def arrive(self, stream: MemoryStream) -> None:
        """Somebody has connected."""
        self._waiting.append(stream)
        self._changed.set()

    async def accept(self) -> ByteStream:
        """The next connection; raises NotReachable when the listener has been closed."""
        while not self._waiting and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            raise NotReachable(f"{self.host}:{self.port} no longer listens")
        return self._waiting.popleft()

    async def close(self) -> None:
        """Stop listening; who was not accepted sees the end of the stream."""
        self._closed = True
        self._changed.set()
        self._network.forget(self.port)
        while self._waiting:
            await self._waiting.popleft().close()


class SerialLine:
    """A serial line: the instrument's end lives on while hosts open and close theirs.

    What the instrument sends while nobody has the port open is lost, as on a wire; what the host sent arrives.
    """

    def __init__(self, name: str, chunking: tuple[int, ...]) -> None:
        self.name = name
        self.plugged = True
        self.host: HostPort | None = None
        self.to_instrument = Inbox(chunking)
        self._chunking = chunking

    def open(self, *, exclusive: bool) -> HostPort:
        """The host's end, with nothing in its buffer; raises NotReachable when unplugged or in use."""
        if not self.plugged:
            raise NotReachable(f"no serial port {self.name}", advice="start the instrument first")
        if self.host is not None and exclusive:
            raise NotReachable(f"serial port {self.name} is in use", advice="close the other program that has it open")
        self.host = HostPort(self, Inbox(self._chunking))
        return self.host

    def unplug(self) -> None:
        """The instrument's end goes: the host sees the end of the stream."""
        self.plugged = False
        self.to_instrument.end()
        if self.host is not None:
            self.host.inbox.end()


class HostPort:
    """The host's end of a serial line."""

    def __init__(self, line: SerialLine, inbox: Inbox) -> None:
        self.inbox = inbox
        self._line = line

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` when the port is gone."""
        return await self.inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Write all bytes; raises NotReachable when the port is gone."""
        if self.inbox.ended:
            raise NotReachable(f"serial port {self._line.name} is closed", sent=data)
        self._line.to_instrument.feed(data)

    async def close(self) -> None:
        """Let go of the port."""
        self.inbox.end()
        self.inbox.clear()
        if self._line.host is self:
            self._line.host = None


class InstrumentPort:
    """The instrument's end of a serial line."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever the host sent, at least one byte; ``b""`` once closed."""
        return await self._line.to_instrument.read(limit)

    async def write(self, data: bytes) -> None:
        """Send; lost while nobody has the port open."""
        self.write_at_once(data)

    def write_at_once(self, data: bytes) -> None:
        """The same: nothing is ever waited for here."""
        if not self._line.plugged:
            raise NotReachable(f"serial line {self._line.name} is closed", sent=data)
        if self._line.host is not None:
            self._line.host.inbox.feed(data)

    async def close(self) -> None:
        """Unplug."""
        self._line.unplug()


class MemoryNetwork:
    """A ``Network`` inside one event loop.

    ``chunking``: a fault that cuts successive reads of every stream to these sizes. ``snapshot`` keeps what hosts have sent and instruments
    have not yet read; it is handed to whoever serves the same name or port after ``restore``.
    """

    def __init__(self, chunking: tuple[int, ...] = ()) -> None:
        self._chunking = chunking
        self._lines: dict[str, SerialLine] = {}
        self._listeners: dict[int, MemoryListener] = {}
        self._connections: dict[int, list[Inbox]] = {}
        self._serial_in_flight: dict[str, bytes] = {}
        self._tcp_in_flight: dict[int, list[bytes]] = {}
        self._next_port = FIRST_FREE_PORT

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:  # noqa: ARG002
        """Open ``memory://NAME``; raises NotReachable."""
        name = address.removeprefix(SCHEME)
        if name not in self._lines:
            raise NotReachable(f"no serial port {name}", advice=f"there are: {', '.join(sorted(self._lines)) or 'none'}")
        return self._lines[name].open(exclusive=exclusive)

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """The instrument's end of a new line and its address; raises NotReachable when the name is taken."""
        if name in self._lines and self._lines[name].plugged:
            raise NotReachable(f"serial line {name} is already served")
        line = self._lines[name] = SerialLine(name, self._chunking)
        line.to_instrument.feed(self._serial_in_flight.pop(name, b""))
        return InstrumentPort(line), SCHEME + name

    async def connect(self, host: str, port: int) -> ByteStream:
        """Connect to a listener; raises NotReachable when the port refuses."""
        listener = self._listeners.get(port)
        if listener is None:
            raise NotReachable(f"nothing listens at {host}:{port}", advice="start the instrument's program first, or correct the port")
        to_server, to_client = Inbox(self._chunking), Inbox(self._chunking)
        self._connections.setdefault(port, []).append(to_server)
        listener.arrive(MemoryStream(to_server, to_client, lambda: self._disconnected(port, to_server)))
        return MemoryStream(to_client, to_server)

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks the next free one; raises NotReachable when the port is taken."""
        port = port or self._free_port()
        if port in self._listeners:
            raise NotReachable(f"port {port} of {host} is already in use")
        listener = self._listeners[port] = MemoryListener(self, host, port)
        for data in self._tcp_in_flight.pop(port, []):
            listener.arrive(self._orphan(data))
        return listener

    async def visa(self, address: str) -> ByteStream:
        """Connect to a ``TCPIP::HOST::PORT::SOCKET`` resource."""
        return await self.connect(*socket_of(address))

    def forget(self, port: int) -> None:
        """A listener has been closed."""
        self._listeners.pop(port, None)

    def _disconnected(self, port: int, to_server: Inbox) -> None:
        """The instrument's side has closed a connection: nothing is in flight to it any more."""
        remaining = [inbox for inbox in self._connections[port] if inbox is not to_server]
        if remaining:
            self._connections[port] = remaining
        else:
            del self._connections[port]

    def _free_port(self) -> int:
        while self._next_port in self._listeners:
            self._next_port += 1
        self._next_port += 1
        return self._next_port - 1

    def _orphan(self, data: bytes) -> MemoryStream:
        """A connection whose other side has died with these bytes in flight."""
        inbox, nobody = Inbox(self._chunking), Inbox()
        inbox.feed(data)
        inbox.end()
        nobody.end()
        return MemoryStream(inbox, nobody)

    def snapshot(self, ports: Collection[int] | None = None) -> dict[str, Any]:
        """Plain data: bytes sent to instruments and not yet read. ``ports``: those of instruments (None = all)."""
        kept = sorted(self._connections if ports is None else set(ports) & set(self._connections))
        unread = {port: [inbox.peek().hex() for inbox in self._connections[port] if len(inbox)] for port in kept}
        return {
            "serial": {name: self._lines[name].to_instrument.peek().hex() for name in sorted(self._lines)},
            "tcp": {str(port): found for port, found in unread.items() if found},
            "next_port": self._next_port,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot: the bytes wait for whoever serves the same names and ports; every host is gone."""
        self._serial_in_flight = {name: bytes.fromhex(data) for name, data in state["serial"].items()}
        self._tcp_in_flight = {int(port): [bytes.fromhex(data) for data in found] for port, found in state["tcp"].items()}
        self._next_port = int(state["next_port"])
