"""The spectra of a run as a table: one row each, as CSV.

Which columns there are is known when the last spectrum was seen. So the rows wait in a file beside the table, not in memory.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drivers.durable import replace_durably
from orchestrator.recorder.reprocess import CONTEXT, Row, Source, Windows, rows

HEAD = ("key", "acquisition", "nucleus", "stored_utc", "step", *CONTEXT)

Kept = tuple[list[str], dict[str, tuple[str, str]], str]
"""What stands at a row's head, its observables with their errors by name, its flags; numbers as they are written."""


def export_observables(folder: Path, path: Path, windows: Windows | None = None) -> Source:
    """One row per spectrum as CSV: times, charges, voltage, then every observable and its error. Raises Refused, OSError.

    Columns are named with their units; a cell is empty where nothing was found.
    """
    source, units = Source(), dict[str, str]()
    waiting, part = (path.with_name(f"{path.name}.{word}") for word in ("rows", "part"))
    try:
        with waiting.open("w", encoding="utf-8") as file:
            for row in rows(folder, windows, source):
                units |= {name: unit for name, (_, _, unit) in row.values.items()}
                file.write(json.dumps(_kept(row)) + "\n")
        names = sorted(units, key=_order)
        with waiting.open(encoding="utf-8") as kept, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*HEAD, *(label for name in names for label in _labels(name, units[name])), "flags"])
            writer.writerows(_cells(json.loads(line), names) for line in kept)
        replace_durably(part, path)
    finally:
        for file_ in (waiting, part):
            file_.unlink(missing_ok=True)
    return source


def _order(name: str) -> tuple[str, int]:
    """Observables of one line stand together."""
    base, _, line = name.partition("(")
    corrected = ("corrected_area", "corrected_area_least", "corrected_area_most")
    rank = ("area", *corrected, "phase", "shift", "width", "window_area", "upper_limit", "slope", "line_snr")
    return line, rank.index(base) if base in rank else len(rank)


def _labels(name: str, unit: str) -> Iterable[str]:
    label = f"{name} / {unit}" if unit else name
    return label, f"{label} error"


def _kept(row: Row) -> Kept:
    stored = datetime.fromtimestamp(row.start_utc_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    head = [row.key, row.text("acquisition"), row.text("nucleus"), stored, row.text("step_key")]
    values = {name: (_written(value), _written(error)) for name, (value, error, _) in row.values.items()}
    return [*head, *(_written(row.number(name)) for name in CONTEXT)], values, ",".join(row.flags)


def _written(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.9g}"


def _cells(kept: Kept, names: Sequence[str]) -> Iterator[str]:
    head, values, flags = kept
    yield from head
    for name in names:
        yield from values.get(name, ("", ""))
    yield flags
