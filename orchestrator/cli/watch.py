"""``operando watch``: the screen. It reads the journal and nothing else, so it can be started and ended at will."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.model.events import Event
    from orchestrator.monitor.view import View

REFRESH_s = 0.5
BATCH_EVENTS = 2000


def watch_command(run: str, out: Path, *, lines: bool, rig: str, as_json: bool) -> int:
    """Follow a run until it ends, or until the rig's process ``rig`` has died; ``as_json``: each of its events an object a line."""
    from rich.console import Console

    from orchestrator.rig.folders import find_run

    folder = find_run(run, out)
    console = Console()
    try:
        if as_json:
            _follow_json(folder, rig)
        elif lines or not console.is_terminal:
            _follow_lines(folder, rig)
        else:
            _follow_screen(folder, console, rig)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.COMPLETE


def _views(folder: Path, rig: str) -> Iterator[tuple[View, list[Event]]]:
    """The view after each look at the journal, and what was new, until the run has ended or the rig has died."""
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
        yield view, events
        if alive and len(events) < BATCH_EVENTS:
            time.sleep(REFRESH_s)
    if not alive and not view.ended:
        print(f"\nThe rig's process has died. Its guard makes the cell safe and says so in {folder / 'guard.jsonl'}.")


def _follow_lines(folder: Path, rig: str) -> None:
    from orchestrator.monitor.terminal import plain_lines

    told: set[str] = set()
    for view, _ in _views(folder, rig):
        for line in plain_lines(view, told):
            print(line, flush=True)


def _follow_json(folder: Path, rig: str) -> None:
    """Each event as the journal has it; of samples the newest of a block, of FIDs what is said of them."""
    for _, events in _views(folder, rig):
        for event in events:
            told = {"seq": event.seq, "utc_ns": event.utc_ns, "kind": event.kind, "data": event.data}
            print(json.dumps(told | ({"newest": _newest(event)} if event.kind == "ec.block" else {})), flush=True)


def _newest(event: Event) -> dict[str, float | None]:
    """The last sample of a block; what is not known is null."""
    from orchestrator.model.columns import unpack

    last = {name: float(column[-1]) for name, column in unpack(event.data["columns"], event.blob or b"", event.data["n"]).items()}
    return {name: value if math.isfinite(value) else None for name, value in last.items()}


def _follow_screen(folder: Path, console: Console, rig: str) -> None:
    from rich.live import Live

    from orchestrator.monitor.terminal import screen
    from orchestrator.monitor.waterfall import spectrum_of

    spectrum = functools.lru_cache(maxsize=2)(spectrum_of)
    with Live(console=console, auto_refresh=False) as live:
        for view, _ in _views(folder, rig):
            live.update(screen(view, spectrum, console.width, console.height), refresh=True)
