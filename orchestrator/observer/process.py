"""The observer as a process of its own: follows one run to its close-out, ends early and tidily on SIGTERM."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

POLL_s = 0.5


def follow(folder: Path, *, rig: str = "", poll_s: float = POLL_s) -> int:
    """Follow one run; 0 when the close-out is written, the rig has died, or somebody asked to stop.

    ``rig``: ``pid:start`` of the rig's process. 2 when another process keeps this ``run.h5`` already.
    """
    from orchestrator.observer.observer import Observer
    from orchestrator.platform import same_process_lives
    from orchestrator.recorder.recover import ObserverRuns

    asked_to_stop = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: asked_to_stop.set())
    try:
        observer = Observer(folder)
    except ObserverRuns:
        return 2
    try:
        while observer.step() and not asked_to_stop.wait(poll_s):
            if not same_process_lives(rig):
                observer.step()  # its last words, perhaps its orderly end
                break
    finally:
        observer.close()
    return 0
