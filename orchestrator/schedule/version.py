"""Which program a start would run: the one that the daemon belongs to, as it lies on the disk now, whatever program asks."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.rig.gather import program, revision
from orchestrator.schedule.queue import Queue

KNOWN = "program"
LOOK_AGAIN_s = 10.0


def place() -> str:
    """Where this program lies."""
    return str(Path(__file__).resolve().parents[2])


def program_now() -> str:
    """As it lies on the disk: a checkout may have changed since this process began."""
    revision.cache_clear()
    return program()


def would_run(queue: Queue, *, served: bool) -> str:
    """What a start would run: this program, unless the daemon that serves the queue is of another place."""
    told = json.loads(queue.known(KNOWN) or "{}")
    if not served or not told or told["place"] == place():
        return program()
    return str(told["program"])


class Version:
    """The daemon's: looked at again before each start, and now and then; written down for whoever lists the queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._seen_ns = queue.clock.mono_ns()
        self.now = program_now()
        self._write()

    def again(self, *, at_least_s: float = 0.0) -> str:
        """The program as it is now; what was seen less than so long ago counts as now."""
        now_ns = self._queue.clock.mono_ns()
        if now_ns - self._seen_ns >= at_least_s * 1e9:
            self._seen_ns, before, self.now = now_ns, self.now, program_now()
            if before != self.now:
                self._write()
        return self.now

    def _write(self) -> None:
        self._queue.know(KNOWN, json.dumps({"program": self.now, "place": place()}))
