"""What ``open_run`` costs on a week: while it grows, in chapters, and as the one file that is left of it.

One to two minutes, half of it to write the week (1 GB, each publication waits for the disk).
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr  # noqa: F401 - its import is not what is measured

from benchmarks.measure import Report, spread
from orchestrator.recorder.labelled import open_run
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import CADENCE_s, Publisher
from orchestrator.report.write import write_report

SPECTRA, SAMPLES, POINTS = 10_000, 6_000_000, 4096
SAMPLES_PER_FID = SAMPLES // SPECTRA
OPENINGS, SINGLE, WATERFALLS = 10, 40, 3
BATCH = 2000
BAR_OPEN_s, BAR_SPECTRUM_ms, BAR_WATERFALL_s, BAR_REPORT_s = 0.3, 10.0, 2.0, 5.0


def write_week(repository: Path, folder: Path, spectra: int = SPECTRA, points: int = POINTS) -> Publisher:
    """An artificial run of so many spectra, published in chapters; the publisher that holds it."""
    sys.path.insert(0, str(repository / "tests" / "support"))
    from artificial_night import Night

    folder.mkdir()
    samples = spectra * SAMPLES_PER_FID
    night = Night(samples=samples, fids=spectra, points=points, per_block=SAMPLES_PER_FID, ended=False)
    projection, now_s = Projection(), 0.0
    publisher = Publisher(folder, monotonic=lambda: now_s)
    told = _numbered(night.told())
    while batch := list(itertools.islice(told, BATCH)):
        publisher.add(projection.feed(batch), projection.seq)
        now_s += CADENCE_s
        publisher.publish()
    return publisher


def _numbered(told: Any) -> Any:
    from orchestrator.model.events import Event

    for seq, (kind, data, blob, at) in enumerate(told, 1):
        yield Event(seq, at.mono_ns, at.utc_ns, kind, data, blob)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor(work: Callable[[], object]) -> float:
    """Seconds of this process on a processor: what is left on a busy computer of a wall time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def opened(folder: Path) -> None:
    """Open, and say what is in it."""
    with open_run(folder) as run:
        repr(run)


def axes(folder: Path) -> None:
    """Open, and read the axes of everything: for electrochemistry, the time of each sample."""
    with open_run(folder) as run:
        _ = run.echem, [run.spectra[name] for name in run.spectra], [run.fids[name] for name in run.fids]


def look(report: Report, folder: Path, what: str) -> None:
    """Open, single spectra in a fixed disorder, all of them."""
    openings = [timed(lambda: opened(folder)) for _ in range(OPENINGS)]
    with_axes = [timed(lambda: axes(folder)) for _ in range(OPENINGS)]
    with open_run(folder) as run:
        intensity = run.spectra["li"]["intensity"]
        rows = np.random.default_rng(0).permutation(intensity.shape[0])[:SINGLE]
        single_ms = [timed(lambda row=row: intensity[int(row)].values) * 1e3 for row in rows]  # type: ignore[misc]
        whole = [timed(lambda: intensity.values) for _ in range(WATERFALLS)]
        shape, samples = intensity.shape, run.echem.sizes["time"]
        again = [timed(lambda: run.at(voltage_V=3.9)) for _ in range(WATERFALLS)]
    size_MB = sum(path.stat().st_size for path in (folder / "run.h5", *folder.glob("run.h5.chapters/*"))) / 1e6
    report.rows += [
        (f"{what}: {size_MB:.0f} MB, {samples} samples, {shape[0]} spectra of {shape[1]} points", "", ""),
        ("`open_run`", spread(openings, "s", 3), f"at most {BAR_OPEN_s:g} s"),
        ("`open_run`, and the axes of all groups read", spread(with_axes, "s", 3), ""),
        ("any one spectrum", spread(single_ms, "ms"), f"at most {BAR_SPECTRUM_ms:g} ms"),
        ("all spectra (waterfall)", spread(whole, "s"), f"at most {BAR_WATERFALL_s:g} s"),
        ("`at(voltage_V=…)`, every crossing", spread(again, "s"), ""),
    ]


def measure(repository: Path, scratch: Path) -> Report:
    """Wall time; the file lies in the system's cache, as it does after it was written or looked at once."""
    report = Report(
        "Opening a run",
        "An artificial week: ten samples a second, an FID a minute. Wall time in one process, h5py and xarray imported before.",
        ("what", "median (least to most)", "asked"),
    )
    publisher = write_week(repository, scratch / "week")
    look(report, scratch / "week", "growing, in chapters")
    publisher.gather()
    publisher.close()
    look(report, scratch / "week", "one file")
    write_report(scratch / "week")  # matplotlib is taken in once
    took = [timed(lambda: write_report(scratch / "week")) for _ in range(WATERFALLS)]
    report.rows.append(("`operando report` of that week, without the start of Python", spread(took, "s"), f"at most {BAR_REPORT_s:g} s"))
    busy = [processor(lambda: write_report(scratch / "week")) for _ in range(WATERFALLS)]
    report.rows.append(("the same, processor time", spread(busy, "s"), ""))
    return report
