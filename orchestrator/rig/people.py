"""Who is told of a run's alarms and of its end, in real time: the programs that ``notify:`` of the rig names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.monitor.notify import Notifier, notifier
from orchestrator.rig.gather import Gathered
from orchestrator.rig.mortal import MortalJournal


def people_of(gathered: Gathered, folder: Path, record: MortalJournal) -> Notifier | None:
    """Who is told of alarms, in real time; a program that fails to tell is a note in the run."""
    if gathered.request.virtual or not gathered.rig.notify:
        return None
    loop = asyncio.get_running_loop()

    def report(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the run is over
            loop.call_soon_threadsafe(record.listeners_note, text)

    people = notifier(gathered.rig.notify, report)
    record.listener = lambda kind, data: _tell(people, gathered.rig.name, folder.name, kind, data)
    return people


def _tell(people: Notifier, rig: str, run: str, kind: str, data: Mapping[str, Any]) -> None:
    """What of the journal is told at once; nobody waits for it."""
    if kind == "alarm.raised":
        text = "\n".join(part for part in (data["text"], data.get("advice", ""), f"run: {run}") if part)
        people.tell(str(data["level"]), f"{rig}: {data['title']}", text)
    elif kind == "run.ended":
        level = "info" if data["outcome"] == "as planned" else "alarm"
        people.tell(level, f"{rig}: the run has ended ({data['outcome']})", f"{data['reason']}\nrun: {run}")
