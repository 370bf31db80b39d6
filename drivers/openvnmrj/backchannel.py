"""Where the console's ``write('net', …)`` arrives: every connection is accepted at once, read, checked and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from drivers.base import ByteStream, Listener, Network
from drivers.errors import InstrumentError
from drivers.openvnmrj import wire

READ_S = 5.0
MOST_AT_ONCE = 16

_log = logging.getLogger(__name__)

Hearer = Callable[[wire.Said], None]


class BackChannel:
    """Only the console's computer is heard, only lines of ours, and only with a nonce that somebody waits for."""

    def __init__(self, network: Network, instrument: str) -> None:
        self._network = network
        self._instrument = instrument
        self._listener: Listener | None = None
        self._hearers: dict[str, Hearer] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._console_hosts: frozenset[str] = frozenset()
        self.faults = 0

    async def open(self, host: str, port: int, console_host: str) -> int:
        """Listen; the port. Raises NotReachable."""
        self._listener = await self._network.listen(host, port)
        self._console_hosts = await _addresses(console_host)
        return self._listener.port

    def hear(self, nonce: str, hearer: Hearer) -> None:
        """Lines with this nonce go there until ``forget``."""
        self._hearers[nonce] = hearer

    def forget(self, nonce: str) -> None:
        """Lines with this nonce are faults from now on."""
        self._hearers.pop(nonce, None)

    async def run(self) -> None:
        """Accept until cancelled: a listener that does not would freeze the console's foreground."""
        assert self._listener
        while True:
            stream = await self._listener.accept()
            task = asyncio.get_running_loop().create_task(self._handle(stream))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def close(self) -> None:
        """Stop listening."""
        handling = list(self._handling)
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    async def _handle(self, stream: ByteStream) -> None:
        try:
            refusal = self._refusal(stream)
            data = b"" if refusal else await _read_line(stream)
            if refusal or not data:
                self._fault(refusal or "a connection that said nothing")
            else:
                self._deliver(data)
        except (OSError, InstrumentError, TimeoutError) as fault:
            self._fault(f"a connection broke: {fault}")
        finally:
            await stream.close()

    def _refusal(self, stream: ByteStream) -> str:
        peer = getattr(stream, "peer_host", None)
        if peer is not None and peer not in self._console_hosts:
            return f"a connection from {peer}, which is not the console"
        return "too many connections at once" if len(self._handling) > MOST_AT_ONCE else ""

    def _deliver(self, data: bytes) -> None:
        try:
            said = wire.parse_said(data)
        except ValueError as fault:
            return self._fault(str(fault))
        hearer = self._hearers.get(said.nonce)
        if hearer is None:
            return self._fault(f"a line that nobody waits for: {said.word}")
        return hearer(said)

    def _fault(self, what: str) -> None:
        self.faults += 1
        _log.warning("%s: back channel: %s", self._instrument, what)


async def _read_line(stream: ByteStream) -> bytes:
    data = b""
    async with asyncio.timeout(READ_S):
        while not data.endswith(b"\n") and len(data) <= wire.LONGEST_LINE:
            chunk = await stream.read(wire.LONGEST_LINE)
            if not chunk:
                break
            data += chunk
    return data


async def _addresses(host: str) -> frozenset[str]:
    """Every address of the console's computer, as connections from it would show it."""
    if host in {"localhost", "127.0.0.1", "::1"}:
        return frozenset({"127.0.0.1", "::1"})
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return frozenset({host})
    return frozenset(str(entry[4][0]) for entry in found) | {host}
