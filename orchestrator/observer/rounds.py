"""A thread of its own that does one thing again and again at a place that may hang, vanish and come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from orchestrator.recorder.records import JournalError

EVERY_s = 60.0
TROUBLES = (OSError, JournalError)

Turn = Callable[[], None]


class Rounds:
    """``start`` it, ask for its ``trouble`` now and then, ``finish`` it; nobody ever waits for the place longer than he says.

    ``begin``: entered in the thread, gives what is done each ``every_s``; both may raise OSError and JournalError.
    ``silent_s``: a turn that has not called ``goes_on`` for so long hangs.
    """

    def __init__(
        self,
        name: str,
        place: Path,
        begin: Callable[[], AbstractContextManager[Turn]],
        *,
        silent_s: float,
        every_s: float = EVERY_s,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._begin = begin
        self._silent_s = silent_s
        self._every_s = every_s
        self._monotonic = monotonic
        self._failed: str | None = None
        self._busy_since_s: float | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first turn is at once."""
        self._thread.start()

    def goes_on(self) -> None:
        """The turn that is under way has got further."""
        self._busy_since_s = self._monotonic()

    @property
    def trouble(self) -> str | None:
        """Why the place is behind: the last turn failed, or one hangs; None when all is well."""
        since_s = self._busy_since_s
        if since_s is not None and (silent_s := self._monotonic() - since_s) > self._silent_s:
            return f"{self._place} has not answered for {silent_s:.0f} s"
        return self._failed

    def finish(self, within_s: float) -> bool:
        """One last turn, for so long at most; True when it has ended well."""
        self._ending.set()
        self._thread.join(within_s)
        return not self._thread.is_alive() and self._failed is None

    def _live(self) -> None:
        try:
            with self._begin() as turn:
                while not self._last(turn):
                    self._ending.wait(self._every_s)
        except TROUBLES as error:
            self._failed = self._said(error)

    def _last(self, turn: Turn) -> bool:
        """One turn; True when it was the last."""
        last = self._ending.is_set()
        self.goes_on()
        try:
            turn()
            self._failed = None
        except TROUBLES as error:
            self._failed = self._said(error)
        self._busy_since_s = None
        return last

    def _said(self, error: Exception) -> str:
        return f"{self._place}: {getattr(error, 'strerror', None) or error}"
