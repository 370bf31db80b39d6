"""A run with everything that a report must tell: for the report's tests and the browser's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from artificial_night import Night

from orchestrator.model.columns import pack, unpack
from orchestrator.model.events import Event
from orchestrator.recorder.appends import Text
from orchestrator.recorder.closeout import compare
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import Publisher

HOSTILE = "<script>document.title='taken'</script><img src=http://example.invalid/x onerror=alert(1)>&\"'"


def plan() -> dict[str, Any]:
    steps = [("s000", "Charge at C/5", 600.0, 0.6), ("s001", f"Rest {HOSTILE}", 60.0, 0.0)]
    return {
        "prepare": [{"key": "p00-ocv", "index": -1, "text": "ocv 2..4 V", "expected_s": 30.0, "expected_charge_C": 0.0}],
        "steps": [
            {"key": key, "index": n, "text": text, "expected_s": seconds, "expected_charge_C": charge}
            for n, (key, text, seconds, charge) in enumerate(steps)
        ],
        "expected_spectra": {"li": 4},
        "acquisitions": {"li": {"scans": 64, "dummies": 4, "recycle_s": 0.75, "template": {"pulse_us": 5}}},
        "not_available": ["prepare: tune"],
    }


def areas(event: Event) -> Iterator[Event]:
    """The event; of a spectrum's observable also an area."""
    yield event
    if event.kind == "observable":
        number = float(event.data["key"][1:])
        data = {**event.data, "name": "area(metal)", "value": 10.0 + number, "error": 0.5, "unit": ""}
        yield replace(event, data=data)


def clean(night: Night) -> list[Event]:
    """A night in which nothing went wrong."""
    found: list[Event] = []
    for event in night.events():
        if event.kind == "run.started":
            found.append(replace(event, data={**event.data, "plan": plan(), "simulated": False}))
        elif event.kind in {"acquisition.missed", "note"} or event.data.get("key") == "a-missed":
            continue
        elif event.kind == "run.ended":
            off = {"cell": "off", "confirmed": True, "detail": "open circuit, 3.41 V"}
            ended = {"key": "s000", "reason": "time", "detail": "", "duration_s": 600.0, "charge_C": 0.6}
            rest = {"key": "s001", "index": 1, "cycle": 1, "text": "Rest", "mode": "rest"}
            over = {**ended, "key": "s001", "duration_s": 2.0, "charge_C": 0.0}
            before = {"key": "p00-ocv", "index": -1, "cycle": 0, "text": "ocv 2..4 V", "mode": "rest"}
            passed = {"text": "ocv 2..4 V: passed", "who": "rig"}
            for kind, data in (
                ("step.started", before),
                ("step.ended", {**over, "key": "p00-ocv", "duration_s": 30.0}),
                ("note", passed),
                ("step.ended", ended),
                ("step.started", rest),
                ("step.ended", over),
                ("cell.state", off),
            ):
                found.append(replace(event, kind=kind, data=data))
            found.append(event)
        else:
            found += areas(event)
    return numbered(found)


def troubled(night: Night) -> list[Event]:
    """The same with a gap, a lost link, an alarm, a missed and a deviating acquisition, another gain, and texts that are no text."""
    found: list[Event] = []
    armed = 0
    for event in clean(night):
        if event.kind == "run.started":
            event = replace(event, data={**event.data, "name": HOSTILE, "simulated": True})  # noqa: PLW2901
        if event.kind == "acquisition.armed":
            armed += 1
            changed = {"deviations": {"d1": [0.75, 5.0]}} if armed == 2 else {}
            event = replace(event, data={**event.data, "parameters": {"gain": 30 if armed < 3 else 36}, **changed})  # noqa: PLW2901
        if event.kind == "run.ended":
            found += trouble(event, night)
            event = replace(event, data={**event.data, "outcome": "ended early", "reason": "by a person", "complete": False})  # noqa: PLW2901
        found.append(event)
    return numbered(found)


def trouble(like: Event, night: Night) -> Iterator[Event]:
    told = [
        (100.0, "link.lost", {"instrument": "vnmrs", "why": "no answer"}),
        (160.0, "link.restored", {"instrument": "vnmrs"}),
        (200.0, "gap", {"step_key": "s000", "seconds": 40.0, "charge_C": 0.036, "uncertainty_C": 0.0036, "how": "set current"}),
        (300.0, "alarm.raised", {"id": "soft", "level": "warn", "title": HOSTILE, "text": "slope fell\nmore"}),
        (310.0, "alarm.acknowledged", {"id": "soft", "who": HOSTILE}),
        (330.0, "alarm.cleared", {"id": "soft"}),
        (340.0, "alarm.raised", {"id": "quiet", "level": "info", "title": "x", "text": "y"}),
        (350.0, "alarm.raised", {"id": "after-short", "level": "warn", "title": "After the short", "text": "NaBA-05: do not move"}),
        (
            400.0,
            "acquisition.requested",
            {"key": "a-missed", "name": "li", "nucleus": "7Li", "reasons": ["x"], "step_key": "s000", "scans": 64},
        ),
        (420.0, "acquisition.missed", {"key": "a-missed", "name": "li", "why": "the console was busy"}),
        (430.0, "note", {"text": HOSTILE, "who": "A. Person"}),
    ]
    for time_s, kind, data in told:
        at = night.at(time_s)
        yield replace(like, kind=kind, data=data, mono_ns=at.mono_ns, utc_ns=at.utc_ns)


def numbered(events: list[Event]) -> list[Event]:
    return [replace(event, seq=n) for n, event in enumerate(events, 1)]


def run_folder(folder: Path, events: list[Event], *, closed: bool = True) -> Path:
    """A run folder with ``run.h5`` of these events; ``closed``: with what the close-out found."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.sqlite").touch()
    publisher, projection = Publisher(folder), Projection()
    publisher.take(projection, events)
    publisher.publish()
    if closed:
        finding = compare(publisher.gather(), events)
        publisher.add([Text("control/digests", finding.as_json())], events[-1].seq)
        publisher.publish()
        publisher.close()
    return folder


CE_V = 0.125


def with_reference(event: Event) -> Event:
    """A block of samples with the counter electrode at 125 mV."""
    if event.kind != "ec.block":
        return event
    columns = dict(unpack(event.data["columns"], event.blob or b"", event.data["n"]))
    columns["voltage_we_V"] = columns["voltage_V"] + CE_V
    columns["voltage_ce_V"] = np.full(event.data["n"], CE_V)
    described, blob = pack(columns)
    return replace(event, data={**event.data, "columns": described}, blob=blob)
