"""A script that blocks, inside an event loop: it runs only while the loop stands still, so the two are one sequence.

Python has no stackful coroutines of its own; a thread that is handed the turn and hands it back is one. Nothing runs beside anything:
what happens is as deterministic as a coroutine, and in virtual time too.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

MOST_ENDED = 100
"""So often a script is told that it has ended before it is left where it is."""

Request = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]


class Ended(BaseException):
    """The program has gone: the script's call never returns."""


class Fiber:
    """One thread of a script; ``command``: TopSpin takes calls from it."""

    def __init__(self, *, command: bool = True) -> None:
        self.command = command
        self._script, self._loop = threading.Semaphore(0), threading.Semaphore(0)
        self._request: Request | None = None
        self._answer: tuple[Any, BaseException | None] = (None, None)
        self._result: tuple[Any, BaseException | None] = (None, None)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; raises what it raises. Cancelled: the script sees Ended at its call."""
        thread = threading.Thread(target=self._work, args=(function, arguments), name="command thread", daemon=True)
        thread.start()
        self._loop.acquire()
        try:
            while self._request is not None:
                self._turn(await _answered(self._request))
        except BaseException:
            self._unwind()
            raise
        thread.join()
        result, fault = self._result
        if fault is not None:
            raise fault
        return result

    def _unwind(self) -> None:
        for _ in range(MOST_ENDED):
            if self._request is None:
                return
            self._turn((None, Ended()))

    def _turn(self, answer: tuple[Any, BaseException | None]) -> None:
        """The script goes on until its next call, or its end."""
        self._answer, self._request = answer, None
        self._script.release()
        self._loop.acquire()

    def _work(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        CURRENT.fiber = self
        try:
            self._result = function(*arguments), None
        except BaseException as fault:  # noqa: BLE001 raised in run
            self._result = None, fault
        self._loop.release()

    def call(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """From the script: hand the turn over until the coroutine is done."""
        self._request = function, arguments
        self._loop.release()
        self._script.acquire()
        answer, fault = self._answer
        if fault is not None:
            raise fault
        return answer


async def _answered(request: Request) -> tuple[Any, BaseException | None]:
    function, arguments = request
    try:
        return await function(*arguments), None
    except Exception as fault:  # noqa: BLE001 raised where the script waits
        return None, fault


CURRENT = threading.local()


def current() -> Fiber:
    """The fiber whose script asks."""
    fiber = getattr(CURRENT, "fiber", None)
    assert isinstance(fiber, Fiber), "not inside a script"
    return fiber
