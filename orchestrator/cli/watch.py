"""``operando watch``: the screen. It reads the journal and nothing else, so it can be started and ended at will."""

from __future__ import annotations

import functools
import time
from pathlib import Path

from orchestrator.cli import exits

REFRESH_s = 0.5


def watch_command(run: str, out: Path, *, lines: bool) -> int:
    """Follow a run until it ends."""
    from rich.console import Console

    from orchestrator.rig.folders import find_run

    folder = find_run(run, out)
    console = Console()
    try:
        if lines or not console.is_terminal:
            _follow_lines(folder)
        else:
            _follow_screen(folder, console)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.COMPLETE


def _events(folder: Path):  # type: ignore[no-untyped-def]
    """Yield the view after each look at the journal, until the run has ended."""
    from orchestrator.monitor.view import View
    from orchestrator.recorder.journal import Reader

    view, seen = View(), 0
    reader = Reader(folder / "journal.sqlite")
    while not view.ended:
        events = reader.since(seen, 2000)
        view.feed(events)
        seen = events[-1].seq if events else seen
        yield view
        if not events:
            time.sleep(REFRESH_s)


def _follow_lines(folder: Path) -> None:
    from orchestrator.monitor.terminal import plain_lines

    told: set[str] = set()
    for view in _events(folder):
        for line in plain_lines(view, told):
            print(line, flush=True)


def _follow_screen(folder: Path, console) -> None:  # type: ignore[no-untyped-def]
    from rich.live import Live

    from orchestrator.monitor.terminal import screen

    spectrum = functools.lru_cache(maxsize=2)(_spectrum)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        for view in _events(folder):
            live.update(screen(view, spectrum, console.width), refresh=True)
