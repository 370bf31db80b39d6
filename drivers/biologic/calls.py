"""How calls reach the DLL or EC-Lab: on one thread of this computer, or over a wire to what stands in their place.

Both show the recorder the same lines (``drivers.biologic.remote``), so that a session can be read and played back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from drivers.base import ByteStream, Network, WireRecorder
from drivers.biologic import remote
from drivers.biologic.sharing import Library, borrow, give_back
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, NotReachable

CALL_S = 8.0
"""Real seconds for one call: the DLL's own time-out is 5 s, loading a firmware takes longer and says so."""


class Calls(Protocol):
    """One call at a time, in the order in which they were asked for."""

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> Any:
        """The answer. Raises NotReachable (none came), BadReply, DeviceFault (the call itself broke)."""

    async def close(self) -> None:
        """Let go."""


class ThreadCalls:
    """A library of this computer: the DLL and COM want to be called from the thread that opened them, whichever channel calls.

    A call that hangs keeps the thread; those after it wait behind it, and each says after its time that no answer came. In virtual time
    calls are made at once.
    """

    def __init__(self, library: str, open_backend: Callable[[], Any], clock: Clock, wire: WireRecorder, name: str) -> None:
        self._named, self._open, self._threaded = library, open_backend, clock.virtual is None
        self._library: Library | None = None
        self._wire, self._name = wire, name
        self._number = 0

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> Any:
        """The answer. Raises NotReachable, DeviceFault."""
        self._number += 1
        number = self._number
        if self._library is None:
            self._library = borrow(self._named, self._open, threaded=self._threaded)
        self._wire.sent(remote.call_line(number, name, args))
        try:
            answer = await self._library.call(name, args, within_s)
        except TimeoutError as late:
            raise NotReachable(f"{name} did not return within {within_s:g} s", instrument=self._name, sent=name) from late
        except NotReachable:
            raise
        except Exception as fault:
            self._wire.received(remote.error_line(number, repr(fault)))
            raise DeviceFault(f"{name} broke: {fault!r}", instrument=self._name, sent=name) from fault
        self._wire.received(remote.answer_line(number, answer))
        return answer

    async def close(self) -> None:
        """Let go of the library, without waiting for a call that hangs."""
        library, self._library = self._library, None
        if library is not None:
            give_back(library)


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
