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
from drivers.base import CellState, Context, SafeState, Settings
from drivers.errors import InstrumentError
from orchestrator.guard.heard import heard

LONGEST_QUEUE = 10_000
FLUSH_WITHIN_S = 5.0
ATTEMPT_WITHIN_S = 60.0


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
        line = json.dumps({"utc_ns": time.time_ns(), "mono_ns": time.monotonic_ns(), "kind": kind, **data})
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._complain(line, "the disk does not keep up")

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


async def try_once(settings: Settings, context: Context, said: dict[str, Any] | None = None) -> SafeState:
    """Open the instrument, make it safe, read the cell state back, let go. Raises InstrumentError where it cannot.

    ``said`` takes what the instrument said last of the step that ran.
    """
    potentiostat = registry.make_potentiostat(settings, context)
    try:
        await potentiostat.connect()
        safe = await potentiostat.make_safe()
        if said is not None:
            said.update(await heard(potentiostat, context.clock))
        state = await potentiostat.read_state()
    finally:
        await potentiostat.release()
    if safe.confirmed and state.cell is CellState.ON:
        raise InstrumentError("said it was safe, but the cell reads on", instrument=settings.instrument, received=state.detail)
    return safe


def sentence(error: Exception) -> str:
    """What an error says; of one that is no instrument's, its kind too."""
    if isinstance(error, InstrumentError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def make_safe(settings: Settings, context: Context, log: GuardLog, *, attempts: int, wait_s: float = 1.0) -> bool:
    """Try until the safe state is confirmed; each failure is logged, the first as an alarm. True when confirmed."""
    said: dict[str, Any] = {}
    for attempt in range(1, attempts + 1):
        try:
            async with asyncio.timeout(ATTEMPT_WITHIN_S):
                safe = await try_once(settings, context, said)
        except Exception as error:  # noqa: BLE001 a driver's bug must not end the attempts
            log.write("guard.failed", attempt=attempt, error=sentence(error), cell="unknown")
        else:
            also = {"heard": said} if said else {}
            log.write(
                "guard.safe" if safe.confirmed else "guard.failed", attempt=attempt, confirmed=safe.confirmed, detail=safe.detail, **also
            )
            if safe.confirmed:
                return True
        await asyncio.sleep(wait_s)
    return False
