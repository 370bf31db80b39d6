"""What exporters take out of an open run: each FID with what is needed to read it, in the order in which it was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.layout import UNKNOWN_NS
from orchestrator.recorder.reader import Run

Fids = NDArray[np.complexfloating[Any, Any]]
EXACT_INT32 = 2**31


class CannotExport(Exception):
    """The run cannot be written in this format; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """All FIDs of one acquisition: what they have in common. ``reversed_axis``: frequency = carrier - f of the plain transform."""

    name: str
    nucleus: str
    points: int
    spectral_width_Hz: float
    carrier_MHz: float
    reference_MHz: float
    group_delay_points: float
    reversed_axis: bool
    gain: float
    table: Any
    shown: Any | None

    def fid(self, row: int) -> Fids:
        """Complex (points,): turned so that a line above the carrier turns forwards, whatever the console's convention."""
        stored: Fids = self.table.part("fid", row)
        return stored.conj() if self.reversed_axis else stored


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """One FID: ``number`` counts from 1 through the whole run, in order of time."""

    number: int
    series: Series
    row: int
    key: str
    start_s: float
    end_s: float
    start_utc_ns: int
    scans: int
    charge_start_mAh: float
    charge_end_mAh: float
    voltage_start_V: float
    voltage_end_V: float
    state: str
    flags: str

    @property
    def start_utc_s(self) -> int:
        """Whole seconds since 1970; 0 where it is not known."""
        return 0 if self.start_utc_ns == UNKNOWN_NS else self.start_utc_ns // 1_000_000_000

    @property
    def fid(self) -> Fids:
        """Complex (points,): see ``Series.fid``."""
        return self.series.fid(self.row)


COLUMNS = (
    *("key", "t_start", "t_end", "t_start_utc", "scans_done", "charge_start", "charge_end", "voltage_start", "voltage_end", "state"),
    "flags",
)


def series_of(run: Run) -> list[Series]:
    """Every acquisition's FIDs, by name."""
    spectra = run.spectra
    return [_series(run, name, spectra.get(name)) for name in run.fid]


def _series(run: Run, name: str, shown: Any | None) -> Series:
    node = run.entry[f"fid/{name}"]
    about: Mapping[str, Any] = node["fid"].attrs
    return Series(
        name=name,
        nucleus=str(node.attrs["nucleus"]),
        points=int(node["fid"].shape[1]),
        spectral_width_Hz=float(about["spectral_width_Hz"]),
        carrier_MHz=float(about["carrier_MHz"]),
        reference_MHz=float(about["reference_MHz"]),
        group_delay_points=float(about.get("group_delay_points", 0.0)),
        reversed_axis=bool(about.get("reversed_axis", 0)),
        gain=float(about.get("gain", math.nan)),
        table=run.fid[name],
        shown=shown,
    )


def fids(run: Run) -> Iterator[One]:
    """Every FID in order of time."""
    rows = [(series, row, values) for series in series_of(run) for row, values in enumerate(_values(series))]
    rows.sort(key=lambda each: (each[2][1] if math.isfinite(each[2][1]) else math.inf, each[2][0]))
    for number, (series, row, (key, start, end, utc, scans, *rest)) in enumerate(rows, 1):
        yield One(number, series, row, key, start, end, utc, scans, *rest)


def _values(series: Series) -> Iterator[tuple[Any, ...]]:
    return zip(*(series.table[column].tolist() for column in COLUMNS), strict=True)


def as_integers(fid: Fids) -> NDArray[np.int32] | None:
    """int32 (2 × points,): real and imaginary in turn, where every value is such a number; else None."""
    parts = np.ascontiguousarray(fid).view(fid.real.dtype)
    if np.isfinite(parts).all() and (np.abs(parts) < EXACT_INT32).all() and (parts == np.rint(parts)).all():
        return parts.astype(np.int32)
    return None


def write_text(path: Path, text: str) -> None:
    """UTF-8, and newlines as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def file_name(run: Run) -> str:
    """The experiment's name, as a file may be called."""
    raw = run.entry["title"][()]
    title = raw.decode() if isinstance(raw, bytes) else str(raw)
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in title) or "run"
