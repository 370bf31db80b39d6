"""The journal is the outbox: events to be sent are read from it, and ``outbox.json`` says up to where the broker has them.

The cursor moves after the broker's acknowledgement. A process that dies in between sends a few once more, never one too few.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from drivers.durable import write_durably
from orchestrator.model.events import Event
from orchestrator.monitor import said
from orchestrator.recorder.records import Reader

OUTBOX = "outbox.json"
READ_EVENTS = 500


class Waiting(NamedTuple):
    """An event to be sent."""

    seq: int
    payload: bytes


class Outbox:
    """The events of one run that the broker has not acknowledged.

    ``origin_ns``: where second 0 of the run lies on the monotonic clock of an event, by its seq.
    ``seq``: the last event that was acknowledged (0: none). ``read_seq``: up to where the journal was given out.
    """

    def __init__(self, folder: Path, origin_ns: Callable[[int], int]) -> None:
        self._origin_ns = origin_ns
        self._path = folder / OUTBOX
        self._reader = Reader(folder / "journal.sqlite")
        self._run_name = folder.name
        self._lock = threading.Lock()
        self._first: Event | None = None
        self.seq = _cursor(self._path)
        self.read_seq = self._sent_seq = self.seq

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def back(self) -> None:
        """Begin again behind the last acknowledged event: the connection was lost."""
        with self._lock:
            self.read_seq = self._sent_seq = self.seq

    def pending(self, most: int) -> list[Waiting]:
        """The next events in order, at most so many; none where all have been given out."""
        with self._lock:
            return self._next(most)

    def _next(self, most: int) -> list[Waiting]:
        found: list[Waiting] = []
        while len(found) < most and (batch := self._reader.since(self.read_seq, READ_EVENTS)):
            for event in batch:
                if said.is_sent(event):
                    found.append(self._waiting(event))
                    self._sent_seq = event.seq
                self.read_seq = event.seq
                if len(found) == most:
                    break
        return found

    def acknowledged(self, waiting: Sequence[Waiting]) -> None:
        """The broker has these. Raises OSError where the cursor cannot be kept; then they will be sent once more."""
        if not waiting:
            return
        self.seq = waiting[-1].seq
        write_durably(self._path, json.dumps({"seq": self.seq}))

    def _waiting(self, event: Event) -> Waiting:
        if self._first is None:
            (self._first,) = self._reader.since(0, 1)
        run = {"run": self._run_name, "run_id": str(self._first.data["run_id"])}
        return Waiting(event.seq, said.sent(event, self._sent_seq, run, self._origin_ns(event.seq)).encoded())


def _cursor(path: Path) -> int:
    """What the file says; of a file that is missing or damaged 0: everything is sent again, and readers drop it by its seq."""
    try:
        seq = json.loads(path.read_text("utf-8"))["seq"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return seq if isinstance(seq, int) and seq >= 0 else 0
