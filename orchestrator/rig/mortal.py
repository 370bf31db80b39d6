"""A host that can die at ``--speed max``: what a killed process no longer does, its tasks must not do either.

``Life`` is one host's. While it lasts, its journal, its media and its instruments in memory are the real ones. Once it is
over, nothing is written any more, every connection that the host had is closed (as the system closes those of a dead
process) and none can be opened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from drivers.base import ByteStream, Listener, Network
from drivers.clock import Stamp
from drivers.errors import NotReachable
from orchestrator.model.events import Event
from orchestrator.recorder.journal import Journal

T = TypeVar("T")
Close = Callable[[], Awaitable[None]]

DEAD = "this host is dead"


class Life:
    """Whether a host lives, and what is closed when it dies."""

    def __init__(self) -> None:
        self.over = False
        self._closing: dict[Close, None] = {}

    def closes(self, close: Close) -> None:
        """Call this when it is over."""
        self._closing[close] = None

    def closed(self, close: Close) -> None:
        """The host has done so itself."""
        self._closing.pop(close, None)

    def end(self) -> None:
        """It is over at once; what the host had open is closed in the next turn of the loop."""
        if not self.over:
            self.over = True
            self._bury = asyncio.get_running_loop().create_task(self._close_all(), name="last of the host")

    async def buried(self) -> None:
        """Return when everything is closed; at once while it lives."""
        if self.over:
            await self._bury

    async def hears(self, work: Awaitable[T]) -> T:
        """What comes in; the dead hear nothing, not even that a connection was closed."""
        try:
            heard = await work
        except NotReachable:
            if not self.over:
                raise
        else:
            if not self.over:
                return heard
        return await self.silence()

    async def silence(self) -> NoReturn:
        """What a dead host hears."""
        await asyncio.Event().wait()
        raise AssertionError

    async def _close_all(self) -> None:
        for close in list(self._closing):
            with contextlib.suppress(Exception):
                await close()


class MortalJournal:
    """A run's journal as the run sees it, and what somebody must know of it who ends the run for it."""

    def __init__(self, journal: Journal, life: Life) -> None:
        self._journal = self.real = journal
        self._life = life
        self.ended = False
        self.acknowledged_seq = 0
        self.cell: dict[str, Any] = {}
        self.listener: Callable[[str, dict[str, Any]], None] | None = None
        """Told of every event; must not wait."""
        self.hearer: Callable[[Event], None] | None = None
        """Given every event of ``heard_kinds`` whole; must not wait."""
        self.heard_kinds: frozenset[str] = frozenset()
        self._last_seq = 0

    def put(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        blob: bytes | None = None,
        source: str = "rig",
        cause: int | None = None,
        at: Stamp | None = None,
    ) -> int:
        """Number an event and queue it; the dead write nothing."""
        if self._life.over:
            return self._last_seq
        self._last_seq = self._journal.put(kind, data, blob=blob, source=source, cause=cause, at=at)
        self.ended = self.ended or kind == "run.ended"
        if kind == "cell.state":
            self.cell = data
        if self.listener is not None:
            self.listener(kind, data)
        if self.hearer is not None and kind in self.heard_kinds:
            stamp = at or self._journal.stamp()
            self.hearer(Event(self._last_seq, stamp.mono_ns, stamp.utc_ns, kind, data, blob, source, cause))
        return self._last_seq

    def put_unless_ended(self, kind: str, data: dict[str, Any]) -> None:
        """An event of somebody beside the run, while there is one."""
        if not self.ended:
            self.put(kind, data)

    def listeners_note(self, text: str) -> None:
        """A note of whoever listens, while there is a run to note it in."""
        self.put_unless_ended("note", {"text": text, "who": "rig"})

    async def durable(self, seq: int) -> None:
        """Return when a synced commit covers ``seq``."""
        await self._journal.durable(seq)
        self.acknowledged_seq = max(self.acknowledged_seq, seq)

    @property
    def half_full(self) -> bool:
        """No new acquisition starts."""
        return self._journal.half_full

    @property
    def full(self) -> bool:
        """The run goes to its safe state."""
        return self._journal.full

    async def wait_failed(self) -> Exception:
        """Return the error of the next commit that fails."""
        return await self._journal.wait_failed()


class MortalNetwork:
    """Media whose connections end with their host."""

    def __init__(self, network: Network, life: Life) -> None:
        self._network = network
        self._life = life

    async def serial(self, address: str, *, baud: int = 230400, exclusive: bool = True, **options: Any) -> ByteStream:
        """Open a serial line; raises NotReachable."""
        self._alive()
        return self._mortal(await self._network.serial(address, baud=baud, exclusive=exclusive, **options))

    async def connect(self, host: str, port: int) -> ByteStream:
        """Open a TCP connection; raises NotReachable."""
        self._alive()
        return self._mortal(await self._network.connect(host, port))

    async def visa(self, address: str) -> ByteStream:
        """Open a VISA resource; raises NotReachable."""
        self._alive()
        return self._mortal(await self._network.visa(address))

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> Listener:
        """Listen; port 0 picks a free one."""
        self._alive()
        listener = await self._network.listen(host, port)
        self._life.closes(listener.close)
        return _MortalListener(listener, self._life)

    async def serve_serial(self, name: str) -> tuple[ByteStream, str]:
        """The instrument's side of a serial line: not the host's."""
        return await self._network.serve_serial(name)

    def _alive(self) -> None:
        if self._life.over:
            raise NotReachable(DEAD)

    def _mortal(self, stream: ByteStream) -> ByteStream:
        self._life.closes(stream.close)
        return _MortalStream(stream, self._life)


class _MortalStream:
    """One end of a connection that a dead host has no more."""

    def __init__(self, stream: ByteStream, life: Life) -> None:
        self._stream = stream
        self._life = life

    async def read(self, limit: int = 65536) -> bytes:
        try:  # ``Life.hears``, without a call more for each sample
            data = await self._stream.read(limit)
        except NotReachable:
            if not self._life.over:
                raise
        else:
            if not self._life.over:
                return data
        return await self._life.silence()

    async def write(self, data: bytes) -> None:
        if self._life.over:
            raise NotReachable(DEAD, sent=data)
        await self._stream.write(data)

    async def close(self) -> None:
        self._life.closed(self._stream.close)
        await self._stream.close()


class _MortalListener:
    """A port at which nobody answers for a dead host."""

    def __init__(self, listener: Listener, life: Life) -> None:
        self.host = listener.host
        self.port = listener.port
        self._listener = listener
        self._life = life

    async def accept(self) -> ByteStream:
        stream = await self._life.hears(self._listener.accept())
        self._life.closes(stream.close)
        return _MortalStream(stream, self._life)

    async def close(self) -> None:
        self._life.closed(self._listener.close)
        await self._listener.close()


class MortalInstrument:
    """A driver without a wire (the pair in memory), out of a dead host's reach: whatever it asks is not reachable."""

    def __init__(self, driver: Any, life: Life) -> None:
        self._driver = driver
        self._life = life

    @property
    def capabilities(self) -> Any:
        """The driver's own: looked at each second, and nothing that a dead host could ask."""
        return self._driver.capabilities

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if self._life.over and callable(found):
            raise NotReachable(DEAD)
        return found
