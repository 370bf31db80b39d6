"""What we add between two acquisitions that follow each other, and how much of a night the console measures.

Dead time: `operando run` at speed 1 against each emulated console, over its real wire. Between the last word of one acquisition and the
order that starts the next, every line of the wire record is either ours to send or the console's to answer: the time before each
of ours is ours, the time before each of its is its own. The control is the console's own part of the same gaps. A gap begins when the
scans are over, the last recycle delay included: MaRCoS keeps none itself, its last word comes before that delay and not after it.

Busy: the same program in virtual time, with acquisitions as long as those of a lab, for some hours.

``--quick``: a tenth of it. ``consoles:marcos``: that console alone.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import QUICK, Report, percentile, run_json, spread
from drivers.registry import factory
from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader

CONSOLES = ("topspin", "spinsolve", "openvnmrj", "marcos")
RIGS = {"topspin": "emulated-topspin", "spinsolve": "emulated-spinsolve", "openvnmrj": "sim", "marcos": "emulated-marcos"}
DEAD_s, BUSY_h = (60, 1) if QUICK else (300, 8)
SCANS_BUSY = 272
"""With 1 s of recycle delay: a spectrum takes about as long as those of the public battery run (domain.md 2.1: 272.8 s of scans)."""
SAID_FIRST = {"marcos"}
"""Whose driver tells the start before it sends the order: nothing confirms it, the reply comes with the samples."""
EXPERIMENT = """\
version: 1
experiment: back-to-back
cell: {{id: bench, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: 1.0, abs_I_mA: 0.5, charge_per_step_mAh: 1.0, host_lost: open circuit within 60 s}}
acquisitions:
  one: {{template: 7Li_metal, recycle_s: 1.0, scans: {scans}, any_scans: true, dummies: 0}}
protocol:
  - {{step: Rest for {seconds} seconds, nmr: {{one: continuously}}}}
record: {{every_s: 10}}
"""


def measure(repository: Path, scratch: Path, *only: str) -> Report:
    """Every console in turn, or those named."""
    report = Report(
        "Between two acquisitions that follow each other",
        f"`operando run` with one acquisition after the other: {DEAD_s} s at speed 1 over each emulator's real wire (2 scans each), and "
        f"{BUSY_h} h in virtual time with {SCANS_BUSY} scans each. Ours: the time of the gap in which the console waits for us, our "
        "reading of its files included; its own: the time in which we wait for its answer. Acquiring: from its start to its last "
        "scan, as the console tells. Load of the machine before each: in the first column.",
        ("console (load)", "gaps", "added by us", "99 %", "its own part", "acquiring", "acquiring, or in its own part"),
    )
    report.rows += [_row(repository, scratch / name, name) for name in only or CONSOLES]
    report.rows.append(("asked", "", "<= 50 ms", "", "", "", ">= 99 %"))
    return report


def _row(repository: Path, scratch: Path, name: str) -> Sequence[str]:
    scratch.mkdir()
    load = f"{name} ({os.getloadavg()[0]:.1f})" if hasattr(os, "getloadavg") else name
    gaps = list(dead_ms(_ran(repository, scratch, name, 2, DEAD_s), name))
    ours, own = zip(*gaps, strict=True)
    scanning, busy = shares(
        _events(_ran(repository, scratch, name, SCANS_BUSY, BUSY_h * 3600, "--speed", "max")), statistics.median(ours) / 1e3
    )
    tail = f"{percentile(ours, 99):.0f} ms"
    return load, str(len(gaps)), spread(ours, "ms", 0), tail, spread(own, "ms", 0), f"{scanning:.2%}", f"{busy:.2%}"


def _ran(repository: Path, scratch: Path, name: str, scans: int, seconds: float, *more: str) -> Path:
    experiment = scratch / f"{scans}.yaml"
    experiment.write_text(EXPERIMENT.format(scans=scans, seconds=int(seconds)), encoding="utf-8")
    rig = repository / "configs" / "rigs" / f"{RIGS[name]}.yaml"
    said, *_ = run_json("run", str(experiment), "--rig", str(rig), "--out", str(scratch), *more, cwd=repository)
    if said["exit_code"]:
        raise RuntimeError(f"{name}: {said}")
    return Path(str(said["folder"]))


def _events(folder: Path) -> list[Event]:
    with Reader(folder / "journal.sqlite") as reader:
        return [event for event in reader.events() if event.kind.startswith("acquisition.")]


def dead_ms(folder: Path, console: str) -> Iterator[tuple[float, float]]:
    """Of each gap between two acquisitions: milliseconds that were ours, and the console's own."""
    wire = [row for row in map(json.loads, (folder / "wire" / "console.jsonl").read_text("utf-8").splitlines()) if "dir" in row]
    events = _events(folder)
    filed = [event.mono_ns for event in events if event.kind == "acquisition.filed"]
    started = [event.mono_ns for event in events if event.kind == "acquisition.started"]
    planned_s = next(event.data["planned_s"] for event in events if event.kind == "acquisition.requested")
    scans_ns = round((planned_s - factory("consoles", console).capabilities.overhead_s) * 1e9)  # type: ignore[attr-defined]
    for begun_ns, filed_ns, started_ns in zip(started, filed, started[1:], strict=False):
        last_word_ns = max((row["mono_ns"] for row in wire if row["dir"] == "rx" and row["mono_ns"] <= filed_ns), default=filed_ns)
        over_ns = max(last_word_ns, begun_ns + scans_ns)
        orders_ns = (row["mono_ns"] for row in wire if row["dir"] == "tx" and row["mono_ns"] >= started_ns)
        until_ns = next(orders_ns, started_ns) if console in SAID_FIRST else started_ns
        yield _split(over_ns, [row for row in wire if over_ns < row["mono_ns"] <= until_ns])


def _split(from_ns: int, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The time before each line that we sent, and before each that we heard, up to the last that we sent."""
    part = {"tx": 0.0, "rx": 0.0}
    orders = [k for k, row in enumerate(rows) if row["dir"] == "tx"]
    for row in rows[: orders[-1] + 1] if orders else ():
        part[row["dir"]] += (row["mono_ns"] - from_ns) / 1e6
        from_ns = row["mono_ns"]
    return part["tx"], part["rx"]


def shares(events: Sequence[Event], ours_s: float) -> tuple[float, float]:
    """How much of the time from the first start to the last end was scanned; and all but our own part of each gap, as measured."""
    started = [event.mono_ns for event in events if event.kind == "acquisition.started"]
    acquired = [event.mono_ns for event in events if event.kind == "acquisition.acquired"]
    pairs = list(zip(started, acquired, strict=False))
    whole_s = (acquired[len(pairs) - 1] - started[0]) / 1e9
    scanned_s = sum(end - begin for begin, end in pairs) / 1e9
    return scanned_s / whole_s, 1.0 - ours_s * (len(pairs) - 1) / whole_s
