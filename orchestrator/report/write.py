"""Writes a run's report: ``report.html``, and beside it ``report/`` with the figure, its data and the script that redraws it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.durable import write_durably
from orchestrator.recorder.reader import open_run
from orchestrator.report.data import write_csv, write_data
from orchestrator.report.distrust import intervals
from orchestrator.report.facts import Facts, Spectrum, gather
from orchestrator.report.imaging import write_pictures
from orchestrator.report.libraries import installed
from orchestrator.report.page import BESIDE, PICTURED, page, utc_text
from orchestrator.report.verdict import Verdict, verdict

PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class Written:
    """The page, and what it says first."""

    path: Path
    verdict: Verdict
    distrusted: int
    has_figure: bool


def write_report(folder: Path) -> Written:
    """Write the report of a run folder from its ``run.h5``, also of one that still goes on. Raises what ``open_run`` raises."""
    beside = folder / BESIDE
    beside.mkdir(exist_ok=True)
    with open_run(folder) as run:
        facts = gather(run)
        distrust = intervals(facts)
        judged = verdict(facts)
        left_out = write_data(facts, distrust, beside)
        pictures = write_pictures(run, beside)
        write_csv(beside / "spectra.csv", spectrum_heads(facts), (spectrum_cells(facts, one) for one in facts.spectra))
        drawn = draw(beside, pictures=pictures)
        write_durably(folder / PAGE, page(facts, judged, distrust, beside, left_out))
    return Written(folder / PAGE, judged, len(distrust), drawn)


DRAWN = ("figure", "areas_against_charge", *PICTURED)


def draw(folder: Path, *, pictures: bool = False) -> bool:
    """Draw by the very scripts that are put beside the data; False where matplotlib is not installed. ``pictures``: images too."""
    for script in (Path(__file__).with_name(f"{name}.py") for name in ("redraw", *(["redraw_pictures"] if pictures else []))):
        (folder / script.name).write_text(script.read_text("utf-8"), "utf-8")
    for old in (path for name in DRAWN for path in folder.glob(f"{name}.*")):
        old.unlink()
    if not installed():
        return False
    from orchestrator.report.redraw import redraw

    redraw(folder)
    if pictures:
        from orchestrator.report import redraw_pictures

        redraw_pictures.redraw(folder)
    return True


PLAIN = (
    *("key", "acquisition", "row", "start_s", "end_s", "charge_start_mAh", "charge_end_mAh", "voltage_start_V", "voltage_end_V"),
    *("scans_done", "scans_asked", "reasons", "state", "flags", "raw_folder"),
)


def spectrum_heads(facts: Facts) -> list[str]:
    """Of the table of spectra."""
    return [*PLAIN, "start_utc", *(head for name in facts.area_names for head in (name, f"{name} error"))]


def spectrum_cells(facts: Facts, one: Spectrum) -> list[Any]:
    """One row of the table of spectra."""
    areas = [one.areas.get(name) for name in facts.area_names]
    numbers = [number for area in areas for number in ((area.value, area.error) if area else ("", ""))]
    return [*(getattr(one, name) for name in PLAIN), utc_text(one.start_utc_ns), *numbers]
