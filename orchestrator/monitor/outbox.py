"""The journal is the outbox: events to be sent are read from it, and ``outbox.json`` says up to where the broker has them.

The cursor moves after the broker's acknowledgement, which says that the broker has the event, not that its disk has it: a broker that is
killed forgets what it took last. So a new connection begins ``UNSURE_s`` before the old one broke. A few are sent twice, and readers
drop them by their seq; never one too few.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from drivers.durable import write_durably
from orchestrator.model.events import Event
from orchestrator.monitor import said
from orchestrator.recorder.records import Reader

OUTBOX = "outbox.json"
READ_EVENTS = 500
UNSURE_s = 10.0
"""What was acknowledged within so long may not have outlived the broker: mosquitto saves at its next turn, which a slow disk delays."""


class Waiting(NamedTuple):
    """An event to be sent."""

    seq: int
    payload: bytes


class Outbox:
    """The events of one run that the broker has not acknowledged.

    ``origin_ns``: where second 0 of the run lies on the monotonic clock of an event, by its seq.
    ``seq``: the last event that was acknowledged (0: none); ``safe_seq``: the last one of which that is ``UNSURE_s`` ago.
    ``read_seq``: up to where the journal was given out.
    """

    def __init__(self, folder: Path, origin_ns: Callable[[int], int]) -> None:
        self._origin_ns = origin_ns
        self._path = folder / OUTBOX
        self._reader = Reader(folder / "journal.sqlite")
        self._run_name = folder.name
        self._lock = threading.Lock()
        self._first: Event | None = None
        self._unsure: deque[tuple[int, int]] = deque()
        self.seq, self.safe_seq = _cursor(self._path)
        self.read_seq = self._sent_seq = self.safe_seq

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def back(self) -> None:
        """Begin again behind the last event that the broker surely kept: the connection was lost."""
        with self._lock:
            self._unsure.clear()
            self.read_seq = self._sent_seq = self.safe_seq

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

    def acknowledged(self, waiting: Sequence[Waiting], at_ns: int) -> None:
        """The broker has these since ``at_ns`` (monotonic).

        Raises OSError where the cursor cannot be kept; then they will be sent once more.
        """
        if not waiting:
            return
        self.seq = max(self.seq, waiting[-1].seq)
        self._unsure.append((at_ns, waiting[-1].seq))
        while self._unsure[0][0] <= at_ns - UNSURE_s * 1e9:
            self.safe_seq = max(self.safe_seq, self._unsure.popleft()[1])
        write_durably(self._path, json.dumps({"seq": self.seq, "safe_seq": self.safe_seq}))

    def _waiting(self, event: Event) -> Waiting:
        if self._first is None:
            (self._first,) = self._reader.since(0, 1)
        run = {"run": self._run_name, "run_id": str(self._first.data["run_id"])}
        return Waiting(event.seq, said.sent(event, self._sent_seq, run, self._origin_ns(event.seq)).encoded())


def _cursor(path: Path) -> tuple[int, int]:
    """What the file says; of a file that is missing or damaged 0: everything is sent again, and readers drop it by its seq."""
    try:
        said_so = json.loads(path.read_text("utf-8"))
        seq, safe_seq = said_so["seq"], said_so["safe_seq"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
    return (seq, safe_seq) if type(seq) is type(safe_seq) is int and 0 <= safe_seq <= seq else (0, 0)
