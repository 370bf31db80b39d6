"""What the guard does when it must: reach the instrument, make the cell safe, read back, say so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import CellState, Context, SafeState, Settings
from drivers.errors import InstrumentError


class GuardLog:
    """``guard.jsonl``: one line an event, on disk before the call returns; ``continue`` imports it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "guard.jsonl"

    def write(self, kind: str, **data: Any) -> None:
        """Append one line and sync it; a disk that refuses must not stop the guard, so it is told on stderr instead."""
        line = json.dumps({"utc_ns": time.time_ns(), "mono_ns": time.monotonic_ns(), "kind": kind, **data})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                print(f"guard: could not write {self.path.name}: {error}\n{line}", file=sys.stderr)  # noqa: T201


async def try_once(settings: Settings, context: Context) -> SafeState:
    """Open the instrument, make it safe, read the cell state back, let go. Raises InstrumentError where it cannot."""
    potentiostat = registry.make_potentiostat(settings, context)
    try:
        await potentiostat.connect()
        safe = await potentiostat.make_safe()
        state = await potentiostat.read_state()
    finally:
        await potentiostat.release()
    if safe.confirmed and state.cell is CellState.ON:
        raise InstrumentError("said it was safe, but the cell reads on", instrument=settings.instrument, received=state.detail)
    return safe


async def make_safe(settings: Settings, context: Context, log: GuardLog, *, attempts: int, wait_s: float = 1.0) -> bool:
    """Try until the safe state is confirmed; each failure is logged, the first as an alarm. True when confirmed."""
    for attempt in range(1, attempts + 1):
        try:
            async with asyncio.timeout(60.0):
                safe = await try_once(settings, context)
        except (InstrumentError, TimeoutError, OSError) as error:
            log.write("guard.failed", attempt=attempt, error=str(error) or type(error).__name__, cell="unknown")
        else:
            log.write("guard.safe" if safe.confirmed else "guard.failed", attempt=attempt, confirmed=safe.confirmed, detail=safe.detail)
            if safe.confirmed:
                return True
        await asyncio.sleep(wait_s)
    return False
