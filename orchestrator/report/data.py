"""The figure's data as CSV files, small enough to draw and honest about what was left out."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.datasets import group_name
from orchestrator.report.distrust import Interval
from orchestrator.report.facts import Facts, Spectrum

MOST_SPECTRA, MOST_SHIFTS, MOST_SAMPLES = 500, 400, 3000
LINE = 6.0
"""So many times the median of the largest intensities is a line: it decides what part of the spectrum is drawn."""
MARGIN = 0.2
Floats = NDArray[np.float64]


def write_data(facts: Facts, distrust: Sequence[Interval], folder: Path) -> list[str]:
    """Write all files; returns sentences about what they leave out."""
    for old in folder.glob("*.csv"):
        old.unlink()
    said = [text for name in sorted(facts.run.spectra) for text in _waterfall(facts, name, folder)]
    said += _electrochemistry(facts, folder)
    write_csv(folder / "areas.csv", AREA_COLUMNS, _areas(facts))
    write_csv(folder / "not_to_trust.csv", ("start_h", "end_h", "what", "why"), (_marked(one) for one in distrust))
    return said


def write_csv(path: Path, head: Sequence[str], table: Iterable[Sequence[Any]]) -> None:
    """UTF-8, a comma between, empty cells for what is not known."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([cell(value) for value in row] for row in table)


def cell(value: Any) -> Any:
    """A number short and exact enough; empty where it is not finite."""
    if isinstance(value, float | np.floating):
        return f"{value:.7g}" if math.isfinite(value) else ""
    return value


def _marked(one: Interval) -> tuple[Any, ...]:
    return one.start_s / 3600, one.end_s / 3600, one.what, one.why


# ------------------------------------------------------------------------------------------------------------ waterfall


def _waterfall(facts: Facts, name: str, folder: Path) -> Iterator[str]:
    table = facts.run.spectra[name]
    n = len(table["t_start"])
    if not n:
        return
    every = math.ceil(n / MOST_SPECTRA)
    start, end = table["t_start"], table["t_end"]
    groups = [slice(first, min(first + every, n)) for first in range(0, n, every)]
    meant = np.array([_mean(table.part("intensity", group)) for group in groups])
    shift = table["chemical_shift"]
    drawn = of_interest(meant)
    shifts, shown = _binned(shift[drawn], meant[:, drawn])
    heads = ("t_start_h", "t_end_h", *(f"{ppm:.4f}" for ppm in shifts))
    write_csv(
        folder / f"waterfall_{group_name(name)}.csv",
        heads,
        (
            [_first(start[g]) / 3600, _last(end[g]) / 3600, *(f"{value:.5g}" if math.isfinite(value) else "" for value in row)]
            for g, row in zip(groups, shown.tolist(), strict=True)
        ),
    )
    if every > 1:
        yield f"{name}: each stripe is the mean of {every} spectra in a row, of {n}"
    if shown.shape[1] < drawn.stop - drawn.start:
        yield f"{name}: of each {(drawn.stop - drawn.start) / shown.shape[1]:.0f} points the one with the largest magnitude is drawn"


def _mean(spectra: NDArray[Any]) -> NDArray[np.float64]:
    """float64 (points,): of (n, points)."""
    mean: Floats = np.asarray(spectra, dtype=np.float64).mean(axis=0)
    return mean


def _first(values: NDArray[Any]) -> float:
    return float(values[0])


def _last(values: NDArray[Any]) -> float:
    return float(values[-1])


def of_interest(spectra: Floats) -> slice:
    """The points between the first line and the last, with a margin; all where no line stands out."""
    most = np.nan_to_num(np.abs(spectra)).max(axis=0)
    lines = np.flatnonzero(most > LINE * np.median(most))
    if not lines.size:
        return slice(0, most.size)
    margin = max(20, int(MARGIN * (lines[-1] - lines[0])))
    return slice(max(0, int(lines[0]) - margin), min(most.size, int(lines[-1]) + margin + 1))


def _binned(shift: Floats, spectra: Floats) -> tuple[Floats, Floats]:
    """Shift (m,) and spectra (n, m) with m at most MOST_SHIFTS: of each bin the value of largest magnitude, so no line is lost."""
    width = math.ceil(shift.size / MOST_SHIFTS)
    if width <= 1:
        return shift, spectra
    whole = shift.size // width * width
    bins = np.nan_to_num(spectra[:, :whole]).reshape(len(spectra), -1, width)
    at = np.abs(bins).argmax(axis=2)
    return shift[:whole].reshape(-1, width).mean(axis=1), np.take_along_axis(bins, at[..., None], axis=2)[..., 0]


# ------------------------------------------------------------------------------------------------------ electrochemistry

CELL_COLUMNS = ("time_h", "voltage_V", "current_mA")
ELECTRODES = {"voltage_we": "voltage_we_V", "voltage_ce": "voltage_ce_V"}
"""Columns of ``run.h5`` against the reference, where measured, and what they are called here."""


def _electrochemistry(facts: Facts, folder: Path) -> Iterator[str]:
    table = facts.run.electrochemistry
    time_s, voltage, current = table["time"], table["voltage"], table["current"]
    kept = _kept(voltage, current)
    measured = [name for name in ELECTRODES if name in table]
    columns = (time_s[kept] / 3600, voltage[kept], current[kept] * 1e3, *(table[name][kept] for name in measured))
    heads = (*CELL_COLUMNS, *(ELECTRODES[name] for name in measured))
    write_csv(folder / "electrochemistry.csv", heads, zip(*columns, strict=True))
    if kept.size < time_s.size:
        yield f"electrochemistry: of {time_s.size} samples {kept.size} are drawn, extremes of voltage and current among them"


def _kept(*columns: Floats) -> NDArray[np.int64]:
    """int64 (m,): the rows to draw: of each stretch its first sample and where each column is least and most."""
    n = columns[0].size
    if n <= MOST_SAMPLES:
        return np.arange(n)
    each = math.ceil(n / (MOST_SAMPLES // (1 + 2 * len(columns))))
    starts = np.arange(0, n, each)
    found = [starts, np.array([n - 1])]
    for column in columns:
        padded = np.append(column, np.full(starts.size * each - n, np.nan)).reshape(-1, each)
        found.append(starts + np.where(np.isnan(padded), np.inf, padded).argmin(axis=1))
        found.append(starts + np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1))
        blank = np.flatnonzero(np.isnan(column))
        found.append(blank[:MOST_SAMPLES])
    return np.unique(np.concatenate(found))


# ---------------------------------------------------------------------------------------------------------------- areas

AREA_COLUMNS = ("time_h", "charge_mAh", "acquisition", "spectrum", "name", "area", "error", "relative", "relative_error")


def _areas(facts: Facts) -> Iterator[tuple[Any, ...]]:
    """One row an area; ``relative``: over the largest of its acquisition, since acquisitions saturate lines differently."""
    scale = _scales(facts.spectra, facts.area_names)
    for spectrum in facts.spectra:
        for name in facts.area_names:
            if name in spectrum.areas:
                area, most = spectrum.areas[name], scale[spectrum.acquisition]
                yield (
                    *(spectrum.middle_s / 3600, spectrum.charge_mAh, spectrum.acquisition, spectrum.key, name, area.value, area.error),
                    *(area.value / most, area.error / most),
                )


def _scales(spectra: Iterable[Spectrum], names: Sequence[str]) -> dict[str, float]:
    most: dict[str, float] = {}
    for spectrum in spectra:
        for name in names:
            if name in spectrum.areas and math.isfinite(spectrum.areas[name].value):
                most[spectrum.acquisition] = max(most.get(spectrum.acquisition, 0.0), abs(spectrum.areas[name].value))
    return {spectrum.acquisition: most.get(spectrum.acquisition) or 1.0 for spectrum in spectra}
