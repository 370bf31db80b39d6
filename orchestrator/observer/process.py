"""The observer as a process of its own: follows one run to its close-out, ends early and tidily on SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.observer.mirror import Mirror
    from orchestrator.observer.observer import Observer
    from orchestrator.observer.status import StatusPage
    from orchestrator.observer.words import Words

POLL_s = 0.5
TROUBLE_s = 30.0
MIRROR_WITHIN_s = 60.0
STATUS_WITHIN_s = 20.0
ANALYSIS_WITHIN_s = 2.0
BROKEN = 1


def follow(
    folder: Path,
    *,
    rig: str = "",
    poll_s: float = POLL_s,
    keep_free_bytes: int = 0,
    mirror_to: Path | None = None,
    tell: int | None = None,
    control: Path | None = None,
    status_to: Path | None = None,
) -> int:
    """Follow one run; 0 when the close-out is written, the rig has died, or somebody asked to stop.

    ``rig``: ``pid:start`` of the rig's process. ``mirror_to``: a folder that gets a copy. ``tell``: the descriptor on which
    the rig listens. ``control``: the folder of the rig's ``control.json``, for what live analysis finds (None: no live analysis).
    ``status_to``: a folder that gets ``status.html`` and a picture each minute.
    2 when another process keeps this ``run.h5`` already; 1 when HDF5 could not write: a new process can.
    """
    from orchestrator.observer.analysis import AnalysisThread
    from orchestrator.observer.observer import Observer
    from orchestrator.observer.words import Words
    from orchestrator.platform import same_process_lives
    from orchestrator.recorder.recover import ObserverRuns
    from orchestrator.recorder.rundisk import drop_ballast

    asked_to_stop, something = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        asked_to_stop.set()
        something.set()

    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), stop)
    threading.Thread(target=hurried_by, args=(0, something), name="hurry", daemon=True).start()
    try:
        observer = Observer(folder, keep_free_bytes=keep_free_bytes)
    except ObserverRuns:
        return 2
    mirror = None if mirror_to is None else _mirror(folder, mirror_to)
    words = Words(tell)
    status = None if status_to is None else _status_page(folder, status_to, rig)
    telling = Telling(words, observer, mirror, status)
    analysis = None if control is None else AnalysisThread(folder, control, words.note)
    for companion in (mirror, status):
        if companion is not None:
            companion.start()
    if analysis is not None:
        analysis.start()
    try:
        while observer.step():
            something.wait(poll_s)
            something.clear()
            if asked_to_stop.is_set():
                break
            telling.tell()
            if not same_process_lives(rig):
                drop_ballast(folder)
                observer.step()  # its last words, perhaps its orderly end
                break
            if observer.broken:
                return BROKEN
    finally:
        if analysis is not None:
            analysis.finish(ANALYSIS_WITHIN_s)
        observer.close()
        if status is not None and not status.finish(STATUS_WITHIN_s):
            sys.stderr.write(f"{status_to}: the status page is old: {status.trouble or 'the folder did not answer'}\n")
        if mirror is not None and not mirror.finish(MIRROR_WITHIN_s):
            sys.stderr.write(f"mirror_to: {mirror.trouble or 'it did not answer'}; copy the run's folder when the place is back\n")
    return 0


def _mirror(folder: Path, to: Path) -> Mirror:
    from orchestrator.observer.mirror import Mirror

    return Mirror(folder, to)


def _status_page(folder: Path, to: Path, rig: str) -> StatusPage:
    from orchestrator.observer.status import StatusPage

    return StatusPage(folder / "journal.sqlite", to, rig)


def hurried_by(descriptor: int, something: threading.Event) -> None:
    """The rig lets go of our standard input when it has written its last record: look at once. Nothing is ever said there.

    By its descriptor: a thread that waits in Python's own buffer would hinder the interpreter's end.
    """
    with contextlib.suppress(OSError):
        while os.read(descriptor, 1024):
            pass
    something.set()


class Telling:
    """What the observer's process has to tell of itself, as alarms that come and go."""

    def __init__(
        self,
        words: Words,
        observer: Observer,
        mirror: Mirror | None,
        status: StatusPage | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = words
        self._observer = observer
        self._mirror = mirror
        self._status = status
        self._monotonic = monotonic
        self._since_s: float | None = None

    def tell(self) -> None:
        """Say what has changed; what is tried again each second is no trouble until it lasts."""
        now_s, trouble = self._monotonic(), self._observer.trouble
        self._since_s = None if trouble is None else self._since_s if self._since_s is not None else now_s
        lasting = trouble if self._since_s is not None and now_s - self._since_s >= TROUBLE_s else None
        advice = "the journal holds everything; free the disk"
        self._words.alarm("publishing", lasting, title="run.h5 is not kept", advice=advice)
        if self._mirror is not None:
            advice = "the run goes on; the copy catches up when the place is back"
            self._words.alarm("mirror", self._mirror.trouble, title="The run is not copied", advice=advice)
        if self._status is not None:
            advice = "the run goes on; the page is written again when the place is back"
            self._words.alarm("status", self._status.trouble, title="The status page is old", advice=advice, level="warn")
