"""Samples kept at short periods while a spectrum of 65,536 points is stored each second; tomato beside it at its shortest.

Ours: the whole program at speed 1 on simulated instruments, which take each sample at its very instant: what is missing was lost on
the way from the driver to the file. Counted in run.h5 after its end. tomato: the smallest driver on an emulated source-measure unit;
counted by the instrument.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from benchmarks.latency import emulated, marks
from benchmarks.measure import QUICK, Report, run_json
from benchmarks.peers.side import Case, NotHere, until
from benchmarks.peers.tomato import Tomato, current_step
from benchmarks.rigs import experiment, memory_rig
from benchmarks.trigger import environments
from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader

PERIODS_s = (0.01, 0.002, 0.001)
LASTS_s = 8 if QUICK else 600
TOMATO_s = 5 if QUICK else 60
EDGE_s = 5
"""Nothing is triggered sooner after an edge, unless the experiment says otherwise."""
SAME_ns = 1000
"""So near to an edge a sample lies at it."""


class TomatoSampling(Tomato):
    """One step at the shortest period."""

    told_last = ""

    def steps(self, case: Case) -> list[dict[str, object]]:
        """The one step."""
        return [current_step(case.current_A, case.step_s, PERIODS_s[0])]


def measure(repository: Path, scratch: Path) -> Report:
    """Each period, then tomato at the longest of them."""
    report = Report(
        "Sampling",
        f"{LASTS_s} s each at speed 1, from 5 s after the edge on one spectrum of 65,536 points each second, "
        "journal, guard, observer and run.h5 on. A "
        f"sample is lost where the next one in run.h5 is more than one and a half periods away. tomato: {TOMATO_s} s, no spectra.",
        ("", "asked", "kept", "lost", "told", "spectra stored (missed)", "CPU, all processes", "load of the machine", "wanted"),
    )
    rig = memory_rig(repository, scratch / "rig.yaml")
    for period_s in PERIODS_s:
        report.rows.append(_ours(repository, scratch, rig, period_s))
    report.rows.append(asyncio.run(_tomato(repository, scratch)))
    return report


def _ours(repository: Path, scratch: Path, rig: Path, period_s: float) -> tuple[str, ...]:
    """One run."""
    step = f"- {{step: Plate working at 0.5 mA/cm2 for {LASTS_s} seconds, nmr: {{one: every 1 second}}}}"
    file = experiment(scratch / f"sampling_{round(period_s * 1e3)}ms.yaml", step, period_s)
    said, _, cpu_s, _ = run_json("run", str(file), "--rig", str(rig), "--out", str(scratch), cwd=repository)
    folder = Path(str(said["folder"]))
    with Reader(folder / "journal.sqlite") as reader:
        events = list(reader.events())
    times_s = of_first_step(folder / "run.h5", events)
    asked, lost = round(LASTS_s / period_s) + 1, missing(times_s, period_s)
    kinds = [event.kind for event in events]
    told = f"{kinds.count('gap')} gaps; {'complete' if said['complete'] else said['reason']}"
    stored, missed = kinds.count("acquisition.stored"), kinds.count("acquisition.missed") + kinds.count("acquisition.lost")
    name = f"operando run, {period_s * 1e3:g} ms"
    return (
        name,
        str(asked),
        str(times_s.size),
        str(lost),
        told,
        f"{stored} of {LASTS_s - EDGE_s + 1} ({missed})",
        f"{cpu_s / LASTS_s:.1%}",
        _load(),
        "none lost, or told",
    )


def _load() -> str:
    """Processes that ran or waited to, over the last five minutes: this row's own among them."""
    return f"{os.getloadavg()[1]:.1f}" if hasattr(os, "getloadavg") else ""


def of_first_step(file: Path, events: Sequence[Event]) -> np.ndarray:
    """float64 (n,): seconds of the samples in ``file`` from the first step's beginning to its end; a wait at open circuit follows it."""
    begin_ns, end_ns = (next(event.utc_ns for event in events if event.kind == kind) for kind in ("step.started", "step.ended"))
    with h5py.File(file) as run:
        table = run["entry/electrochemistry"]
        at_ns, voltage_V = table["time_utc"][:], table["voltage"][:]
    inside = (at_ns >= begin_ns - SAME_ns) & (at_ns <= end_ns + SAME_ns) & np.isfinite(voltage_V)
    return np.asarray((at_ns[inside] - begin_ns) / 1e9)


def missing(times_s: np.ndarray, period_s: float) -> int:
    """``times_s`` float64 (n,): how many periods passed without a sample between the first and the last."""
    steps = np.diff(np.sort(times_s)) / period_s
    return int(np.sum(np.round(steps[steps > 1.5]) - 1))


async def _tomato(repository: Path, scratch: Path) -> tuple[str, ...]:
    """Count what the instrument was asked."""
    side = TomatoSampling(environments(repository))
    name = f"tomato 2.2, {PERIODS_s[0] * 1e3:g} ms"
    async with emulated(repository, scratch, "keithley2450") as laboratory:
        case = Case(scratch / "tomato", {"keithley2450": {"port": laboratory.addresses["keithley2450"].port}}, 2e-4, float(TOMATO_s))
        case.folder.mkdir()
        try:
            await asyncio.to_thread(_job, side, case)
        except NotHere as problem:
            return name, "", f"not measured: {problem}", "", "", "", "", "", ""
        finally:
            await asyncio.to_thread(side.end)
        kept = sum(name.startswith(":READ") for name, _ in marks(laboratory))
    asked = round(TOMATO_s / PERIODS_s[0])
    return name, str(asked), str(kept), str(asked - kept), side.told_last, "", "", _load(), ""


def _job(side: TomatoSampling, case: Case) -> None:
    side.install()
    side.start(case)
    until(side.over, "end of the job")
    side.told_last = side.told().text
