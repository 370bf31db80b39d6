"""``operando queue add|list|move|remove|show|confirm``."""

from __future__ import annotations

import contextlib
import getpass
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.schedule.entry import Entry
    from orchestrator.schedule.queue import Queue


@contextlib.contextmanager
def _queue() -> Iterator[Queue]:
    from orchestrator.rig.folders import home
    from orchestrator.schedule.queue import Queue

    queue = Queue(home())
    try:
        yield queue
    finally:
        queue.close()


def add_command(file: Path, rig: Path | None, out: Path, options: Mapping[str, Any], *, as_json: bool) -> int:
    """Queue a run, or say why it cannot be."""
    from orchestrator.schedule.submit import Wanted, submit

    with _queue() as queue:
        done = submit(queue, Wanted(file, rig, out, **options, who=getpass.getuser()))
        if as_json:
            print(json.dumps({**_plain(queue, done.entry), "first_opening": done.text}))
        else:
            print(f"entry {done.entry.id}: {done.entry.asked.name} on rig {done.entry.asked.rig}, cell {done.entry.asked.cell}")
            print(f"  {done.text}")
            _say_what_next(queue, done.entry)
    return exits.COMPLETE


def _say_what_next(queue: Queue, entry: Entry) -> None:
    from orchestrator.cli.serve import is_served

    if entry.loaded_utc_ns is None:
        print(f"  it starts once the cell is in the magnet and you say so: operando queue confirm {entry.id}")
    if not is_served(queue.home):
        print("  no daemon serves this queue: operando serve", file=sys.stderr)


def list_command(*, every: bool, as_json: bool) -> int:
    """All entries in the order in which they come, and why each waits."""
    with _queue() as queue:
        entries = queue.entries(over=every)
        for entry in entries:
            plain = _plain(queue, entry)
            print(json.dumps(plain) if as_json else _line(plain))
        if not entries and not as_json:
            print("the queue is empty")
    return exits.COMPLETE


def show_command(number: int, *, as_json: bool) -> int:
    """One entry with its history."""
    from orchestrator.plan.instants import local

    with _queue() as queue:
        entry = queue.entry(number)
        plain, history = _plain(queue, entry), queue.history(number)
        if as_json:
            print(json.dumps({**plain, "asked": entry.asked.model_dump(mode="json"), "history": history}))
            return exits.COMPLETE
        print(_line(plain))
        for name, one in entry.asked.files.items():
            print(f"  {name}: {one.was}  SHA-256 {one.sha256[:12]}, copied to {one.path}")
        print(f"  program: {entry.program}")
        for utc_ns, _, what, why in history:
            print(f"  {local(utc_ns, entry.asked.zone):%a %d %b %H:%M:%S}  {what}{f': {why}' if why else ''}")
    return exits.COMPLETE


def move_command(number: int, before: int | None, priority: int | None, *, as_json: bool) -> int:
    """Change the order."""
    with _queue() as queue:
        return _told(queue, queue.move(number, before=before, priority=priority), as_json=as_json)


def remove_command(number: int, *, as_json: bool) -> int:
    """Take an entry out."""
    with _queue() as queue:
        return _told(queue, queue.remove(number, getpass.getuser()), as_json=as_json)


def confirm_command(number: int, *, again: bool, as_json: bool) -> int:
    """The cell is loaded; what waited for a person goes on."""
    with _queue() as queue:
        before = queue.entry(number)
        entry = queue.confirm(number, _program(queue), getpass.getuser(), again=again)
        if before.loaded_utc_ns is None:
            _mounted(queue, entry)
        return _told(queue, entry, as_json=as_json)


def _mounted(queue: Queue, entry: Entry) -> None:
    """A cell with a record remembers where it was put."""
    from orchestrator.rig.cells import CellLedger

    record = queue.home / "cells" / f"{entry.asked.cell}.yaml"
    if record.is_file():
        CellLedger(record).mount(entry.asked.rig, entry.asked.station, None, f"confirmed for entry {entry.id} of the queue")


def _told(queue: Queue, entry: Entry, *, as_json: bool) -> int:
    plain = _plain(queue, entry)
    print(json.dumps(plain) if as_json else _line(plain))
    return exits.COMPLETE


def _plain(queue: Queue, entry: Entry) -> dict[str, Any]:
    asked = entry.asked
    told = {"id": entry.id, "name": asked.name, "rig": asked.rig, "station": asked.station, "cell": asked.cell, "state": str(entry.state)}
    told |= {"why": _why(queue, entry), "priority": entry.priority, "loaded": entry.loaded_utc_ns is not None, "left": entry.left}
    return told | {
        "starts": entry.attempts,
        "run": entry.run,
        "exit_code": entry.exit_code,
        "needs_s": asked.needs_s,
        "worst_s": asked.worst_s,
    }


def _why(queue: Queue, entry: Entry) -> str:
    """Why it waits, as the daemon would say now: by the program that it would start."""
    from orchestrator.cli.serve import is_served
    from orchestrator.rig.hold import is_held
    from orchestrator.schedule.entry import State
    from orchestrator.schedule.pinned import changed
    from orchestrator.schedule.turn import Waits, turn

    if entry.state is not State.QUEUED:
        return entry.why
    taken = is_held(Path(entry.asked.state_folder))
    found = turn(entry, queue.entries(), queue.clock.utc_ns(), _program(queue), rig_taken=taken)
    if isinstance(found, Waits):
        return found.why
    if wrong := changed(entry.asked.files):
        return f"its copies are not what was submitted: {', '.join(wrong)}; remove it and submit it again"
    return "due" if is_served(queue.home) else "due, but no daemon serves this queue: operando serve"


def _program(queue: Queue) -> str:
    from orchestrator.cli.serve import is_served
    from orchestrator.schedule.version import would_run

    return would_run(queue, served=is_served(queue.home))


def _line(plain: Mapping[str, Any]) -> str:
    repeat = f", {plain['left']} runs owed" if plain["left"] > 1 else ""
    head = f"{plain['id']:>4}  {plain['state']:<8}  {plain['name']} on {plain['rig']}, cell {plain['cell']}{repeat}"
    tail = "".join(f"\n      {text}" for text in (plain["why"], plain["run"]) if text)
    return head + tail
