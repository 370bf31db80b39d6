"""Ctrl-C, SIGTERM and SIGHUP of a rig's process, from its first moment on.

Until the Runner takes over they end the start, in order; afterwards they are words in a queue, and the Runner knows what each means.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

HEARD = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(Exception):
    """Somebody ended the start of a run; nothing was started."""


class Interrupts:
    """What somebody has pressed. ``why`` of a start that was interrupted; empty otherwise."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.why = ""
        self._starting: asyncio.Task[Any] | None = None

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them; the task that enters is the one that starts a run. Raises Interrupted where nobody else has told its end."""
        loop, self._starting = asyncio.get_running_loop(), asyncio.current_task()
        numbers = [number for name in HEARD if (number := getattr(signal, name, None)) is not None]
        previous: dict[int, Any] = {}
        for number in numbers:
            word = signal.Signals(number).name
            try:
                loop.add_signal_handler(number, self._take, word)
            except NotImplementedError:  # Windows
                previous[number] = signal.signal(number, lambda *_, word=word: loop.call_soon_threadsafe(self._take, word))
        try:
            yield
        except asyncio.CancelledError:
            if not self.why:
                raise
            raise Interrupted(self.why) from None
        finally:
            for number in numbers:
                if number in previous:
                    signal.signal(number, previous[number])
                else:
                    loop.remove_signal_handler(number)

    def _take(self, word: str) -> None:
        starting, ends = self._starting, word != "SIGHUP"
        if starting is None or not ends:
            self.queue.put_nowait(word)
            return
        self._starting, self.why = None, f"interrupted ({word}) before anything was started"
        starting.cancel()

    async def started(self) -> None:
        """From now on the Runner is told. What came before has ended the start."""
        await asyncio.sleep(0)
        self._starting = None
