"""What the guard does when it must: reach the instrument, make the cell safe, read back, say so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import CellState, ChannelState, Context, SafeState, Settings
from drivers.errors import InstrumentError
from orchestrator.guard.heard import heard

LONGEST_QUEUE = 10_000
FLUSH_WITHIN_S = 5.0
ATTEMPT_WITHIN_S = 60.0
GIVES_UP_s = 3600.0
"""An instrument that cannot be reached is tried for an hour: somebody may plug it in again."""
OFTEN, LONGEST_PAUSE_s = 60, 30.0
"""So many attempts a second apart; then ever more rarely, at the end each half minute."""
TRIES_BEFORE_FENCE = 3
"""One attempt may meet a port that the dead rig has not let go of yet; after three the potentiostat is past telling: a person is told."""


class GuardLog:
    """``guard.jsonl``: one line an event, written and synced by a thread of its own; ``continue`` imports it.

    Nobody waits for it: a disk that hangs must not keep the guard from acting. What finds no room goes to stderr.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "guard.jsonl"
        self._lines: queue.Queue[str | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name="guard log", daemon=True)
        self._thread.start()

    def write(self, kind: str, **data: Any) -> None:
        """Queue one line; never waits."""
        stamp = {"utc_ns": time.time_ns(), "mono_ns": time.monotonic_ns(), "pid": os.getpid()}
        line = json.dumps({**stamp, "kind": kind, **data})
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._complain(line, "the disk does not keep up")

    def flush(self) -> None:
        """Wait until every line that was queued is written."""
        self._lines.join()

    def close(self, within_s: float = FLUSH_WITHIN_S) -> bool:
        """Write what is queued; False when the disk has not taken it within so many seconds."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=within_s)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._append(line)
            except OSError as error:
                self._complain(line, str(error))
            finally:
                self._lines.task_done()
        self._lines.task_done()

    def _append(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _complain(self, line: str, why: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may have died with the rig
            print(f"guard: could not write {self.path.name}: {why}\n{line}", file=sys.stderr)  # noqa: T201


class NoWire:
    """A ``WireRecorder`` where no file can be had: the guard acts all the same."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""


async def try_once(settings: Settings, context: Context) -> tuple[SafeState, ChannelState, dict[str, Any]]:
    """Open the instrument, make it safe, read the cell state back, let go: both, and what it said last of the step that ran.

    Raises InstrumentError where it cannot.
    """
    potentiostat = registry.make_potentiostat(settings, context)
    try:
        await potentiostat.connect()
        safe = await potentiostat.make_safe()
        state = await potentiostat.read_state()
        said = await heard(potentiostat, context.clock)
    finally:
        await potentiostat.release()
    if safe.confirmed and state.cell is CellState.ON:
        raise InstrumentError("said it was safe, but the cell reads on", instrument=settings.instrument, received=state.detail)
    return safe, state, said


def sentence(error: Exception) -> str:
    """What an error says; of one that is no instrument's, its kind too."""
    if isinstance(error, InstrumentError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def read_back(state: ChannelState) -> dict[str, Any]:
    """What the instrument said of itself, as a line of ``guard.jsonl`` has it."""
    known = {"cell": state.cell.value, "running": state.running, "step": state.step_key}
    return {**known, "voltage_V": state.voltage_V, "current_A": state.current_A, "state": state.detail}


class Attempts:
    """Failed attempts, told once each time that something is new about them, else ever more rarely: the file stays short."""

    def __init__(self, log: GuardLog) -> None:
        self._log = log
        self._said = ""
        self.count = 0

    def failed(self, error: str, **data: Any) -> None:
        """One more attempt has failed."""
        self.count += 1
        if error != self._said or self.count & (self.count - 1) == 0:
            self._log.write("guard.failed", attempt=self.count, error=error, **{"cell": "unknown", **data})
        self._said = error


def pause_s(failed: int) -> float:
    """How long to wait after so many failed attempts."""
    return min(LONGEST_PAUSE_s, 2.0 ** max(0, min(failed, 2 * OFTEN) - OFTEN))


async def make_safe(
    settings: Settings,
    context: Context,
    log: GuardLog,
    *,
    for_s: float = GIVES_UP_s,
    attempt_s: float = ATTEMPT_WITHIN_S,
    failing: asyncio.Event | None = None,
) -> bool:
    """Try until the safe state is confirmed. True when confirmed. ``failing`` is set when it looks as if it never will be."""
    failed, until_s = Attempts(log), time.monotonic() + for_s
    while True:
        try:
            async with asyncio.timeout(attempt_s):
                safe, state, said = await try_once(settings, context)
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts
            failed.failed(sentence(error))
        else:
            if safe.confirmed:
                also = {"heard": said} if said else {}
                log.write("guard.safe", attempt=failed.count + 1, confirmed=True, detail=safe.detail, **read_back(state), **also)
                return True
            failed.failed(safe.detail, confirmed=False, **read_back(state))
        if failing is not None and failed.count >= TRIES_BEFORE_FENCE:
            failing.set()
        if time.monotonic() + (wait_s := pause_s(failed.count)) > until_s:
            return False
        await asyncio.sleep(wait_s)
