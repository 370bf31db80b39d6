"""Numbers and how to take them: process time of a family of processes, paired rounds, medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OPERANDO = [sys.executable, "-m", "orchestrator"]
QUICK = bool(os.environ.get("OPERANDO_BENCH_QUICK"))
"""``--quick``: fewer rounds, shorter stretches; what is measured is the same."""
TICK_s = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(slots=True)
class Report:
    """One benchmark: a title, what was done, a table, and what it means."""

    title: str
    how: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""

    def markdown(self) -> str:
        """The report as a section of docs/benchmarks.md."""
        lines = [f"## {self.title}", "", self.how, "", "| " + " | ".join(self.header) + " |", "|" + "---|" * len(self.header)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*lines, "", self.note, ""])


def rows_on_page(page: Path, title: str) -> list[list[str]]:
    """The rows of a section's table as the page has them now; none where it has no such section."""
    _, _, section = page.read_text("utf-8").partition(f"\n## {title}\n") if page.exists() else ("", "", "")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[1:]]


def spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    """``median (least to most) unit``."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f}) {unit}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * len(ordered)))]


def median_and_99(values: list[float], digits: int = 0) -> str:
    """``median 2 ms, 99 % 5 ms of 1000``."""
    return f"median {percentile(values, 50):.{digits}f} ms, 99 % {percentile(values, 99):.{digits}f} ms of {len(values)}"


def ratios(ours: Sequence[float], control: Sequence[float]) -> str:
    """The median of the paired ratios, and their spread."""
    return spread([one / other for one, other in zip(ours, control, strict=False)], "x")


def run_json(*arguments: str, cwd: Path) -> tuple[dict[str, object], float, float, int]:
    """Run ``operando … --json``: its answer, wall seconds, CPU seconds of all its processes, peak bytes of the largest."""
    before = os.times()
    started = time.perf_counter()
    done = subprocess.run([*OPERANDO, *arguments, "--json"], capture_output=True, text=True, cwd=cwd, check=False)
    wall_s = time.perf_counter() - started
    after = os.times()
    if not done.stdout.strip():
        raise RuntimeError(f"operando {' '.join(arguments)} said nothing: {done.stderr[-2000:]}")
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return json.loads(done.stdout.strip().splitlines()[-1]), wall_s, cpu_s, _peak_bytes()


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def wall(command: Sequence[str], times: int) -> list[float]:
    """Wall seconds of a command, ``times`` times after one that does not count."""
    subprocess.run(command, capture_output=True, check=True)
    return [_once(command) for _ in range(times)]


def _once(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def family(pid: int) -> dict[int, str]:
    """The process and all its descendants: id → command line."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = {}, [pid]
    while queue:
        one = queue.pop()
        found[one] = _command(one)
        queue += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_s(pid: int) -> float:
    """Process time used so far, user and system."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_s if fields else 0.0


def alternate(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Each measure in turn, ``rounds`` times: one list of values a measure."""
    values: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for number, measure in enumerate(measures):
            values[number].append(measure())
    return values
