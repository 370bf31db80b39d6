"""``operando watch``: the screen. It reads the journal and nothing else, so it can be started and ended at will."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.monitor.view import View

REFRESH_s = 0.5
BATCH_EVENTS = 2000


def watch_command(run: str, out: Path, *, lines: bool, rig: str) -> int:
    """Follow a run until it ends, or until the rig's process ``rig`` has died."""
    from rich.console import Console

    from orchestrator.rig.folders import find_run

    folder = find_run(run, out)
    console = Console()
    try:
        if lines or not console.is_terminal:
            _follow_lines(folder, rig)
        else:
            _follow_screen(folder, console, rig)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.COMPLETE


def _views(folder: Path, rig: str) -> Iterator[View]:
    """The view after each look at the journal, until the run has ended or the rig has died."""
    from orchestrator.monitor.view import View
    from orchestrator.platform import same_process_lives
    from orchestrator.recorder.records import Reader

    view, seen = View(), 0
    reader = Reader(folder / "journal.sqlite")
    alive = True
    while alive and not view.ended:
        alive = same_process_lives(rig)
        events = reader.since(seen, BATCH_EVENTS)
        view.feed(events)
        seen = events[-1].seq if events else seen
        yield view
        if alive and len(events) < BATCH_EVENTS:
            time.sleep(REFRESH_s)
    if not alive and not view.ended:
        print(f"\nThe rig's process has died. Its guard makes the cell safe and says so in {folder / 'guard.jsonl'}.")


def _follow_lines(folder: Path, rig: str) -> None:
    from orchestrator.monitor.terminal import plain_lines

    told: set[str] = set()
    for view in _views(folder, rig):
        for line in plain_lines(view, told):
            print(line, flush=True)


def _follow_screen(folder: Path, console: Console, rig: str) -> None:
    from rich.live import Live

    from orchestrator.monitor.terminal import screen
    from orchestrator.monitor.waterfall import spectrum_of

    spectrum = functools.lru_cache(maxsize=2)(spectrum_of)
    with Live(console=console, auto_refresh=False) as live:
        for view in _views(folder, rig):
            live.update(screen(view, spectrum, console.width, console.height), refresh=True)
