"""What several channels share: the thread on which a library is called, the library itself, and its connection to one instrument."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from drivers.biologic.eclib import DeviceInfos

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


class Library:
    """A library that wants all its calls from one thread: opened there, by whoever calls first."""

    def __init__(self, name: str, open_backend: Callable[[], Any], *, threaded: bool) -> None:
        self._open = open_backend
        self._backend: Any = None
        self._thread = OneThread(f"{name}: calls") if threaded else None
        self.users = 0

    async def call(self, name: str, args: tuple[Any, ...], within_s: float) -> Any:
        """Its answer; without a thread at once. Raises TimeoutError."""
        if self._thread is None:
            return self._made(name, args)
        async with asyncio.timeout(within_s):
            return await self._thread.run(self._made, name, args)

    def _made(self, name: str, args: tuple[Any, ...]) -> Any:
        if self._backend is None:
            self._backend = self._open()
        return getattr(self._backend, name)(*args)

    def end(self) -> None:
        """Let go of its thread."""
        if self._thread is not None:
            self._thread.end()


_libraries: dict[tuple[str, bool], Library] = {}


def borrow(name: str, open_backend: Callable[[], Any], *, threaded: bool) -> Library:
    """The library of this name, opened once a process however many channels use it."""
    library = _libraries.setdefault((name, threaded), Library(name, open_backend, threaded=threaded))
    library.users += 1
    return library


def give_back(library: Library) -> None:
    """The last one who gives it back ends its thread."""
    library.users -= 1
    if library.users == 0:
        for key in [key for key, one in _libraries.items() if one is library]:
            del _libraries[key]
        library.end()


class OneConnection:
    """A backend with one connection to an instrument, however many channels of it are used: an instrument takes few (-207)."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._open: dict[str, tuple[int, DeviceInfos]] = {}
        self._users: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def BL_Connect(self, address: str, timeout_s: int) -> tuple[int, int, DeviceInfos]:
        """The connection that there is, or a new one."""
        if address in self._open:
            number, infos = self._open[address]
            self._users[number] += 1
            return 0, number, infos
        code, number, infos = self._backend.BL_Connect(address, timeout_s)
        if code >= 0:
            self._open[address], self._users[number] = (number, infos), 1
        return code, number, infos

    def BL_TestConnection(self, ID: int) -> int:
        """One that does not answer is given to nobody else; each who has it lets go of it."""
        code = int(self._backend.BL_TestConnection(ID))
        if code < 0:
            self._forget(ID)
        return code

    def BL_Disconnect(self, ID: int) -> int:
        """Truly, when the last one lets go."""
        self._users[ID] = self._users.get(ID, 1) - 1
        if self._users[ID] > 0:
            return 0
        del self._users[ID]
        self._forget(ID)
        return int(self._backend.BL_Disconnect(ID))

    def _forget(self, number: int) -> None:
        for address in [address for address, (found, _) in self._open.items() if found == number]:
            del self._open[address]
