"""The real media: serial ports, TCP, VISA."""

from __future__ import annotations

from typing import Any

from drivers.base import ByteStream, Listener
from drivers.transport import pty, serial, tcp


class RealNetwork:
    """A ``Network`` of real media; stateless."""

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:
        """Open a device path or pyserial URL; raises NotReachable."""
        return await serial.open_serial(address, baud=baud, exclusive=exclusive, **options)

    async def connect(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection (TCP_NODELAY); raises NotReachable."""
        return await tcp.connect(host, port)

    async def visa(self, address: str) -> ByteStream:
        """Open a VISA resource; raises NotReachable."""
        from drivers.transport import visa

        return await visa.open_visa(address)

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks a free one; raises NotReachable when it is taken."""
        return await tcp.listen(host, port)

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:  # noqa: ARG002
        """The instrument's side of a serial line, and the address a driver opens."""
        return await pty.serve_serial()
