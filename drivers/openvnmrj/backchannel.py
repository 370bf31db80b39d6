"""Where the console's answers arrive.

``BackChannel``: by ``write('net', …)``; every connection is accepted at once, read, checked and closed. ``AnswerFiles``: by
``write('file', …)`` into a folder that both sides see, where a firewall lets no connection through: one that is silently dropped
freezes the console's foreground for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from drivers.base import ByteStream, Listener, Network
from drivers.clock import Clock
from drivers.errors import InstrumentError, NotReachable
from drivers.openvnmrj import wire

READ_S = 5.0
MOST_AT_ONCE = 16
LOOK_EVERY_S = 0.25

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


class AnswerFiles:
    """Looks for the files of the nonces that somebody waits for; each is removed when nobody does any more."""

    def __init__(self, clock: Clock, folder: Path, instrument: str) -> None:
        self._clock = clock
        self._folder = folder
        self._instrument = instrument
        self._hearers: dict[str, Hearer] = {}
        self._heard: dict[str, int] = {}
        self.faults = 0

    async def open(self, host: str, port: int, console_host: str) -> int:  # noqa: ARG002
        """Make the folder, and empty it of what an earlier process left. Raises NotReachable."""
        try:
            await self._clock.in_thread(self._prepare)
        except OSError as fault:
            raise NotReachable(f"no folder for the console's answers: {fault}", instrument=self._instrument) from fault
        return 0

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if wire.NONCE.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def hear(self, nonce: str, hearer: Hearer) -> None:
        """Lines with this nonce go there until ``forget``."""
        self._hearers[nonce], self._heard[nonce] = hearer, 0

    def forget(self, nonce: str) -> None:
        """Its file is of no use any more."""
        self._hearers.pop(nonce, None)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S / self._clock.speed)
            waited, over = list(self._hearers), [nonce for nonce in self._heard if nonce not in self._hearers]
            if not waited and not over:
                continue
            found = await self._clock.in_thread(self._look, waited, over)
            for nonce in over:
                self._heard.pop(nonce, None)
            for nonce, lines in found.items():
                for line in lines[self._heard.get(nonce, len(lines)) :]:
                    self._heard[nonce] += 1
                    self._deliver(nonce, line)

    def _look(self, waited: list[str], over: list[str]) -> dict[str, list[bytes]]:
        """Whole lines of each file; one that is just being written is seen the next time."""
        for nonce in over:
            (self._folder / nonce).unlink(missing_ok=True)
        found: dict[str, list[bytes]] = {}
        for nonce in waited:
            with contextlib.suppress(OSError):
                found[nonce] = (self._folder / nonce).read_bytes().split(b"\n")[:-1]
        return found

    def _deliver(self, nonce: str, line: bytes) -> None:
        try:
            said = wire.parse_said(line)
        except ValueError as fault:
            self.faults += 1
            _log.warning("%s: answers: %s", self._instrument, fault)
            return
        if said.nonce == nonce and nonce in self._hearers:
            self._hearers[nonce](said)

    async def close(self) -> None:
        """Nothing is held."""


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
