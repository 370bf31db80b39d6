"""One page about several runs of one cell: one figure on one axis of time, one of areas against charge, one row a run."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.durable import write_durably
from orchestrator.recorder.reader import open_run
from orchestrator.report import words
from orchestrator.report.data import AREA_COLUMNS, CELL_COLUMNS, ELECTRODES, MOST_SHIFTS, cell, write_csv, write_data
from orchestrator.report.distrust import Interval, intervals
from orchestrator.report.facts import Facts, gather
from orchestrator.report.html import Markup, element, joined, section, table
from orchestrator.report.page import BESIDE, UTC, charge_figure, document, figure, interval_table
from orchestrator.report.verdict import Verdict, verdict
from orchestrator.report.words import duration, number
from orchestrator.report.write import PAGE, Written, draw

NS_PER_H = 3.6e12
Floats = NDArray[np.float64]


class NotOneCell(Exception):
    """The runs are of different cells, or less than two."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One run among several. ``offset_h``: from the first run's start to its own; ``before_mAh``: net charge of the runs before it."""

    folder: Path
    facts: Facts
    distrust: Sequence[Interval]
    verdict: Verdict
    offset_h: float
    before_mAh: float

    @property
    def data(self) -> str:
        """Name of the folder with this run's own data."""
        return self.folder.name

    @property
    def net_mAh(self) -> float:
        """Net charge of this run alone."""
        return last_net_mAh(self.facts)


def write_several(folders: Sequence[Path], into: Path) -> Written:
    """Write ``report.html`` and ``report/`` about runs of one cell into a folder. Raises NotOneCell, and what ``open_run`` raises."""
    if len(set(folders)) < 2:
        raise NotOneCell("a report about several runs needs two")
    beside = into / BESIDE
    with ExitStack() as stack:
        opened = [stack.enter_context(open_run(folder)) for folder in folders]
        parts = list(_parts(list(zip(folders, map(gather, opened), strict=True))))
        beside.mkdir(parents=True, exist_ok=True)
        for old in beside.glob("*.csv"):
            old.unlink()
        said = list(dict.fromkeys(text for part in parts for text in _own_data(part, beside)))
        _joined_data(parts, beside)
        has_figure = draw(beside)
        distrust = [shifted for part in parts for shifted in _shifted(part)]
        write_durably(into / PAGE, _page(parts, distrust, beside, said))
    whole = all(part.verdict.complete for part in parts)
    judged = Verdict(whole, _sentence(parts), [])
    return Written(into / PAGE, judged, len(distrust), has_figure)


def _parts(found: list[tuple[Path, Facts]]) -> Iterator[Part]:
    """In order of time."""
    cells = sorted({str(facts.cell.get("id", "?")) for _, facts in found})
    if len(cells) > 1:
        raise NotOneCell(f"these are runs of several cells: {', '.join(cells)}")
    found.sort(key=lambda one: (one[1].start, one[0].name))
    first, before = np.datetime64(found[0][1].start[UTC]), 0.0
    for folder, facts in found:
        offset_h = float((np.datetime64(facts.start[UTC]) - first) / np.timedelta64(1, "ns")) / NS_PER_H
        yield Part(folder, facts, intervals(facts), verdict(facts), offset_h, before)
        passed = last_net_mAh(facts)
        before += passed if math.isfinite(passed) else 0.0


def last_net_mAh(facts: Facts) -> float:
    """Net charge at the last sample that knows it; NaN: none does."""
    net = facts.run.electrochemistry["charge_net"]
    known = net[np.isfinite(net)]
    return float(known[-1]) if known.size else math.nan


# ----------------------------------------------------------------------------------------------------------------- data


def _own_data(part: Part, beside: Path) -> list[str]:
    """The run's own CSV files in a folder of their own; what they leave out."""
    folder = beside / part.data
    folder.mkdir(exist_ok=True)
    return write_data(part.facts, part.distrust, folder)


def _joined_data(parts: Sequence[Part], beside: Path) -> None:
    """The CSV files that the figure is drawn from, out of each run's own."""
    rows = [row for part in parts for row in (*_moved(part, beside, "electrochemistry.csv", ("time_h",)), None)]
    heads = (*CELL_COLUMNS, *(name for name in ELECTRODES.values() if any(row and name in row for row in rows)))
    write_csv(beside / "electrochemistry.csv", heads, (_values(row, heads) for row in rows))
    marked = [row for part in parts for row in _moved(part, beside, "not_to_trust.csv", ("start_h", "end_h"))]
    write_csv(beside / "not_to_trust.csv", ("start_h", "end_h", "what", "why"), (tuple(row.values()) for row in marked))
    write_csv(beside / "areas.csv", AREA_COLUMNS, _areas(parts, beside))
    for name in sorted({path.name for part in parts for path in (beside / part.data).glob("waterfall_*.csv")}):
        _waterfall([(part, beside / part.data / name) for part in parts if (beside / part.data / name).is_file()], beside / name)


def _values(row: Mapping[str, Any] | None, heads: Sequence[str]) -> tuple[Any, ...]:
    """A row; between two runs an empty one, so that no line joins them."""
    return tuple("" if row is None else row.get(name, "") for name in heads)


def _moved(part: Part, beside: Path, file: str, times: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of a run's file, its hours counted from the first run's start."""
    with (beside / part.data / file).open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            yield row | {name: cell(float(row[name]) + part.offset_h) for name in times if row[name]}


def _areas(parts: Sequence[Part], beside: Path) -> Iterator[tuple[Any, ...]]:
    """Charges counted on from run to run; ``relative``: over the largest of its acquisition in all runs."""
    rows = [
        row | ({"charge_mAh": cell(float(row["charge_mAh"]) + part.before_mAh)} if row["charge_mAh"] else {})
        for part in parts
        for row in _moved(part, beside, "areas.csv", ("time_h",))
    ]
    most: dict[str, float] = {}
    for row in rows:
        most[row["acquisition"]] = max(most.get(row["acquisition"], 0.0), abs(float(row["area"] or 0.0)))
    for row in rows:
        scale = most[row["acquisition"]] or 1.0
        pairs = (("relative", "area"), ("relative_error", "error"))
        relative = {name: cell(float(row[of]) / scale) if row[of] else "" for name, of in pairs}
        yield tuple((row | relative)[name] for name in AREA_COLUMNS)


def _waterfall(files: Sequence[tuple[Part, Path]], to: Path) -> None:
    """Spectra of all runs on one axis of shift, which spans all of theirs."""
    read = [(part, *_spectra(path)) for part, path in files]
    axis = np.linspace(min(shift.min() for _, _, shift, _ in read), max(shift.max() for _, _, shift, _ in read), MOST_SHIFTS)
    heads = ("t_start_h", "t_end_h", *(f"{ppm:.4f}" for ppm in axis))
    write_csv(to, heads, (row for part, times, shift, spectra in read for row in _on(axis, part, times, shift, spectra)))


def _spectra(path: Path) -> tuple[Floats, Floats, Floats]:
    """Times (n, 2), shift (m,), intensity (n, m)."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        shift = np.array([float(text) for text in next(reader)[2:]])
        rows = np.array([[float(text or "nan") for text in row] for row in reader]).reshape(-1, shift.size + 2)
    return rows[:, :2], shift, rows[:, 2:]


def _on(axis: Floats, part: Part, times: Floats, shift: Floats, spectra: Floats) -> Iterator[list[Any]]:
    order = np.argsort(shift)
    for when, values in zip(times + part.offset_h, spectra[:, order], strict=True):
        yield [*when.tolist(), *np.interp(axis, shift[order], values, left=np.nan, right=np.nan).tolist()]


def _shifted(part: Part) -> Iterator[Interval]:
    by = part.offset_h * 3600
    yield from (Interval(one.start_s + by, one.end_s + by, f"{part.data}: {one.what}", one.why) for one in part.distrust)


# ----------------------------------------------------------------------------------------------------------------- page


def _sentence(parts: Sequence[Part]) -> str:
    bad = [part.data for part in parts if not part.verdict.complete]
    return f"All {len(parts)} runs are complete." if not bad else f"Of {len(parts)} runs {len(bad)} are not complete: {', '.join(bad)}."


def _page(parts: Sequence[Part], distrust: Sequence[Interval], beside: Path, left_out: Sequence[str]) -> str:
    title = f"{parts[0].facts.cell.get('id', '?')}: {len(parts)} runs"
    complete = all(part.verdict.complete for part in parts)
    heads = ("run", "experiment", "from / h", "took", "spectra", "net charge / mA h", "net so far / mA h", "verdict")
    simulated = any(part.facts.simulated for part in parts)
    body = (
        element("h1", title),
        element("p", f"{parts[0].facts.start[UTC]} UTC is 0 h", cls="under"),
        element("p", "Simulated: nothing of these runs is a measurement, or not all of it.", cls="simulated") if simulated else Markup(""),
        element("p", _sentence(parts), cls=f"verdict{' complete' if complete else ''}"),
        section("Runs", table(heads, map(_row, parts)), element("p", f"Each run has its own report; its own data stand in {BESIDE}/RUN/.")),
        interval_table(distrust, parts[-1].offset_h * 3600 + parts[-1].facts.last_s),
        figure(beside, [*left_out, "Spectra of all runs are laid onto one axis of shift"]),
        section(
            "Areas against charge",
            element("p", "The net charge is counted on from run to run; what passed elsewhere between two of them is not in it."),
            charge_figure(beside),
        ),
        section("How to cite", *(element("p", words.cite(part.facts)) for part in parts)),
    )
    return document(title, joined(part for each in body for part in (each, Markup("\n"))))


def _row(part: Part) -> tuple[Any, ...]:
    facts = part.facts
    charges = number(part.net_mAh), number(part.before_mAh + part.net_mAh)
    return part.data, facts.title, f"{part.offset_h:.3f}", duration(facts.last_s), len(facts.spectra), *charges, part.verdict.sentence
