"""A month in virtual time: what the program takes of processor and memory in its first week, and in its last."""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import OPERANDO, QUICK, Report, cpu_s, family
from benchmarks.rigs import experiment, memory_rig

DAYS = 6 if QUICK else 30
SPAN_days = 2 if QUICK else 7
EVERY_s, LOOK_s = 60, 0.25
DAY_ns = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """How far the run was, and what its processes had taken and held by then."""

    day: float
    cpu_s: float
    rss_MB: float


def measure(repository: Path, scratch: Path) -> Report:
    """One run, looked at from outside."""
    rig = memory_rig(repository, scratch / "rig.yaml", points=4096)
    steps = f"- repeat: {DAYS * 12}\n  steps:\n"
    steps += "    - {step: Plate working at 0.5 mA/cm2 for 1 hours, nmr: {one: every 1 hour}}\n"
    steps += "    - {step: Strip working at 0.5 mA/cm2 for 1 hours, nmr: {one: every 1 hour}}"
    file = experiment(scratch / "month.yaml", steps, EVERY_s)
    looks = _lived(repository, ["run", str(file), "--rig", str(rig), "--speed", "max", "--out", str(scratch), "--json"], scratch)
    report = Report(
        f"{DAYS} days",
        f"`--speed max`: a sample each {EVERY_s} s, a spectrum and a change of current each hour, cycles of two hours; rig and observer "
        "together, looked at from outside. The first day is left out: libraries and caches are filled.",
        ("", f"days 2 to {1 + SPAN_days}", f"the last {SPAN_days}", "last / first", "asked"),
    )
    first = [one for one in looks if 1.0 <= one.day < 1.0 + SPAN_days]
    last = [one for one in looks if DAYS - SPAN_days <= one.day]
    rates = [(part[-1].cpu_s - part[0].cpu_s) / (part[-1].day - part[0].day) for part in (first, last)]
    held = [statistics.median(one.rss_MB for one in part) for part in (first, last)]
    report.rows.append(("CPU a simulated day", *(f"{value:.2f} s" for value in rates), f"{rates[1] / rates[0]:.2f}", "flat"))
    report.rows.append(("resident memory", *(f"{value:.0f} MB" for value in held), f"{held[1] / held[0]:.2f}", "flat"))
    return report


def _lived(repository: Path, words: list[str], scratch: Path) -> list[Look]:
    """Start it, look at it until it ends. Raises RuntimeError where it did not end well."""
    looks: list[Look] = []
    with (scratch / "said.txt").open("wb") as said:
        process = subprocess.Popen([*OPERANDO, *words], cwd=repository, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                time.sleep(LOOK_s)
                journals = list(scratch.glob("*/journal.sqlite"))
                if journals and (day := _day(journals[0])) is not None:
                    pids = list(family(process.pid))
                    looks.append(Look(day, sum(map(cpu_s, pids)), sum(map(_rss_MB, pids))))
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError((scratch / "said.txt").read_text("utf-8")[-2000:])
    return looks


def _day(journal: Path) -> float | None:
    """How many days lie between the first record and the newest."""
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
            first, newest = connection.execute("SELECT MIN(mono_ns), MAX(mono_ns) FROM record").fetchone()
    except sqlite3.Error:
        return None
    return None if first is None else float((newest - first) / DAY_ns)


def _rss_MB(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
