"""Battery data format: one CSV of the cell, with the columns and the sign that its readers expect, and a data package beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.export.source import file_name, write_text
from orchestrator.export.tables import write_rows
from orchestrator.recorder.reader import Run
from orchestrator.recorder.rowio import blocks

COLUMNS = {
    "Test Time / s": "time since the start of the run, monotonic",
    "Voltage / V": "cell voltage",
    "Current / A": "positive charges the cell",
    "Unix Time / s": "seconds since 1970, UTC",
    "Cycle Count / 1": "cycle, counted from 1; 0 before the first",
    "Step Count / 1": "steps begun so far, counted from 1",
}


def write_bdf(run: Run, folder: Path) -> list[Path]:
    """``<experiment>.bdf.csv`` and ``datapackage.json``; rows without a sample (the edges of gaps) are left out."""
    name = file_name(run)
    sign, why = charge_sign(json.loads(run.text("cell")))
    path = write_rows(folder / f"{name}.bdf.csv", list(COLUMNS), _rows(run, sign))
    package = folder / "datapackage.json"
    write_text(package, json.dumps(_package(path.name, why), indent=1) + "\n")
    return [path, package]


def charge_sign(cell: dict[str, Any]) -> tuple[int, str]:
    """+1 or -1, and why. The format counts charging as positive; we count oxidation at the electrode named working."""
    working = cell.get("working")
    if cell.get("type") == "full" and working == "negative":
        return -1, "the working electrode is the negative one: the run's current was turned round, so that positive charges the cell"
    if cell.get("type") == "full":
        return 1, "the working electrode is the positive one: positive charges the cell"
    return 1, f"a {cell.get('type', '')} cell has no charge and discharge: positive is oxidation at the working electrode, {working}"


def _rows(run: Run, sign: int) -> Iterator[tuple[Any, ...]]:
    node = run.entry["electrochemistry"]
    steps, last = 0, None
    for start, n in blocks(node["time"]):
        time_s, voltage, current, utc, cycle, step = (
            node[name][start : start + n] for name in ("time", "voltage", "current", "time_utc", "cycle", "step")
        )
        known = np.isfinite(voltage) & np.isfinite(current)
        for row in np.flatnonzero(known).tolist():
            steps, last = (steps, last) if step[row] == last else (steps + 1, step[row])
            yield float(time_s[row]), float(voltage[row]), sign * float(current[row]), int(utc[row]) / 1e9, max(0, int(cycle[row])), steps


def _package(file: str, sign: str) -> dict[str, Any]:
    """A frictionless data package: what each column is, and in what unit."""
    fields = [
        {"name": name, "type": "integer" if name.endswith("/ 1") else "number", "unit": name.rpartition(" / ")[2], "description": text}
        for name, text in COLUMNS.items()
    ]
    resource = {"name": "cell", "path": file, "format": "csv", "encoding": "utf-8", "schema": {"fields": fields}}
    return {"name": "operando-run", "description": f"Sign of the current: {sign}.", "resources": [resource]}
