"""The console's status stream, heard: ``Infostat -port N`` on this computer connects and says ``key value`` a line (consoles.md 3.4).

Its values come from the acquisition computer, so the scans are counted without asking the foreground.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from drivers.base import ByteStream, Listener, Network
from drivers.errors import InstrumentError

LONGEST_LINE = 1024
LOOPBACK = frozenset({"127.0.0.1", "::1"})


def scans_in(line: bytes) -> int | None:
    """The number of scans that a line tells; None for every other line."""
    key, _, value = line.strip().partition(b" ")
    return int(value) if key == b"ct" and value.isdigit() else None


class StatusStream:
    """Listens on loopback; ``scans`` hears each count of completed scans."""

    def __init__(self, network: Network, port: int, scans: Callable[[int], Awaitable[None]]) -> None:
        self._network = network
        self._port = port
        self._scans = scans
        self._listener: Listener | None = None

    async def open(self) -> None:
        """Listen. Raises NotReachable."""
        self._listener = await self._network.listen("127.0.0.1", self._port)

    async def run(self) -> None:
        """One Infostat after the other, until cancelled."""
        assert self._listener is not None
        while True:
            stream = await self._listener.accept()
            try:
                if getattr(stream, "peer_host", None) in LOOPBACK | {None}:
                    await self._hear(stream)
            except (OSError, InstrumentError):
                continue
            finally:
                await stream.close()

    async def _hear(self, stream: ByteStream) -> None:
        waiting = b""
        while data := await stream.read():
            *lines, waiting = (waiting + data).split(b"\n")
            for scans in map(scans_in, lines):
                if scans:
                    await self._scans(scans)
            if len(waiting) > LONGEST_LINE:
                return

    async def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                await listener.close()
