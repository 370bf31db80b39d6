"""What there is to publish of one run, read from its journal: the picture, and whether the rig still lives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from orchestrator.monitor.payloads import HEARTBEAT_s
from orchestrator.monitor.picture import Out, Picture
from orchestrator.monitor.topics import Topics, level
from orchestrator.platform import same_process_lives
from orchestrator.recorder.records import Reader

JOURNAL = "journal.sqlite"
BATCH_EVENTS = 1000
STATE_EVERY_s = SAMPLE_EVERY_s = 1.0
TILE_EVERY_s = 5.0
LOOK_AT_RIG_s = 1.0
LOOK_ANYWAY_s = 2.0
TICK_s = 0.05


class Looked(NamedTuple):
    """What one look has brought. ``more``: there is more to be read at once. ``over``: nothing will come any more."""

    outs: dict[str, Out]
    more: bool
    over: bool


class Source:
    """``look`` at the journal again and again, from one thread at a time."""

    def __init__(self, folder: Path, rig: str, now_s: Callable[[], float], rig_process: str = "") -> None:
        self.topics = Topics(level(rig))
        self.picture = Picture(self.topics, folder.name)
        self._journal = folder / JOURNAL
        self._reader = Reader(self._journal)
        self._rig = rig
        self._now_s = now_s
        self._rig_process = rig_process
        self._rig_alive = True
        self._seen: tuple[tuple[int, int], ...] = ()
        self._looked_s = self._rig_looked_s = self._state_s = -1e9
        self._told_seq = 0
        self._held: dict[str, Out] = {}
        self._sent_s: dict[str, float] = {}
        top = self.topics.top
        self._pauses = {f"{top}/ec": SAMPLE_EVERY_s, f"{top}/sensor/": SAMPLE_EVERY_s, f"{top}/view/ec/": TILE_EVERY_s}

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def look(self) -> Looked:
        """Read on for one batch; give out what has changed once everything was read."""
        now_s = self._now_s()
        alive = self._rig_lives(now_s)
        if self._read(now_s):
            return Looked({}, more=True, over=False)
        if not self.picture.begun:
            return Looked({}, more=False, over=not alive)
        if not alive and not self.picture.ended:
            self.picture.rig_died(now_s)
        over = self.picture.ended or not alive
        outs = self._due(self.picture.take(), now_s, all_of_them=over)
        if self._state_due(now_s):
            state = self.picture.state(self._rig, rig_alive=alive, heard_s=self._heard_s(), now_s=now_s)
            self._state_s, self._told_seq = now_s, self.picture.seq
            outs[self.topics.state] = Out(self.topics.state, state.encoded())
        return Looked(outs, more=False, over=over)

    def _due(self, outs: dict[str, Out], now_s: float, *, all_of_them: bool) -> dict[str, Out]:
        """What may go out now; of what comes often the newest is held back until it is time."""
        held, self._held = {**self._held, **outs}, {}
        due: dict[str, Out] = {}
        for topic, out in held.items():
            every_s = next((pause_s for start, pause_s in self._pauses.items() if topic.startswith(start)), 0.0)
            if every_s and not all_of_them and abs(now_s - self._sent_s.get(topic, -1e9)) < every_s:
                self._held[topic] = out
                continue
            due[topic] = out
            if every_s:
                self._sent_s[topic] = now_s
        return due

    def _read(self, now_s: float) -> bool:
        """Take in one batch; True where there may be another."""
        if not self._something_new(now_s):
            return False
        try:
            batch = self._reader.since(self.picture.seq, BATCH_EVENTS)
        except sqlite3.OperationalError:  # busy, or a disk that waits: next time
            self._seen = ()
            return False
        self.picture.feed(batch)
        if batch:
            self._seen = ()
        return bool(batch)

    def _something_new(self, now_s: float) -> bool:
        files = tuple(_look(path) for path in self._files)
        if files == self._seen and abs(now_s - self._looked_s) < LOOK_ANYWAY_s:
            return False
        # A file system's clock ticks in milliseconds: what was written just now may be written once more in the same tick.
        settled = now_s - max(changed_ns for _, changed_ns in files) / 1e9 > TICK_s
        self._seen, self._looked_s = files if settled else (), now_s
        return True

    @property
    def _files(self) -> tuple[Path, Path]:
        return self._journal, Path(f"{self._journal}-wal")

    def _heard_s(self) -> float:
        """When the rig last wrote, as the file system has it."""
        return max(_look(path)[1] for path in self._files) / 1e9

    def _rig_lives(self, now_s: float) -> bool:
        if self._rig_alive and abs(now_s - self._rig_looked_s) >= LOOK_AT_RIG_s:
            self._rig_looked_s = now_s
            self._rig_alive = same_process_lives(self._rig_process)
            if not self._rig_alive:
                self._seen = ()  # its last words
                self.picture.urgent = True
        return self._rig_alive

    def _state_due(self, now_s: float) -> bool:
        since_s = abs(now_s - self._state_s)
        return self.picture.urgent or since_s >= HEARTBEAT_s or (since_s >= STATE_EVERY_s and self.picture.seq > self._told_seq)


def _look(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns
