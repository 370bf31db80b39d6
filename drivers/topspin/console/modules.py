"""Python's blocking modules as a script inside the event loop finds them.

``time``, ``threading``, ``queue``, ``socket`` and what is not the same twice in ``os``: only what a script for Jython 2.7 and
CPython 3 needs of them. Everything that waits hands the turn to the loop; what does not wait acts at once, for the loop stands
still meanwhile. Random bytes come from a seed, so that two runs send the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import socket
import threading
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from drivers.base import ByteStream
from drivers.errors import InstrumentError
from drivers.topspin.console.fiber import current

Spawn = Callable[[Callable[[], Any]], Awaitable[None]]


def module(original: types.ModuleType, replaced: Mapping[str, Any]) -> types.ModuleType:
    """A module with some names replaced."""
    made = types.ModuleType(original.__name__)
    made.__dict__.update({name: value for name, value in vars(original).items() if not name.startswith("__")})
    made.__dict__.update(replaced)
    return made


async def _within(work: Callable[[], Coroutine[Any, Any, Any]], seconds: float | None) -> bool:
    """Whether it was done in time."""
    try:
        async with asyncio.timeout(seconds):
            await work()
    except TimeoutError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------------------- time


def time_module(now_s: Callable[[], float], mono_s: Callable[[], float], sleep: Callable[[float], Coroutine[Any, Any, None]]) -> Any:
    """The console's time."""
    return module(time, {"time": now_s, "monotonic": mono_s, "sleep": lambda seconds: current().call(sleep, seconds)})


# -------------------------------------------------------------------------------------------------------------- threading


class Event:
    """``threading.Event``."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set, self.is_set, self.clear = self._event.set, self._event.is_set, self._event.clear

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set."""
        return self.is_set() or bool(current().call(_within, self._event.wait, timeout))


class Lock:
    """``threading.Lock``."""

    def __init__(self) -> None:
        self._free = Event()
        self._free.set()

    def acquire(self) -> bool:
        """Wait until it is free, and take it."""
        while not self._free.is_set():
            self._free.wait()
        self._free.clear()
        return True

    def release(self) -> None:
        """Let go."""
        self._free.set()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def threading_module(spawn: Spawn) -> Any:
    """Threads that take turns; TopSpin takes no calls from them."""

    class Thread:
        """``threading.Thread``."""

        def __init__(
            self,
            _group: None = None,
            target: Callable[..., Any] = lambda: None,
            name: str | None = None,
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
            *,
            daemon: bool = True,
        ) -> None:
            self.name, self.daemon = name, daemon
            self._target, self._args, self._kwargs = target, args, dict(kwargs or {})
            self._over = Event()

        def start(self) -> None:
            """Begin."""
            current().call(spawn, self._run)

        def _run(self) -> None:
            try:
                self._target(*self._args, **self._kwargs)
            finally:
                self._over.set()

        def join(self, timeout: float | None = None) -> None:
            """Wait for its end."""
            self._over.wait(timeout)

    return module(threading, {"Thread": Thread, "Event": Event, "Lock": Lock, "RLock": Lock})


# ------------------------------------------------------------------------------------------------------------------ queue


class Queue:
    """``queue.Queue``."""

    def __init__(self, maxsize: int = 0) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    def put_nowait(self, item: Any) -> None:
        """Raises Full."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            raise queue.Full from None

    def put(self, item: Any) -> None:
        """Wait for room."""
        if self._queue.full():
            current().call(self._queue.put, item)
        else:
            self._queue.put_nowait(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 as the original
        """Wait for an item; raises Empty."""
        found: list[Any] = []

        async def take() -> None:
            found.append(await self._queue.get())

        if not self._queue.empty():
            return self._queue.get_nowait()
        if not block or not current().call(_within, take, timeout):
            raise queue.Empty
        return found[0]


def queue_module() -> Any:
    """Queues between such threads."""
    return module(queue, {"Queue": Queue})


# ----------------------------------------------------------------------------------------------------------------- socket


class Stream:
    """A connected socket."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream

    def recv(self, most: int) -> bytes:
        """What has arrived; nothing at the end."""
        return bytes(_socket_call(self.stream.read, most))

    def sendall(self, data: bytes) -> None:
        """Everything."""
        _socket_call(self.stream.write, data)

    def shutdown(self, _how: int) -> None:
        """Both ways."""
        _socket_call(self.stream.close)

    def close(self) -> None:
        """Close it."""
        _socket_call(self.stream.close)

    def settimeout(self, _seconds: float | None) -> None:
        """Not needed here."""


class Door:
    """A listening socket; streams come from whoever holds the true one."""

    def __init__(self, opened: Callable[[], None], port: Callable[[], int]) -> None:
        self._opened, self._port = opened, port
        self.waiting: asyncio.Queue[ByteStream | None] = asyncio.Queue()
        self.listens = False

    def setsockopt(self, *_: Any) -> None:
        """Not needed here."""

    def bind(self, _where: tuple[str, int]) -> None:
        """The port is given."""

    def listen(self, _backlog: int = 1) -> None:
        """From now on."""
        self.listens = True
        self._opened()

    def getsockname(self) -> tuple[str, int]:
        """Where."""
        return "127.0.0.1", self._port()

    def accept(self) -> tuple[Stream, tuple[str, int]]:
        """The next connection; raises OSError when closed."""
        stream = current().call(self.waiting.get)
        if stream is None:
            raise OSError("the socket is closed")
        return Stream(stream), ("127.0.0.1", 0)

    def close(self) -> None:
        """No more."""
        self.listens = False
        self.waiting.put_nowait(None)


def _socket_call(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    try:
        return current().call(function, *arguments)
    except InstrumentError as fault:
        raise OSError(str(fault)) from None


def socket_module(make_door: Callable[[], Door], connect: Callable[[str, int], Awaitable[ByteStream]], host: str) -> Any:
    """Sockets in memory."""

    def create_connection(where: tuple[str, int], _timeout: float | None = None) -> Stream:
        return Stream(_socket_call(connect, *where))

    replaced = {"socket": lambda *_: make_door(), "create_connection": create_connection, "gethostname": lambda: host}
    return module(socket, replaced)


# --------------------------------------------------------------------------------------------------------------- os, user


def os_module(environment: Mapping[str, str], seed: str) -> Any:
    """Files are real; the environment, the process id and random bytes are not."""
    drawn = iter(range(1 << 62))

    def urandom(size: int) -> bytes:
        return b"".join(hashlib.sha256(f"{seed} {next(drawn)}".encode()).digest() for _ in range(size // 32 + 1))[:size]

    return module(os, {"environ": dict(environment), "urandom": urandom, "getpid": lambda: 1})
