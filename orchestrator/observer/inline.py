"""The observer in the run's own process, for virtual time: a process more takes longer to start than a short run takes to live."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.observer.observer import Observer
from orchestrator.recorder.closeout import CLOSEOUT, JOURNAL
from orchestrator.recorder.records import Reader


class InlineObserver:
    """What stands beside a run, without a process: an empty ``run.h5`` at first, everything at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._observer: Observer | None = None

    def start(self) -> None:
        """An empty ``run.h5`` stands before the first current. Raises ObserverRuns."""
        self._observer = Observer(self.folder)

    def start_late(self) -> None:
        """A run that ended before anybody watched has its ``run.h5`` too."""
        if self._observer is None:
            self.start()

    def ready(self) -> bool:
        """At once."""
        return True

    def dismiss(self) -> None:
        """Nothing waits for it."""

    def finish(self) -> Mapping[str, Any]:
        """Project what is in the journal; the close-out, and what it found, where the run has ended."""
        if self._observer is None:
            return {}
        try:
            while not self._idle(self._observer):
                self._observer.step()
            self._observer.step()  # with nothing new to take in, what has ended is closed
        finally:
            self._observer.close()
        found: dict[str, Any] = json.loads((self.folder / CLOSEOUT).read_text("utf-8")) if self._observer.finding is not None else {}
        return found

    def _idle(self, observer: Observer) -> bool:
        """Everything there is was taken in, and the run has not ended."""
        with Reader(self.folder / JOURNAL) as reader:
            return reader.last_seq == observer.seq
