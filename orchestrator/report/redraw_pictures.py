"""Draws spectra, images and maps of T2 of a run from the CSV files beside it, and from nothing else: ``python redraw_pictures.py [FOLDER]``.

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
LONGEST_ms = 20.0
WHEN = ("first", "last")
COLOURS = {"first": "0.35", "last": "C3"}
Row = dict[str, str]
Floats = NDArray[np.float64]


def rows(path: Path) -> list[Row]:
    """A CSV file, a dictionary a row; none where it is not there."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def picture(path: Path) -> tuple[Floats, Floats, Floats]:
    """float64 y (n,), z (m,) in mm, and values (n, m)."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        z_mm = np.array([float(cell) for cell in next(reader)[1:]])
        table = np.array([[float(cell or "nan") for cell in row] for row in reader])
    return table[:, 0], z_mm, table[:, 1:]


def of(index: list[Row], kind: str) -> dict[str, dict[str, Row]]:
    """Rows of one kind, by acquisition and by which."""
    found: dict[str, dict[str, Row]] = {}
    for row in index:
        if row["kind"] == kind:
            found.setdefault(row["acquisition"], {})[row["which"]] = row
    return found


def told(row: Row) -> str:
    """``ge at 31.5 h, TE 0.3 ms``."""
    echo = f", TE {float(row['TE_ms']):g} ms" if row["TE_ms"] else ""
    return f"{row['acquisition']} at {float(row['at_h']):.1f} h{echo}"


def grid(count: int, height_inch: float) -> tuple[Figure, list[list[Any]]]:
    """A figure of ``count`` rows, first and last beside each other."""
    figure = Figure(figsize=(WIDTH_inch, height_inch * count), layout="constrained")
    return figure, figure.subplots(count, 2, squeeze=False).tolist()


def draw_spectra(index: list[Row], folder: Path) -> Figure | None:
    """First and last spectrum of each acquisition, one over the other."""
    found = of(index, "spectrum")
    if not found:
        return None
    figure = Figure(figsize=(WIDTH_inch, 1.9 * len(found)), layout="constrained")
    for axes, shown in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found.values(), strict=True):
        for which, row in shown.items():
            table = rows(folder / row["file"])
            shift, intensity = (np.array([float(each[name] or "nan") for each in table]) for name in ("shift_ppm", "intensity"))
            axes.plot(shift, intensity, lw=0.8, color=COLOURS[which], ls="-" if which == "first" else "--", label=f"{which}: {told(row)}")
        axes.invert_xaxis()
        axes.set_xlabel("shift / ppm")
        axes.set_ylabel("intensity / counts")
        axes.legend(fontsize=6)
    return figure


def draw_images(index: list[Row], folder: Path) -> Figure | None:
    """First and last image of each acquisition, on one scale."""
    found = of(index, "image")
    if not found:
        return None
    figure, panels = grid(len(found), 2.2)
    for pair, shown in zip(panels, found.values(), strict=True):
        most = max(float(np.nanmax(picture(folder / row["file"])[2])) for row in shown.values())
        for axes, which in zip(pair, WHEN, strict=True):
            drawn = show(axes, folder, shown.get(which), cmap="magma", vmin=0.0, vmax=most)
            if drawn is not None:
                figure.colorbar(drawn, ax=axes, shrink=0.8, label="magnitude / counts")
    return figure


def draw_maps(index: list[Row], folder: Path) -> Figure | None:
    """Maps of T2 with the isolated cluster outlined, and under each its histogram."""
    maps, clusters, histograms = (of(index, kind) for kind in ("map", "cluster", "histogram"))
    if not maps:
        return None
    figure, panels = grid(2 * len(maps), 2.1)
    for n, (name, shown) in enumerate(maps.items()):
        for column, which in enumerate(WHEN):
            above, below = panels[2 * n][column], panels[2 * n + 1][column]
            drawn = show(above, folder, shown.get(which), cmap="viridis", vmin=0.0, vmax=LONGEST_ms)
            if drawn is None:
                below.set_axis_off()
                continue
            figure.colorbar(drawn, ax=above, shrink=0.8, label="T2 / ms")
            outline(above, folder / clusters[name][which]["file"])
            bars(below, rows(folder / histograms[name][which]["file"]))
    return figure


def show(axes: Any, folder: Path, row: Row | None, **style: Any) -> Any:
    """A picture with its axes; nothing where there is none."""
    if row is None:
        axes.set_axis_off()
        return None
    y_mm, z_mm, values = picture(folder / row["file"])
    drawn = axes.pcolormesh(z_mm, y_mm, np.ma.masked_invalid(values), shading="nearest", rasterized=True, **style)
    axes.set_title(f"{row['which']}: {told(row)}", fontsize=7)
    axes.set_xlabel("along read (through the stack) / mm")
    axes.set_ylabel("along phase / mm")
    return drawn


def outline(axes: Any, path: Path) -> None:
    """A ring around the isolated cluster, where there is one."""
    y_mm, z_mm, inside = picture(path)
    if inside.max() > 0:
        at = np.argwhere(inside > 0)
        axes.plot(z_mm[at[:, 1]].mean(), y_mm[at[:, 0]].mean(), "o", ms=14, mfc="none", mec="C3", mew=1.2)


def bars(axes: Any, table: list[Row]) -> None:
    """Pixels by T2; those of the cluster in another colour."""
    T2_ms, pixels, cluster = (np.array([float(row[name]) for row in table]) for name in ("T2_ms", "pixels", "of_them_cluster"))
    width_ms = float(T2_ms[1] - T2_ms[0])
    axes.bar(T2_ms, pixels - cluster, width_ms, color="0.5", label="electrodes")
    if cluster.any():
        axes.bar(T2_ms, cluster, width_ms, bottom=pixels - cluster, color="C3", label="isolated cluster")
    axes.set_xlim(0.0, float(np.max(T2_ms[pixels > 0], initial=LONGEST_ms)) + 2.0)
    axes.set_xlabel("T2 of a pixel / ms")
    axes.set_ylabel("pixels")
    axes.legend(fontsize=6)


FIGURES = {"figure_spectra": draw_spectra, "figure_images": draw_images, "figure_T2": draw_maps}


def redraw(folder: Path) -> None:
    """Draw everything that ``pictures.csv`` names; the same data make the same bytes."""
    index = rows(folder / "pictures.csv")
    with mpl.rc_context(STYLE):
        for name, drawn in FIGURES.items():
            if (figure := drawn(index, folder)) is not None:
                for kind in FORMATS:
                    figure.savefig(folder / f"{name}.{kind}", dpi=DPI, metadata=UNDATED[kind])


if __name__ == "__main__":
    redraw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
