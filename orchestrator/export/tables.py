"""Plain CSV: electrochemistry, one row per spectrum, and the spectra of each acquisition as a matrix."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.export.source import fids
from orchestrator.recorder.reader import Run
from orchestrator.recorder.rowio import blocks

SPECTRUM_HEADS = (
    *("number", "key", "acquisition", "nucleus", "row", "start_s", "end_s", "start_unix_s", "scans"),
    *("charge_start_mAh", "charge_end_mAh", "voltage_start_V", "voltage_end_V", "state", "flags"),
)


def write_rows(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """UTF-8 with commas; a number that is not known is an empty cell; others are written so that they read back the same."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([_cell(value) for value in row] for row in rows)
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return value


def write_spectrum_table(run: Run, path: Path) -> Path:
    """One row per FID, numbered in order of time: what other formats have no place for, the start on the cell's own clock first of all."""
    return write_rows(path, SPECTRUM_HEADS, (_row(one) for one in fids(run)))


def _row(one: Any) -> tuple[Any, ...]:
    start = one.start_utc_ns / 1e9 if one.start_utc_s else math.nan
    head = (one.number, one.key, one.series.name, one.series.nucleus, one.row, one.start_s, one.end_s, start, one.scans)
    return (*head, one.charge_start_mAh, one.charge_end_mAh, one.voltage_start_V, one.voltage_end_V, one.state, one.flags)


def write_csv(run: Run, folder: Path) -> list[Path]:
    """``electrochemistry.csv``, ``spectra.csv`` and ``spectra_<acquisition>.csv`` (first column ppm, then a column each)."""
    written = [_electrochemistry(run, folder / "electrochemistry.csv"), write_spectrum_table(run, folder / "spectra.csv")]
    for name, table in run.spectra.items():
        heads = ["chemical_shift_ppm", *table["key"].tolist()]
        shift, intensity = table["chemical_shift"], table["intensity"].T
        rows = ([float(ppm), *map(float, values)] for ppm, values in zip(shift, intensity, strict=True))
        written.append(write_rows(folder / f"spectra_{name}.csv", heads, rows))
    return written


def _electrochemistry(run: Run, path: Path) -> Path:
    node = run.entry["electrochemistry"]
    names = [name for name in run.electrochemistry if node[name].ndim == 1]
    units = {name: str(node[name].attrs.get("units", "")) for name in names}
    heads = [f"{name} / {units[name]}" if units[name] and "since" not in units[name] else name for name in names]
    rows = (
        row for start, n in blocks(node["time"]) for row in zip(*(node[name][start : start + n].tolist() for name in names), strict=True)
    )
    return write_rows(path, heads, rows)
