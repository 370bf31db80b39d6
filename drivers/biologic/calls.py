"""How calls reach the DLL or EC-Lab: on one thread of this computer, or over a wire to what stands in their place.

Both show the recorder the same lines (``drivers.biologic.remote``), so that a session can be read and played back.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from drivers.base import ByteStream, Network, WireRecorder
from drivers.biologic import remote
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, NotReachable

CALL_S = 8.0
"""Real seconds for one call: the DLL's own time-out is 5 s, loading a firmware takes longer and says so."""

T = TypeVar("T")


class OneThread:
    """Work done in order on one thread, for which nobody waits when the program ends: a call into a DLL may never return."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Its result. Who no longer waits leaves it to itself, and what was asked for later waits behind it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_result(result) if error is None else future.set_exception(error)

        def work() -> None:
            result, failure = None, None
            if not future.cancelled():
                try:
                    result = function(*args)
                except BaseException as error:  # noqa: BLE001 raised where it is awaited
                    failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended first
                loop.call_soon_threadsafe(settle, result, failure)

        self._waiting.put(work)
        return await future

    def end(self) -> None:
        """The thread ends after what waits."""
        self._waiting.put(None)


class Calls(Protocol):
    """One call at a time, in the order in which they were asked for."""

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> Any:
        """The answer. Raises NotReachable (none came), BadReply, DeviceFault (the call itself broke)."""

    async def close(self) -> None:
        """Let go."""


class ThreadCalls:
    """A backend of this computer: the DLL and COM want to be called from the thread that opened them.

    A call that hangs keeps the thread; those after it wait behind it, and each says after its time that no answer came. In virtual time
    calls are made at once.
    """

    def __init__(self, open_backend: Callable[[], Any], clock: Clock, wire: WireRecorder, name: str) -> None:
        self._open, self._clock, self._wire, self._name = open_backend, clock, wire, name
        self._backend: Any = None
        self._number = 0
        self._thread = None if clock.virtual else OneThread(f"{name}: calls")

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> Any:
        """The answer. Raises NotReachable, DeviceFault."""
        self._number += 1
        number = self._number
        self._wire.sent(remote.call_line(number, name, args))
        try:
            answer = await self._run(name, args, within_s)
        except TimeoutError as late:
            raise NotReachable(f"{name} did not return within {within_s:g} s", instrument=self._name, sent=name) from late
        except NotReachable:
            raise
        except Exception as fault:
            self._wire.received(remote.error_line(number, repr(fault)))
            raise DeviceFault(f"{name} broke: {fault!r}", instrument=self._name, sent=name) from fault
        self._wire.received(remote.answer_line(number, answer))
        return answer

    async def _run(self, name: str, args: tuple[Any, ...], within_s: float) -> Any:
        if self._thread is None:
            return self._made(name, args)
        async with asyncio.timeout(within_s):
            return await self._thread.run(self._made, name, args)

    def _made(self, name: str, args: tuple[Any, ...]) -> Any:
        if self._backend is None:
            self._backend = self._open()
        return getattr(self._backend, name)(*args)

    async def close(self) -> None:
        """Let go of the thread, without waiting for a call that hangs."""
        if self._thread is not None:
            self._thread.end()


class RemoteCalls:
    """A backend behind a port (``drivers.biologic.remote.serve``); connected at the first call, and anew after a break."""

    def __init__(self, network: Network, address: str, name: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._network, self._name, self._host, self._port = network, name, host, int(port)
        self._stream: ByteStream | None = None
        self._waiting = b""
        self._number = 0
        self._turn = asyncio.Lock()

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> Any:
        """The answer. Raises NotReachable, BadReply, DeviceFault."""
        async with self._turn:
            self._number += 1
            try:
                async with asyncio.timeout(within_s):
                    number, answer, error = await self._ask(self._number, name, args)
            except TimeoutError as late:
                await self.close()
                raise NotReachable(f"no answer within {within_s:g} s", instrument=self._name, sent=name) from late
            except NotReachable as fault:
                await self.close()
                raise NotReachable(fault.message, instrument=self._name, sent=name) from fault
            except remote.Garbled as fault:
                await self.close()
                raise BadReply(str(fault), instrument=self._name, sent=name) from fault
        if error is not None:
            raise DeviceFault(error, instrument=self._name, sent=f"{name}, number {number}")
        return answer

    async def _ask(self, number: int, name: str, args: tuple[Any, ...]) -> tuple[int, Any, str | None]:
        if self._stream is None:
            self._waiting = b""
            self._stream = await self._network.connect(self._host, self._port)
        await self._stream.write(remote.call_line(number, name, args))
        while True:
            answered = remote.parse_answer(await self._line(self._stream))
            if answered[0] == number:
                return answered

    async def _line(self, stream: ByteStream) -> bytes:
        while b"\n" not in self._waiting:
            data = await stream.read()
            if not data:
                raise NotReachable("the connection was closed")
            self._waiting += data
            if len(self._waiting) > remote.LONGEST_LINE:
                raise remote.Garbled("a line without end")
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line

    async def close(self) -> None:
        """Let go of the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(NotReachable):
                await stream.close()


def is_remote(address: str) -> bool:
    """A host and a port, in place of what the DLL or EC-Lab call an instrument."""
    _, colon, port = address.removeprefix("tcp://").rpartition(":")
    return bool(colon) and port.isascii() and port.isdigit()
