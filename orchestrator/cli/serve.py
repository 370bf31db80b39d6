"""``operando serve``: the daemon of the queue."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

from orchestrator.cli import exits


def serve_command(look_s: float, *, as_json: bool = False) -> int:
    """Serve the queue until SIGTERM or Ctrl-C; runs go on."""
    from orchestrator.rig.folders import home
    from orchestrator.schedule.daemon import Daemon, served
    from orchestrator.schedule.queue import Queue

    place, stop = home(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with served(place):
        queue = Queue(place)
        try:
            say = _say_json if as_json else _say
            say(f"serving the queue in {place / 'queue'} (process {os.getpid()})")
            Daemon(queue, say).serve(stop, look_s)
        finally:
            queue.close()
    return exits.COMPLETE


def _say(text: str) -> None:
    print(text, flush=True)


def _say_json(text: str) -> None:
    print(json.dumps({"said": text}), flush=True)


def is_served(place: Path) -> bool:
    """Does a daemon serve this queue?"""
    from orchestrator.platform import is_locked

    return is_locked(place / "queue" / "lock")
