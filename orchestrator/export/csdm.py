"""CSDM (core scientific dataset model): one ``.csdf`` of JSON an acquisition, its FIDs as raw bytes beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.export.source import Series, series_of, write_text
from orchestrator.recorder.reader import Run

VERSION = "1.0"


def write_csdm(run: Run, folder: Path) -> list[Path]:
    """``<acquisition>.csdf`` and ``<acquisition>_fid.bin``: complex along the middle of each spectrum and the acquisition time."""
    return [path for series in series_of(run) for path in _write(series, folder)]


def _write(series: Series, folder: Path) -> list[Path]:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in series.name)
    raw, head = folder / f"{name}_fid.bin", folder / f"{name}.csdf"
    middles = np.asarray(series.table["t_mid"])
    rows = [row for row in np.argsort(middles, kind="stable").tolist() if np.isfinite(middles[row])]
    stored = series.table["fid"].dtype
    with raw.open("wb") as file:
        for row in rows:
            file.write(np.ascontiguousarray(series.fid(row).astype(stored.newbyteorder("<"))).tobytes())
    times = [float(middles[row]) for row in rows]
    write_text(head, json.dumps({"csdm": _head(series, times, raw.name, stored)}, indent=1) + "\n")
    return [head, raw]


def _head(series: Series, times: list[float], raw: str, stored: np.dtype[Any]) -> dict[str, Any]:
    acquisition = {
        "type": "linear",
        "count": series.points,
        "increment": f"{1.0 / series.spectral_width_Hz!r} s",
        "label": "acquisition time",
        "reciprocal": {"coordinates_offset": f"{-series.spectral_width_Hz / 2!r} Hz", "origin_offset": f"{series.carrier_MHz!r} MHz"},
    }
    spectra: dict[str, Any] = {"type": "monotonic", "coordinates": [f"{time!r} s" for time in times], "label": "middle of the spectrum"}
    if len(times) < 2:
        spectra = {"type": "linear", "count": len(times), "increment": "1 s", "coordinates_offset": f"{times[0] if times else 0.0!r} s"}
    component = {
        "type": "external",
        "components_url": f"file:./{raw}",
        "numeric_type": "complex64" if stored.itemsize == 8 else "complex128",
        "quantity_type": "scalar",
        "name": series.name,
    }
    told = {
        "nucleus": series.nucleus,
        "reference_MHz": series.reference_MHz,
        "group_delay_points": series.group_delay_points,
        "keys": series.table["key"].tolist(),
    }
    return {
        "version": VERSION,
        "description": f"FIDs of {series.name}; a line above the carrier turns forwards",
        "dimensions": [acquisition, spectra],
        "dependent_variables": [component],
        "application": {"operando-nmr": told},
    }
