"""What a driver is made from: an instrument of a rig file, the media, the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from drivers.clock import Clock


class WireRecorder(Protocol):
    """Takes every byte that passes; never blocks (it queues)."""

    def sent(self, data: bytes) -> None:
        """Bytes the host wrote."""

    def received(self, data: bytes) -> None:
        """Bytes the host read."""


class ByteStream(Protocol):
    """A two-way stream of bytes: serial port, socket or memory."""

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` at the end of the stream."""

    async def write(self, data: bytes) -> None:
        """Write all bytes, in one piece where the medium allows."""

    async def close(self) -> None:
        """Let go of the medium."""


class Listener(Protocol):
    """A listening socket (or its equal in memory)."""

    host: str
    port: int

    async def accept(self) -> ByteStream:
        """The next connection."""

    async def close(self) -> None:
        """Stop listening."""


class Network(Protocol):
    """How addresses are opened: real media (``drivers.transport``) or memory at ``--speed max``."""

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:
        """Open a pyserial URL or device; raises NotReachable."""

    async def connect(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection (TCP_NODELAY); raises NotReachable."""

    async def visa(self, address: str) -> ByteStream:
        """Open a VISA resource, lines ended by LF; in memory ``TCPIP::HOST::PORT::SOCKET`` only. Raises NotReachable."""

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks a free one."""

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """The instrument's side of a serial line, and the address a driver opens (a pseudo-terminal, or memory)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One instrument of a rig file: address, channel, expected identity, and whatever else the rig says of it.

    ``written``: the address as the rig file has it, where an emulator's true one stands in ``address``. ``simulated``: an
    emulator, or the simulation itself, is behind the address; ``recorded``: it plays data back that were recorded before.
    """

    instrument: str
    driver: str
    address: str
    channel: str = ""
    identity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    written: str = ""
    simulated: bool = False
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What surrounds a driver: the run's clock, the media, a recorder of bytes, the twin when everything is simulated.

    Every byte through ``network`` is recorded already; a driver tells ``wire`` only of media it opens by itself. ``twin`` is
    set only for drivers that are themselves the simulation (``drivers.sim``) and for emulators.
    """

    clock: Clock
    network: Network
    wire: WireRecorder
    twin: Any = None
