"""``log.jsonl`` in the run folder: what drivers and libraries say in passing; one JSON object a line, written by a thread of its own.

What matters to the run stands in the journal; this is for whoever looks for a fault.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = "log.jsonl"
LONGEST_QUEUE = 10_000


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


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write ``folder/log.jsonl`` while inside, instead of the terminal."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(LONGEST_QUEUE)
    file = logging.FileHandler(folder / LOG, encoding="utf-8")
    file.setFormatter(_Lines())
    root, handler, listener = logging.getLogger(), _Bounded(lines), logging.handlers.QueueListener(lines, file)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        listener.stop()
        file.close()
