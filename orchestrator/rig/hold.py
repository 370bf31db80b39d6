"""One run at a time on a rig: ``state/<rig>/lock`` is held from before the first file is opened until the run is over."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from drivers.durable import write_durably
from orchestrator.platform import hold_file, is_locked
from orchestrator.rig.gather import CannotRun

LOCK, RUNNING = "lock", "running"


@contextlib.contextmanager
def rig_held(state: Path, rig: str) -> Iterator[None]:
    """Hold a rig. Raises CannotRun, which names the run that has it."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        held = hold_file(state / LOCK)
    except OSError as error:
        raise CannotRun(f"the state of rig `{rig}` cannot be kept in {state}: {error.strerror or error}; nothing was started") from error
    if held is None:
        raise CannotRun(f"rig `{rig}` is taken: {_running(state)}; `operando status` shows it; nothing was started")
    try:
        yield
    finally:
        (state / RUNNING).unlink(missing_ok=True)
        held.close()


def is_held(state: Path) -> bool:
    """Does a run hold the rig? Asks the lock only where a run has named itself: a question must not be in a new run's way."""
    return (state / RUNNING).exists() and is_locked(state / LOCK)


def name_running(state: Path, folder: Path) -> None:
    """Say whose rig it is, for whoever asks next."""
    write_durably(state / RUNNING, f"{folder} (process {os.getpid()}) is running")


def _running(state: Path) -> str:
    try:
        return (state / RUNNING).read_text("utf-8") or "another run has it"
    except OSError:
        return "another run is just beginning or ending"
