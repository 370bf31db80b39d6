"""Many rigs in one broker, many channels in one process: where it bends, and why."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import QUICK, Report, spread
from benchmarks.monitoring import crowd, laboratory, own_broker
from benchmarks.rigs import experiment, memory_rig
from orchestrator.model.broker import Broker

RIGS, CHANNELS = (1, 4, 16, 64), (1, 8, 32)
SECONDS = 3 if QUICK else 20
ROUNDS = 1 if QUICK else 3
SHORT_min, LONG_min = (2, 6) if QUICK else (4, 16)


def measure(repository: Path, scratch: Path) -> Report:
    """Brokers, then channels."""
    report = Report(
        "Scale",
        f"Rigs: each sends ten messages of 400 bytes a second for {SECONDS} s, one watcher hears all; share of the broker's process. "
        "Channels: whole runs at one sample a second and a spectrum a minute on one virtual loop; process time of one more simulated "
        f"minute of each, {ROUNDS} rounds ({LONG_min} min less {SHORT_min} min): the same number means that nothing bends.",
        ("", "first", "second"),
    )
    report.rows.append(("**rigs in one broker**", "mosquitto, TLS", "`operando broker`, no TLS"))
    report.rows += _brokers(repository, scratch)
    report.rows.append(("**channels in one process**", "CPU of a channel's minute", "so many fill one core at speed 1"))
    report.rows += _channels(repository, scratch, report)
    return report


def _brokers(repository: Path, scratch: Path) -> list[Sequence[str]]:
    found: list[Sequence[str]] = []
    with laboratory(repository, scratch) as (broker, process), own_broker(scratch) as (url, pid):
        for rigs in RIGS:
            strong = asyncio.run(crowd(broker("operator"), process.pid, rigs, SECONDS))
            found.append((str(rigs), strong, asyncio.run(crowd(Broker(url=url), pid, rigs, SECONDS))))
    return found


def _channels(repository: Path, scratch: Path, report: Report) -> list[Sequence[str]]:
    rig = memory_rig(repository, scratch / "rig.yaml", points=4096)
    files = [
        experiment(scratch / f"channel{minutes}.yaml", f"- {{step: Plate working at 0.5 mA/cm2 for {minutes} minutes, {NMR}}}", 1.0)
        for minutes in (SHORT_min, LONG_min)
    ]
    costs: dict[int, list[float]] = {count: [] for count in CHANNELS}
    for number in range(ROUNDS):
        for count in CHANNELS:
            took = [_took(repository, rig, file, scratch / f"{count}-{number}-{file.stem}", count) for file in files]
            costs[count].append((took[1]["cpu_s"] - took[0]["cpu_s"]) / count / (LONG_min - SHORT_min))
    said = _took(repository, rig, files[1], scratch / "profiled", CHANNELS[-1], "profiled")
    report.note = f"Of {CHANNELS[-1]} channels in one process most time is spent in: {', '.join(said['dearest'])}."
    rows = [(str(n), spread([1e3 * cost for cost in of], "ms", 0), f"{60 / statistics.median(of):.0f}") for n, of in costs.items()]
    ratio = statistics.median(costs[CHANNELS[-1]]) / statistics.median(costs[CHANNELS[0]])
    return [*rows, (f"{CHANNELS[-1]} / {CHANNELS[0]}", f"{ratio:.2f}", "")]


NMR = "nmr: {one: every 1 minute}"


def _took(repository: Path, rig: Path, file: Path, out: Path, count: int, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.channels", str(rig), str(file), str(out), str(count), *more]
    done = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))
