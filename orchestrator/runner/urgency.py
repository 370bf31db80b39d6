"""A part of a run is done unless something at least as urgent ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from orchestrator.recorder.journal import JournalError
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.states import RunState
from orchestrator.runner.station import BUG, SAFETY, UNSAFE, Ending, RunFailed


async def unless(run: Reactions, urgency: int, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, unless an ending at least as urgent comes: then False, and the work is cancelled."""
    task = asyncio.create_task(work)
    try:
        while not task.done() and (run.ending is None or run.ending.urgency < urgency):
            run.changed.clear()
            changed = asyncio.create_task(run.changed.wait())
            await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        return False
    task.result()
    return True


async def do(run: Reactions, urgency: int, work: Coroutine[Any, Any, None]) -> None:
    """Do a part of the run unless something as urgent ends it; what goes wrong in it ends the run."""
    try:
        await unless(run, urgency, work)
    except RunFailed as error:
        run.end(Ending(RunState.FAILED, str(error), error.exit_code, SAFETY))
    except JournalError as error:
        run.end(Ending(RunState.FAILED, f"the journal cannot be written: {error}", UNSAFE, SAFETY))
    except Exception as error:  # noqa: BLE001 our own bug must not leave a cell under current
        run.end(Ending(RunState.FAILED, f"a fault of this program: {type(error).__name__}: {error}", BUG, SAFETY))
