"""Data of the figures of a run that took images: spectra, images, maps of T2 and their histograms, first and last of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.datasets import group_name
from orchestrator.recorder.reader import Columns, Run
from orchestrator.report.data import of_interest, write_csv

Floats = NDArray[np.float64]
DETERMINED = 2
INDEX = ("file", "kind", "acquisition", "which", "at_h", "TE_ms", "unit")


def write_pictures(run: Run, folder: Path) -> bool:
    """Write ``pictures.csv``, and a file for each picture that it names; False where the run took no image."""
    groups = {kind: _tables(run, kind) for kind in ("images", "maps")}
    if not any(groups.values()):
        return False
    rows = [row for name, table in groups["images"].items() for row in _images(name, table, folder)]
    rows += [row for name, table in groups["maps"].items() for row in _maps(name, table, folder)]
    rows += [row for name, table in sorted(run.spectra.items()) for row in _spectra(name, table, folder)]
    write_csv(folder / "pictures.csv", INDEX, rows)
    return True


def _tables(run: Run, kind: str) -> dict[str, Columns]:
    node = run.entry.get(kind)
    found = {} if node is None else {name: Columns(node[name]) for name in sorted(node)}
    return {name: table for name, table in found.items() if len(table["time"])}


def _ends(count: int) -> Iterator[tuple[str, int]]:
    """First and last; one of one alone."""
    yield "first", 0
    if count > 1:
        yield "last", count - 1


def _images(name: str, table: Columns, folder: Path) -> Iterator[Sequence[Any]]:
    """Of each acquisition's first image (the shortest echo time of a series): of the first series and of the last."""
    keys = [str(key) for key in table["key"]]
    begins = [n for n, key in enumerate(keys) if key not in keys[:n]]
    echo_ms = table["TE"] if "TE" in table else np.full(len(keys), np.nan)
    for which, at in _ends(len(begins)):
        n = begins[at]
        file = f"image_{group_name(name)}_{which}.csv"
        _write_picture(folder / file, table["y"], table["z"], table["magnitude"][n])
        yield file, "image", name, which, float(table["time"][n]) / 3600.0, float(echo_ms[n]), "counts"


def _maps(name: str, table: Columns, folder: Path) -> Iterator[Sequence[Any]]:
    for which, n in _ends(len(table["time"])):
        at_h, stem = float(table["time"][n]) / 3600.0, f"{group_name(name)}_{which}.csv"
        shown = np.where(table["mask"][n] == DETERMINED, table["T2"][n], np.nan)
        _write_picture(folder / f"map_{stem}", table["y"], table["z"], shown)
        yield f"map_{stem}", "map", name, which, at_h, "", "ms"
        _write_picture(folder / f"cluster_{stem}", table["y"], table["z"], table["cluster"][n])
        yield f"cluster_{stem}", "cluster", name, which, at_h, "", ""
        own, _ = np.histogram(shown[(table["cluster"][n] == 1) & np.isfinite(shown)], _edges(table["bin"]))
        counted = zip(table["bin"], table["histogram"][n], own, strict=True)
        write_csv(folder / f"histogram_{stem}", ("T2_ms", "pixels", "of_them_cluster"), counted)
        yield f"histogram_{stem}", "histogram", name, which, at_h, "", "ms"


def _edges(middles: Floats) -> Floats:
    """float64 (n + 1,)."""
    half = 0.5 * float(middles[1] - middles[0])
    return np.append(middles - half, middles[-1] + half)


def _spectra(name: str, table: Columns, folder: Path) -> Iterator[Sequence[Any]]:
    """The first spectrum of an acquisition and its last, in one file each: from their first line to their last, with a margin.

    The last is turned into the first one's phase: run.h5 keeps the phase of the first for all, and the console's wanders in a night.
    """
    ends = {which: np.asarray(table.part("intensity", n), dtype=np.float64) for which, n in _ends(len(table["t_start"]))}
    if "last" in ends:
        ends["last"] = _turned(ends["last"], ends["first"])
    drawn = of_interest(np.stack(list(ends.values()))) if ends else slice(0)
    for which, n in _ends(len(table["t_start"])):
        file = f"spectrum_{group_name(name)}_{which}.csv"
        heads = ("shift_ppm", "intensity")
        write_csv(folder / file, heads, zip(table["chemical_shift"][drawn], ends[which][drawn], strict=True))
        yield file, "spectrum", name, which, float(table["t_start"][n]) / 3600.0, "", "counts"


def _turned(real: Floats, reference: Floats) -> Floats:
    """float64 (n,): the real part of a spectrum in the phase of another; imaginary parts follow from a FID's causality."""
    from scipy.signal import hilbert

    mine, other = (np.asarray(hilbert(np.nan_to_num(each)), dtype=np.complex128) for each in (real, reference))
    product = complex(np.vdot(other, mine))
    return np.asarray((mine * product.conjugate() / abs(product)).real if product else real, dtype=np.float64)


def _write_picture(path: Path, y_mm: Floats, z_mm: Floats, values: NDArray[Any]) -> None:
    """A table: z along the first row, y along the first column, in mm; empty where nothing is known."""
    rows = ([y, *row] for y, row in zip(y_mm.tolist(), np.asarray(values, dtype=np.float64).tolist(), strict=True))
    write_csv(path, ("y_mm over z_mm", *(f"{z:.6g}" for z in z_mm)), rows)
