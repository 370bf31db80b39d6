"""``log.jsonl`` in the run folder: what drivers and libraries say in passing; one JSON object a line, written by a thread of its own.

What matters to the run stands in the journal; this is for whoever looks for a fault.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

LOG = "log.jsonl"
LONGEST_QUEUE = 10_000
CLOSE_WITHIN_S = 5.0


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"utc_s": record.created, "level": record.levelname, "logger": record.name, "text": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Bounded(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        """What finds no room is not worth waiting for."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


class _File:
    """The file, for the listener's thread alone. No ``logging.Handler``: those are locked and flushed at exit, also where a disk hangs."""

    level = logging.NOTSET

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lines = _Lines()

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line; a full disk stops the log, never the run."""
        with suppress(OSError):
            self._file.write(self._lines.format(record) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Nothing more is written."""
        with suppress(OSError):
            self._file.close()


class _Listener(logging.handlers.QueueListener):
    def __init__(self, lines: queue.Queue[logging.LogRecord | None], file: _File) -> None:
        super().__init__(lines, cast("logging.Handler", file))
        self._lines = lines

    def enqueue_sentinel(self) -> None:
        """Wait for room: only the thread that ends the log does it."""
        self._lines.put(None)


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write ``folder/log.jsonl`` while inside, instead of the terminal. What a hung disk does not take at the end is told and left."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(LONGEST_QUEUE)
    file = _File(folder / LOG)
    root, handler = logging.getLogger(), _Bounded(lines)
    listener = _Listener(lines, file)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        if not _ended(listener, file):
            sys.stderr.write(f"{folder / LOG}: the disk has not taken the last lines within {CLOSE_WITHIN_S:g} s; they are lost\n")


def _ended(listener: _Listener, file: _File) -> bool:
    """Stop in a thread of its own, which may stay behind."""

    def end() -> None:
        listener.stop()
        file.close()

    ending = threading.Thread(target=end, name="log end", daemon=True)
    ending.start()
    ending.join(CLOSE_WITHIN_S)
    return not ending.is_alive()
