"""Which guard holds an instrument, and where it is reached: one lock and one small file for each.

The lock is the truth (a dead process has none); the file, which only its owner can read, tells a later rig how to ask the guard
to let go of a device that it watches.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from drivers.durable import OWNER_ONLY, write_durably
from orchestrator.platform import hold_file, process_start


@dataclass(frozen=True, slots=True)
class Post:
    """A guard's process, and the port at which it listens."""

    pid: int
    started: float
    port: int
    token: str

    @property
    def manned(self) -> bool:
        """Does that very process still live?"""
        return process_start(self.pid) == self.started


def own(port: int, token: str) -> Post:
    """This process's own post."""
    return Post(os.getpid(), process_start(os.getpid()) or 0.0, port, token)


def write_post(path: Path, post: Post) -> None:
    """Complete, or not there; readable by its owner only."""
    write_durably(path, json.dumps(asdict(post)), mode=OWNER_ONLY)


def read_post(path: Path) -> Post | None:
    """The guard that is reached by this file; None where there is none that lives."""
    try:
        post = Post(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return post if post.manned else None


class InstrumentHeld(Exception):
    """Another guard has this instrument."""


class Held:
    """One instrument, held by this guard alone until ``let_go`` or the process's end. ``folder`` "": nobody else could want it."""

    def __init__(self, folder: str, driver: str, address: str, channel: str) -> None:
        self._path = post_path(folder, driver, address, channel) if folder else None
        self._lock: IO[bytes] | None = None

    def take(self, post: Post) -> None:
        """Hold it, and say where we are. Raises InstrumentHeld, which says who has it."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = hold_file(self._path.with_suffix(".lock"))
        if self._lock is None:
            other = read_post(self._path)
            who = f"process {other.pid}" if other else "another process"
            raise InstrumentHeld(f"another guard ({who}) has the instrument")
        write_post(self._path, post)

    def let_go(self) -> None:
        """Others may have it."""
        if self._lock is None or self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._lock.close()
        self._lock = None


def post_path(folder: str, driver: str, address: str, channel: str) -> Path:
    """The file of an instrument's guard."""
    name = hashlib.sha256(f"{driver}|{address}|{channel}".encode()).hexdigest()[:16]
    return Path(folder) / f"{driver}-{name}.json"
