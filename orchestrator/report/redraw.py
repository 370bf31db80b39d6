"""Draws the figure of a run from the CSV files beside it, and from nothing else: ``python redraw.py [FOLDER]``.

Needs Python 3.11, numpy and matplotlib. Change it to taste: it is a copy that belongs to the run.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

STYLE: Any = {"svg.hashsalt": "operando", "svg.fonttype": "none", "font.size": 8, "axes.linewidth": 0.6, "legend.frameon": False}
WIDTH_inch, DPI = 7.2, 200
FORMATS = ("png", "svg", "pdf")
UNDATED: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
MARKS = "osD^v<>P"
CURVES = ("voltage_V", "current_mA")
ELECTRODES = {"voltage_we_V": ("E_we", "C0"), "voltage_ce_V": ("E_ce", "C3")}
LEGEND_COLUMNS = 4
LEAST_SPAN = 0.02
LONGER, USUAL_percent, NOTHING_h = 1.25, 80.0, 1e-9
Floats = NDArray[np.float64]


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file, a dictionary a row; none where it is not there."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(table: list[dict[str, str]], name: str) -> Floats:
    """float64 (n,): a column; NaN where a cell is empty."""
    return np.array([float(row[name] or "nan") for row in table])


def waterfall(path: Path) -> tuple[Floats, Floats, Floats, Floats]:
    """Start and end (n,) in h, shift (m,) in ppm, intensity (n, m)."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        shift = np.array([float(cell) for cell in next(reader)[2:]])
        table = np.array([[float(cell or "nan") for cell in row] for row in reader]).reshape(-1, shift.size + 2)
    return table[:, 0], table[:, 1], shift, table[:, 2:]


def edges(centres: Floats) -> Floats:
    """float64 (n + 1,): half way between neighbours."""
    if centres.size < 2:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def widths(start: Floats, end: Floats) -> Floats:
    """float64 (n,): until when each spectrum is drawn: to the next, unless that is unusually far away, at least to its own end.

    The last one to its own end: after it nothing was measured.
    """
    if start.size < 2:
        return end
    following = np.append(start[1:], end[-1])
    usual = float(np.percentile(np.diff(start), USUAL_percent))
    until: Floats = np.maximum(np.minimum(following, start + LONGER * usual), np.minimum(end, following))
    return until


def draw_waterfall(axes: Any, path: Path) -> None:
    """Each spectrum from its start until the next begins; where one is missing the paper stays white."""
    start, end, shift, intensity = waterfall(path)
    order = np.argsort(start)
    order = order[np.isfinite(start[order]) & np.isfinite(end[order])]
    start, end, intensity = start[order], end[order], intensity[order]
    bounds: list[float] = []
    shown: list[Floats] = []
    for first, until, values in zip(start, widths(start, end), intensity, strict=True):
        if not bounds:
            bounds.append(first)
        elif first > bounds[-1] + NOTHING_h:
            shown.append(np.full(shift.size, np.nan))
            bounds.append(first)
        shown.append(values)
        bounds.append(max(until, bounds[-1] + NOTHING_h))
    if shown:
        picture = np.ma.masked_invalid(np.clip(np.array(shown).T, 0, None))
        most = float(np.nanpercentile(picture.filled(np.nan), 99.7)) or 1.0
        axes.pcolorfast(np.array(bounds), edges(shift), picture, cmap="magma_r", vmin=0.0, vmax=most)
    axes.set_ylim(shift.max(), shift.min())
    axes.set_ylabel(f"{path.stem.removeprefix('waterfall_')}\nshift / ppm")


def draw_areas(axes: Any, table: list[dict[str, str]], along: str) -> None:
    """Every area with its standard error, one mark an acquisition, one colour a name."""
    names, acquisitions = (sorted({row[key] for row in table}) for key in ("name", "acquisition"))
    for n, name in enumerate(names):
        for k, acquisition in enumerate(acquisitions):
            mine = [row for row in table if row["name"] == name and row["acquisition"] == acquisition]
            if mine:
                x, y, error = (column(mine, key) for key in (along, "relative", "relative_error"))
                label = f"{name}, {acquisition}"
                style = {"fmt": MARKS[k % len(MARKS)], "ms": 2.5, "lw": 0.7, "color": f"C{n}", "mfc": "none" if k else f"C{n}"}
                axes.errorbar(x, y, np.where(np.isfinite(error), error, 0.0), label=label, **style)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=max(1.05, axes.get_ylim()[1]))
    axes.set_ylabel("area / its\nacquisition's most")
    axes.figure.legend(fontsize=6, ncols=LEGEND_COLUMNS, loc="lower center")


def legend_inch(table: list[dict[str, str]]) -> float:
    """Height that the legend of the areas takes."""
    return 0.14 * -(-len({(row["name"], row["acquisition"]) for row in table}) // LEGEND_COLUMNS)


def margins(figure: Figure, below_inch: float) -> None:
    """The same room for labels in every figure, in inches."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=0.9 / width, right=1 - 0.1 / width, top=1 - 0.08 / height, bottom=(0.42 + below_inch) / height, hspace=0.1)
    for axes in figure.axes:
        axes.yaxis.set_label_coords(-0.5 / (width - 1.0), 0.5)
        axes.tick_params(width=0.6, length=2.5)


def shade(axes: Any, marked: list[dict[str, str]]) -> None:
    """The intervals not to be trusted, all of them one shape: a night may have hundreds."""
    spans_h = [(float(row["start_h"]), float(row["end_h"]) - float(row["start_h"])) for row in marked]
    axes.broken_barh(spans_h, (0.0, 1.0), transform=axes.get_xaxis_transform(), color="0.6", alpha=0.35, lw=0)


def span_h(path: Path) -> tuple[float, float]:
    """When the first spectrum of a waterfall began and the last one ended."""
    _, *lines = path.read_text("utf-8").splitlines()
    return float(lines[0].split(",", 2)[0]), float(lines[-1].split(",", 2)[1])


def series(maps: list[Path]) -> list[Path]:
    """Those that go through the night; spectra of a preparation alone are a line too thin to see, and keep their file only."""
    spans_h = [span_h(path) for path in maps]
    whole_h = max((end for _, end in spans_h), default=0.0) - min((start for start, _ in spans_h), default=0.0)
    return [path for path, (start, end) in zip(maps, spans_h, strict=True) if end - start >= LEAST_SPAN * whole_h] or maps


def draw_electrodes(axes: Any, cell: list[dict[str, str]]) -> None:
    """E_we and E_ce against the reference beside E, where they were measured."""
    measured = [name for name in ELECTRODES if name in cell[0]]
    for name in measured:
        axes.plot(column(cell, "time_h"), column(cell, name), lw=0.8, color=ELECTRODES[name][1], label=ELECTRODES[name][0])
    if measured:
        axes.lines[0].set_label("E")
        axes.legend(loc="best", ncols=3)


def along_time(folder: Path) -> Figure:
    """Waterfall, E, I, areas on one time axis."""
    maps = series(sorted(folder.glob("waterfall_*.csv")))
    cell, areas, marked = (rows(folder / f"{name}.csv") for name in ("electrochemistry", "areas", "not_to_trust"))
    heights = [*(2.0 for _ in maps), *((1.0, 0.7) if cell else ()), *((1.2,) if areas or not (maps or cell) else ())]
    figure = Figure(figsize=(WIDTH_inch, 1.1 * sum(heights) + 0.5 + legend_inch(areas)))
    panels = list(np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)))
    for axes, path in zip(panels, maps, strict=False):
        draw_waterfall(axes, path)
    for axes, name, label in zip(panels[len(maps) :], CURVES, ("E / V", "I / mA"), strict=False):
        if cell:
            axes.plot(column(cell, "time_h"), column(cell, name), lw=0.8, color="k")
            axes.set_ylabel(label)
            shade(axes, marked)
            if name == "voltage_V":
                draw_electrodes(axes, cell)
    if areas:
        draw_areas(panels[-1], areas, "time_h")
        shade(panels[-1], marked)
    for axes in panels:
        axes.margins(x=0)
    panels[-1].set_xlabel("time since the start of the run / h")
    margins(figure, legend_inch(areas))
    return figure


def along_charge(folder: Path) -> Figure | None:
    """Areas against net charge; None where there are none."""
    areas = [row for row in rows(folder / "areas.csv") if row["charge_mAh"]]
    if not areas:
        return None
    figure = Figure(figsize=(WIDTH_inch, 2.4 + legend_inch(areas)))
    axes = figure.subplots()
    draw_areas(axes, areas, "charge_mAh")
    axes.set_xlabel("net charge / mA h (positive: oxidation at the working electrode)")
    margins(figure, legend_inch(areas))
    return figure


def save(figure: Figure, folder: Path, name: str) -> None:
    """PNG, SVG and PDF; the same data make the same bytes."""
    for kind in FORMATS:
        figure.savefig(folder / f"{name}.{kind}", dpi=DPI, metadata=UNDATED[kind])


def redraw(folder: Path) -> None:
    """Draw everything that the folder's CSV files hold."""
    with mpl.rc_context(STYLE):
        save(along_time(folder), folder, "figure")
        if (figure := along_charge(folder)) is not None:
            save(figure, folder, "areas_against_charge")


if __name__ == "__main__":
    redraw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
