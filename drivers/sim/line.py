"""The instrument's end of a serial line: whole lines in, bytes out that are lost when nobody takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Network
from drivers.errors import NotReachable

BACKLOG_BYTES = 65536
FLOW_CONTROL = bytes((0x11, 0x13))
Mark = Callable[[], None]


class InstrumentLine:
    """Serves one serial line; ``on_line`` takes each line that arrives (without its end).

    ``link``: a path that always points to the present port, across unplugging. What is sent while the line is unplugged,
    or beyond 64 KiB that nobody takes, is lost, as on a wire. ``cuts``: sizes in which bytes leave, over and over.
    """

    def __init__(self, network: Network, name: str, on_line: Callable[[str], None], link: str = "") -> None:
        self.network = network
        self.name = name
        self.on_line = on_line
        self.link = Path(link) if link else None
        self.address = ""
        self.cuts: tuple[int, ...] = ()
        self._stream: ByteStream | None = None
        self._at_once: Callable[[bytes], None] | None = None
        """Of a medium that never makes its writer wait."""
        self._partial = b""
        self._waiting: deque[tuple[bytes, Mark | None]] = deque()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def plugged(self) -> bool:
        """True while the port is there."""
        return self._stream is not None

    async def plug(self) -> str:
        """Open the port; returns the address a driver opens."""
        stream, address = await self.network.serve_serial(self.name)
        self._stream, self._at_once = stream, getattr(stream, "write_at_once", None)
        self.address = self._linked(address)
        self._tasks = [asyncio.create_task(self._reads(stream)), asyncio.create_task(self._writes(stream))]
        return self.address

    def _linked(self, address: str) -> str:
        if self.link is None:
            return address
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(address)
        return str(self.link)

    async def unplug(self) -> None:
        """Close the port: the host sees its end; bytes under way are lost."""
        stream, self._stream = self._stream, None
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        if stream is not None:
            await stream.close()
        if self.link is not None:
            self.link.unlink(missing_ok=True)
        self._waiting.clear()
        self._waiting_bytes, self._partial = 0, b""

    def send(self, data: bytes, written: Mark | None = None) -> None:
        """Queue bytes; ``written`` is called once they are on the wire."""
        if self._stream is None or self._waiting_bytes + len(data) > BACKLOG_BYTES:
            return
        if self._at_once is not None and not self._waiting and not self.cuts:
            try:  # noqa: SIM105 a context made for each sample costs more than the rest of this
                self._at_once(data)
            except NotReachable:  # lost, as on a wire
                pass
            if written is not None:
                written()
            return
        self._waiting.append((data, written))
        self._waiting_bytes += len(data)
        self._more.set()

    async def _reads(self, stream: ByteStream) -> None:
        while data := await stream.read():
            self._partial += data.translate(None, FLOW_CONTROL)
            *lines, self._partial = self._partial.split(b"\n")
            for line in lines:
                self.on_line(line.rstrip(b"\r").decode("ascii", errors="replace"))

    async def _writes(self, stream: ByteStream) -> None:
        while True:
            while self._waiting:
                data, written = self._waiting[0]
                with suppress(NotReachable):
                    await self._write(stream, data)
                self._waiting.popleft()
                self._waiting_bytes -= len(data)
                if written is not None:
                    written()
            self._more.clear()
            await self._more.wait()

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        if not self.cuts:
            await stream.write(data)
            return
        turn = 0
        while data:
            size = self.cuts[turn % len(self.cuts)]
            await stream.write(data[:size])
            await asyncio.sleep(0)
            data, turn = data[size:], turn + 1

    def snapshot(self) -> dict[str, Any]:
        """Plain data: bytes not yet written, and the beginning of a line not yet ended."""
        return {"partial": self._partial.hex(), "waiting": [data.hex() for data, _ in self._waiting]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot (before ``plug``)."""
        self._partial = bytes.fromhex(state["partial"])
        self._waiting = deque((bytes.fromhex(data), None) for data in state["waiting"])
        self._waiting_bytes = sum(len(data) for data, _ in self._waiting)
        self._more.set()
