"""What the observer tells the rig, which alone writes the journal: events, a JSON object a line, through a pipe.

It says what has changed and nothing twice, so that a pipe which nobody reads does not fill. On the rig's side ``Heard``
takes only what an observer may say.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from orchestrator.model.events import complaints

KINDS = frozenset({"alarm.raised", "alarm.cleared", "note"})
MOST_WAITING = 1000

Said = tuple[str, dict[str, Any]]


class Words:
    """The observer's side. ``descriptor`` None: nobody listens."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._standing: set[str] = set()

    def note(self, text: str, who: str = "observer") -> None:
        """Write a note into the run."""
        self._say("note", {"text": text, "who": who})

    def alarm(self, name: str, trouble: str | None, *, title: str, advice: str, level: str = "alarm") -> None:
        """Raise this alarm while there is trouble, clear it when there is none any more."""
        if trouble is not None and name not in self._standing:
            self._standing.add(name)
            self._say("alarm.raised", {"id": name, "level": level, "title": title, "text": trouble, "advice": advice})
        elif trouble is None and name in self._standing:
            self._standing.remove(name)
            self._say("alarm.cleared", {"id": name})

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        if self._descriptor is not None:
            with suppress(OSError):  # the rig is gone
                os.write(self._descriptor, json.dumps([kind, data]).encode() + b"\n")


class Heard:
    """The rig's side of one observer's pipe, read by a thread of its own until its end; ``new`` never waits."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._said: deque[Said] = deque(maxlen=MOST_WAITING)
        self._standing: dict[str, None] = {}
        threading.Thread(target=self._read, args=(pipe,), name="heard", daemon=True).start()

    def new(self) -> Iterator[Said]:
        """What has been said since the last time."""
        while self._said:
            kind, data = self._said.popleft()
            if kind == "alarm.raised":
                self._standing[data["id"]] = None
            elif kind == "alarm.cleared":
                self._standing.pop(data["id"], None)
            yield kind, data

    def last(self) -> Iterator[Said]:
        """The observer is gone: its alarms go with it, and its successor raises those that still hold."""
        yield from self.new()
        for name in self._standing:
            yield "alarm.cleared", {"id": name}
        self._standing = {}

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                if (said := _understood(line)) is not None:
                    self._said.append(said)


def _understood(line: bytes) -> Said | None:
    try:
        kind, data = json.loads(line)
    except (ValueError, TypeError):
        return None
    known = kind in KINDS and isinstance(data, dict) and not complaints(kind, data)
    return (kind, data) if known else None
