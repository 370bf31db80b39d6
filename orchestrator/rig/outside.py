"""``state/<rig>/journal.sqlite``: what happened on a rig outside of its runs, and which run followed which.

The same journal as a run's. Whoever holds the rig opens it for a moment only (or ``operando guard``, while nobody does): runs that
begin, go on and end, what kept one from beginning, and what a guard did after its rig was gone, taken from the ``guard.jsonl`` of
the run that was begun last. Nothing waits for it longer than a moment, and no run fails because of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from drivers.clock import Clock, Stamp
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.recorder.records import NetworkFolder, Reader, refuse_network_folder
from orchestrator.rig.former_guard import FormerGuard
from orchestrator.rig.gather import CannotRun
from orchestrator.runner.station import Outcome

JOURNAL = "journal.sqlite"
WITHIN_s = 5.0
BESIDE_RUNS = frozenset({"guard.started", "guard.stood_down", "guard.watching"})
"""What every guard of every run says."""

Line = tuple[str, dict[str, Any], Stamp | None, str]
Tell = Callable[[Outcome], None]


def refuse_network(state: Path) -> None:
    """Raises CannotRun where the rig's own journal would lie on a network folder."""
    try:
        refuse_network_folder(state / JOURNAL)
    except NetworkFolder as error:
        raise CannotRun(f"{error} Set OPERANDO_HOME to a folder on a disk of this computer; nothing was started") from error


async def note(state: Path, *lines: Line) -> None:
    """Append what a guard has done since the last time, and these lines. What fails is logged, and nothing else."""
    try:
        async with asyncio.timeout(WITHIN_s):
            await _append(state, lines)
    except (JournalError, OSError, sqlite3.Error, TimeoutError) as error:
        logging.getLogger(__name__).warning("the journal of the rig in %s takes nothing: %s", state, error or "it does not answer")


async def _append(state: Path, lines: tuple[Line, ...]) -> None:
    clock = Clock()
    due = (*_deeds(state / JOURNAL, clock), *lines)
    if not due:
        return
    journal = _opened(state / JOURNAL, clock)
    try:
        for kind, data, at, source in due:
            seq = journal.put(kind, data, source=source, at=at)
        await journal.durable(seq)
    finally:
        async with asyncio.timeout(WITHIN_s):
            await journal.close()


def _opened(path: Path, clock: Clock) -> Journal:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Journal.open(path, clock) if path.exists() else Journal.create(path, clock)


def _deeds(path: Path, clock: Clock) -> Iterator[Line]:
    """Lines of the guard of the run that was begun last, each once."""
    if not path.exists():
        return
    run, line = "", -1
    with Reader(path) as reader:
        for event in reader.events():
            if event.kind == "note" and (named := event.data.get("run", run)) != run:
                run, line = str(named), -1
            if event.source == "guard":
                line = max(line, int(event.data["line"]))
    if run:
        for kind, data, at in FormerGuard(Path(run)).lines(line + 1, clock, same_clock=False):
            if kind not in BESIDE_RUNS:
                yield kind, {**data, "run": run}, at, "guard"


def said(text: str, folder: Path) -> Line:
    """A line of the rig's own about a run."""
    return "note", {"text": text, "who": "rig", "run": str(folder)}, None, "rig"


@contextlib.asynccontextmanager
async def noted(state: Path, folder: Path, begins: str) -> AsyncIterator[Tell]:
    """Around one life of a run: that it ``begins`` (or goes on), and how it ended. ``told`` takes the outcome."""
    await note(state, said(f"{begins}: {folder.name}", folder))
    ended = "it broke off"

    def tell(outcome: Outcome) -> None:
        nonlocal ended
        ended = f"{outcome.state}, {outcome.outcome}, cell {outcome.cell}: {outcome.reason.splitlines()[0]}"

    try:
        yield tell
    except Exception as error:
        ended = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise
    finally:
        await note(state, said(f"ended: {folder.name}: {ended}", folder))
