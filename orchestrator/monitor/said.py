"""An event of the journal as it is sent: for people a line, for programs its data without what is long."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.model.events import Event, alarm_line
from orchestrator.monitor.payloads import Event as Sent
from orchestrator.monitor.payloads import utc

NOT_SENT = frozenset({"ec.block", "aux.block", "clock.sample"})
"""Many, and of no use to a person: the newest sample and the tiles show them."""
LONGEST_BYTES = 2000
LONGEST_TEXT = 300

Data = Mapping[str, Any]


def is_sent(event: Event) -> bool:
    """Does this event go out?"""
    return event.kind not in NOT_SENT


def sent(event: Event, previous_seq: int, run: Mapping[str, str], origin_mono_ns: int) -> Sent:
    """The message. ``run``: run and run_id."""
    time_s = event.utc_ns / 1e9
    return Sent(
        **run,
        time_s=time_s,
        time_utc=utc(time_s),
        t_s=(event.mono_ns - origin_mono_ns) / 1e9,
        seq=event.seq,
        previous_seq=previous_seq,
        kind=event.kind,
        source=event.source,
        cause=event.cause,
        text=sentence(event.kind, event.data),
        data=short(event.data),
    )


def short(data: Data) -> dict[str, Any]:
    """The data without what is longer than a screen: texts of files, plans, lists of files and columns."""
    return {name: value for name, value in data.items() if name != "columns" and len(json.dumps(value)) <= LONGEST_BYTES}


def sentence(kind: str, data: Data) -> str:
    """One line for people."""
    say = SENTENCES.get(kind)
    text = " ".join((say(data) if say else f"{kind} {_first_text(data)}").split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _first_text(data: Data) -> str:
    return next((str(data[name]) for name in ("why", "text", "detail", "key", "id", "name", "instrument") if data.get(name)), "")


def _ended(data: Data) -> str:
    return f"step {data['key']} ended by {data['reason']}" + (f": {data['detail']}" if data["detail"] else "")


def _asked(data: Data) -> str:
    why = ", ".join(str(reason) for reason in data["reasons"])
    return f"{data['name']} asked for ({data['key']}): {why}"


def _not_taken(word: str) -> Callable[[Data], str]:
    return lambda data: f"{data['name']} {data['key']} {word}: {data['why']}"


def _told(data: Data) -> str:
    arguments = ", ".join(f"{name} {value}" for name, value in data["arguments"].items())
    why = f", because {data['why']}" if data.get("why") else ""
    return f"{data['who']}: {data['verb']}{f' ({arguments})' if arguments else ''}{why}"


def _observed(data: Data) -> str:
    error = f" ± {data['error']:.3g}" if isinstance(data["error"], int | float) else ""
    value = f"{data['value']:.4g}" if isinstance(data["value"], int | float) else "not known"
    return f"{data['name']} {value}{error} {data['unit'] or ''}"


def _tuned(data: Data) -> str:
    reached = f" to {data['reflection_dB']:.1f} dB" if isinstance(data.get("reflection_dB"), int | float) else ""
    how = "tuned" if data["ok"] else f"NOT tuned ({data.get('detail') or 'no answer'})"
    return f"probe {how}: {data['nucleus']}{reached} in {data['duration_s']:.0f} s, because of {data['why']}"


def _cell(data: Data) -> str:
    said = {"on": "the cell is under current", "off": "the cell is at open circuit"}.get(data["cell"], "THE CELL'S STATE IS NOT KNOWN")
    return said + ("" if data["confirmed"] else " (not confirmed)") + (f": {data['detail']}" if data["detail"] else "")


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "run.started": lambda data: f"run of {data['name']} started" + (" (simulated)" if data["simulated"] else ""),
    "run.state": lambda data: f"{data['from']} → {data['to']}" + (f": {data['why']}" if data["why"] else ""),
    "run.ended": lambda data: f"{data['state']}, {data['outcome']}: {data['reason']}",
    "step.started": lambda data: f"step {data['key']}: {data['text']}",
    "step.ended": _ended,
    "acquisition.requested": _asked,
    "acquisition.started": lambda data: f"{data['key']} is being measured",
    "acquisition.stored": lambda data: f"{data['key']} stored",
    "acquisition.missed": _not_taken("missed"),
    "acquisition.rejected": _not_taken("rejected"),
    "acquisition.lost": _not_taken("LOST"),
    "observable": _observed,
    "tuned": _tuned,
    "rule.fired": lambda data: f"rule {data['rule']}: {', '.join(str(action) for action in data['actions'])}",
    "alarm.raised": alarm_line,
    "alarm.cleared": lambda data: f"alarm over: {data['id']}",
    "alarm.acknowledged": lambda data: f"{data['who']} has seen the alarm {data['id']}",
    "command.received": _told,
    "command.answered": lambda data: ("" if data["ok"] else "refused: ") + str(data["text"]),
    "note": lambda data: f"{data['who']}: {data['text']}",
    "link.lost": lambda data: f"{data['instrument']} does not answer: {data['why']}",
    "link.restored": lambda data: f"{data['instrument']} answers again",
    "instrument": lambda data: f"{data['role']}: {data['vendor']} {data['model']}",
    "cell.state": _cell,
}
