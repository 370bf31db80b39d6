"""What a guard that is a service must know after its own death, or the computer's: whom it watched, and what was to be done."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from drivers.durable import OWNER_ONLY, write_durably
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.watched import Watched


class Memory:
    """One small file, written anew when the rig, its step or the standing order changes; not with each heartbeat."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: tuple[object, ...] = ()

    def remember(self, watched: Watched, beat: Heartbeat) -> None:
        """The newest heartbeat, where it says something new. A disk that fails is not waited for twice."""
        says = (beat.pid, beat.started, beat.cell, beat.order, beat.step)
        if says == self._written:
            return
        self._written = says
        finish_by_utc_ns = None if beat.finish_within_s is None else time.time_ns() + int(beat.finish_within_s * 1e9)
        text = json.dumps({"watched": watched.plain(), "beat": beat._asdict(), "finish_by_utc_ns": finish_by_utc_ns})
        with contextlib.suppress(OSError):
            write_durably(self._path, text, mode=OWNER_ONLY)

    def recall(self) -> tuple[Watched, Heartbeat] | None:
        """What was remembered; None where nothing is left to be done."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
            beat, until_ns = Heartbeat(**found["beat"]), found["finish_by_utc_ns"]
            watched = Watched.read(found["watched"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        left_s = None if until_ns is None else max(0.0, (until_ns - time.time_ns()) / 1e9)
        return watched, beat._replace(finish_within_s=left_s, last_sample_age_s=None)

    def forget(self) -> None:
        """The watch is over."""
        self._written = ()
        self._path.unlink(missing_ok=True)
