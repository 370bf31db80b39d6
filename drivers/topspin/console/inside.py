"""``threading``, ``queue`` and ``socket`` as a script finds them that runs inside this event loop.

Its threads are fibers, its listening socket is the emulator's door. Only what the shipped agent uses. Nothing runs beside anything
(``drivers.topspin.console.fiber``), so a lock has nothing to do, and whoever sets or puts may wake a waiter of the loop directly.
"""

from __future__ import annotations

import asyncio
import socket as real_socket
import types
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from drivers.base import ByteStream
from drivers.errors import InstrumentError
from drivers.topspin.console.fiber import current

Start = Callable[[Callable[..., Any], tuple[Any, ...]], Awaitable[asyncio.Task[Any]]]

GONE = "the script has gone"


def wait_for(work: Callable[[], Awaitable[Any]]) -> Any:
    """From a fiber: hand the turn over until it is done."""
    fiber = current()
    assert fiber is not None
    return fiber.call(work)


async def until(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Is it set in time?"""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


class Empty(Exception):
    """Nothing in the queue in time."""


class Full(Exception):
    """The queue holds all it may."""


class Event:
    """``threading.Event``."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set, self.clear, self.is_set = self._event.set, self._event.clear, self._event.is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set, or so long."""
        return self.is_set() or bool(wait_for(lambda: until(self._event, timeout)))


class Lock:
    """``threading.Lock``, which nobody else can hold."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Queue:
    """``queue.Queue``."""

    def __init__(self, maxsize: int = 0) -> None:
        self._most = maxsize
        self._items: deque[Any] = deque()
        self._some = asyncio.Event()

    def put_nowait(self, item: Any) -> None:
        """Put; raises Full."""
        if self._most and len(self._items) >= self._most:
            raise Full
        self._items.append(item)
        self._some.set()

    put = put_nowait

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 as Python has it
        """The first; raises Empty."""
        while not self._items:
            self._some.clear()
            if not block or not wait_for(lambda: until(self._some, timeout)):
                raise Empty
        return self._items.popleft()


class Connection:
    """A connected socket: the stream of one driver. ``over`` is set when the script has closed it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.over = asyncio.Event()

    def recv(self, limit: int) -> bytes:
        """What has come, at least a byte; ``b""`` at the end."""
        found: bytes = wait_for(lambda: self._read(limit))
        return found

    async def _read(self, limit: int) -> bytes:
        reading = asyncio.create_task(self._stream.read(limit))
        closing = asyncio.create_task(self.over.wait())
        try:
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() and reading.exception() is None else b""
        finally:
            for task in (reading, closing):
                task.cancel()
            await asyncio.gather(reading, closing, return_exceptions=True)

    def sendall(self, data: bytes) -> None:
        """All of it; raises OSError."""
        if self.over.is_set() or not wait_for(lambda: self._write(data)):
            raise OSError(GONE)

    async def _write(self, data: bytes) -> bool:
        try:
            await self._stream.write(data)
        except (InstrumentError, OSError):
            return False
        return True

    def shutdown(self, _: int) -> None:
        """As close."""
        self.over.set()

    def close(self) -> None:
        """Whoever reads sees the end."""
        self.over.set()


class Door:
    """A listening socket: what comes through the emulator's."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._open = True

    def setsockopt(self, *_: object) -> None:
        """Nothing to set."""

    def bind(self, address: tuple[str, int]) -> None:
        """The emulator has its own."""

    def getsockname(self) -> tuple[str, int]:
        """Where the script believes that it listens."""
        return ("127.0.0.1", 0)

    def listen(self, _: int) -> None:
        """From now on."""
        self._inside.listening.set()

    def accept(self) -> tuple[Connection, tuple[str, int]]:
        """The next connection."""
        connection = self._inside.arrived.get()
        if not self._open or connection is None:
            raise OSError(GONE)
        return connection, ("127.0.0.1", 0)

    def close(self) -> None:
        """Nobody more."""
        self._open = False
        self._inside.arrived.put(None)


class Inside:
    """The modules, and what goes through them. ``start(function, arguments)`` begins a fiber."""

    def __init__(self, start: Start, host: str) -> None:
        self._start = start
        self.listening = asyncio.Event()
        self.arrived = Queue()
        self.modules = {"threading": self._threading(), "queue": self._queue(), "socket": self._socket(host)}

    def _threading(self) -> types.ModuleType:
        start = self._start

        class Thread:
            """``threading.Thread``."""

            def __init__(self, target: Callable[..., Any], args: tuple[Any, ...] = ()) -> None:
                self._target, self._args, self.daemon = target, args, False
                self._task: asyncio.Task[Any] | None = None

            def start(self) -> None:
                """Run beside whoever starts it, in turns."""
                self._task = wait_for(lambda: start(self._target, self._args))

            def join(self, timeout: float | None = None) -> None:
                """Until it has ended, or so long."""
                task = self._task
                if task is not None:
                    wait_for(lambda: asyncio.wait({task}, timeout=timeout))

        return _module("threading", Thread=Thread, Event=Event, Lock=Lock)

    def _queue(self) -> types.ModuleType:
        return _module("queue", Queue=Queue, Empty=Empty, Full=Full)

    def _socket(self, host: str) -> types.ModuleType:
        names = ("AF_INET", "SOCK_STREAM", "SOL_SOCKET", "SO_REUSEADDR", "SHUT_RDWR")
        known = {name: getattr(real_socket, name) for name in names}
        return _module("socket", socket=lambda *_: Door(self), error=OSError, gethostname=lambda: host, **known)


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    return module
