"""``operando serve``: the daemon of the queue."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

from orchestrator.cli import exits

BROKER_UNUSED_s = 7 * 86_400.0
"""So long may nobody use the broker that is started beside the queue: longer than any week-end between two runs."""
UNUSED = f"until nobody has used it for {BROKER_UNUSED_s / 86_400:g} days"


def serve_command(look_s: float, *, as_json: bool = False) -> int:
    """Serve the queue until SIGTERM or Ctrl-C; runs go on."""
    from orchestrator.cli.broker import start_beside
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
            if (url := start_beside(place, BROKER_UNUSED_s)) is not None:
                say(f"runs whose rig names no broker are shown on {url}, for this computer only; that broker goes on without us, {UNUSED}")
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
