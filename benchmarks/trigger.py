"""From the end of a step to the start of the acquisition, beside bluesky (in one process) and tomato (across sockets), in turn.

In process: both instruments are objects that mark the two instants themselves. Across sockets: emulated instruments in this process
mark what they have written and read; tomato drives a source-measure unit and the same console, by the smallest drivers that its
documents ask for, and its step ends when the instrument reads the order for the next current.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.idle_client import command_port
from benchmarks.latency import Laboratory, emulated, latencies_ms, marks, program, round_ms
from benchmarks.measure import QUICK, Report, percentile, spread
from benchmarks.peers.bluesky import Bluesky
from benchmarks.peers.side import HERE, Case, NotHere, until
from benchmarks.peers.tomato_trigger import TomatoTrigger
from benchmarks.rigs import marked_run, memory_rig

ROUNDS, EDGES = (1, 4) if QUICK else (5, 10)
STEPS_BLUESKY, STEP_BLUESKY_s = 10, 1.0
"""As many steps as ours, as long as ours: a processor that has slept for a second is cold for both."""


def environments(repository: Path) -> Path:
    """Where the peers are installed to, once for all benchmarks."""
    return repository / ".venv" / "peers"


def measure(repository: Path, scratch: Path) -> Report:
    """Both kinds, each in turn with its peer."""
    report = Report(
        "Trigger latency beside bluesky and tomato",
        f"{ROUNDS} rounds, ours and theirs in turn. In process: simulated instruments, journal, guard and observer on; bluesky with its "
        "documents written a line each. From the instant at which the instrument says that its step is over to the call that orders the "
        "acquisition, ten steps of a second on both sides. Ours judges the step's last sample in between (limits, rules, interlocks) and "
        "samples at 10 Hz meanwhile; bluesky has no samples to judge there and no durable record. "
        "Across sockets: pseudo-terminal and loopback sockets; tomato by `start_with_task_name`.",
        ("", "median (least to most)", "99 %", "theirs / ours, median of the rounds", "asked"),
    )
    bluesky = Bluesky(environments(repository))
    pairs = [(_in_process(repository, scratch / f"ours{n}"), _bluesky(bluesky, scratch / f"theirs{n}")) for n in range(ROUNDS)]
    _rows(report, "in process", "bluesky", pairs, ">= 3")
    _rows(report, "across sockets", "tomato", asyncio.run(_across(repository, scratch)), ">= 100")
    return report


def _rows(report: Report, where: str, peer: str, pairs: list[tuple[list[float], list[float]]], asked: str) -> None:
    """Two rows: ours, and theirs with the ratio."""
    ours, theirs = ([value for pair in pairs for value in pair[side]] for side in (0, 1))
    ratios = [statistics.median(its) / statistics.median(mine) for mine, its in pairs if its]
    report.rows.append((f"{where}: operando run", spread(ours, "ms"), f"{percentile(ours, 99):.2f} ms", "", ""))
    if not ratios:
        report.rows.append((f"{where}: {peer}", "not measured", "", "", asked))
        return
    report.rows.append((f"{where}: {peer}", spread(theirs, "ms"), f"{percentile(theirs, 99):.2f} ms", spread(ratios, "x"), asked))


def _in_process(repository: Path, folder: Path) -> list[float]:
    """Milliseconds of each step of one run on simulated instruments."""
    folder.mkdir()
    return marked_run(repository, repository / "benchmarks" / "latency.yaml", memory_rig(repository, folder / "rig.yaml"), folder)


def _bluesky(side: Bluesky, folder: Path) -> list[float]:
    """Milliseconds of each step; none where it cannot be installed."""
    try:
        side.install()
    except NotHere:
        return []
    folder.mkdir()
    shutil.copy(HERE / "bluesky_trigger.py", folder)  # beside it here lies a module named bluesky
    command = [str(side.python), str(folder / "bluesky_trigger.py"), str(STEPS_BLUESKY), str(STEP_BLUESKY_s), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]


async def _across(repository: Path, scratch: Path) -> list[tuple[list[float], list[float]]]:
    """Rounds of ours and of tomato's on emulated instruments in this process."""
    tomato = TomatoTrigger(environments(repository))
    tomato.edges = EDGES
    found = []
    async with emulated(repository, scratch, "keithley2450") as laboratory:
        for number in range(ROUNDS):
            ours = await round_ms(laboratory, program(repository, scratch, laboratory))
            before = len(marks(laboratory))
            await asyncio.to_thread(_tomato, tomato, laboratory, scratch / f"tomato{number}")
            found.append((ours, edges_ms(marks(laboratory)[before:])))
    return found


def _tomato(side: TomatoTrigger, laboratory: Laboratory, folder: Path) -> None:
    """One job from beginning to end."""
    folder.mkdir()
    host, port = command_port(laboratory.talk)
    addresses: dict[str, dict[str, object]] = {
        "keithley2450": {"port": laboratory.addresses["keithley2450"].port},
        "console": {"address": f"{host}:{port}"},
    }
    try:
        side.install()
        side.start(Case(folder, addresses, 2e-4, 0.0))
        until(side.over, "end of the job")
    except NotHere as problem:
        print(f"tomato: {problem}", file=sys.stderr)
    finally:
        side.end()


def edges_ms(rows: Iterable[tuple[str, int]]) -> list[float]:
    """From each order for another current to the next start of an acquisition."""
    renamed = [("last sample" if name.startswith(":SOUR:CURR ") else name, at_ns) for name, at_ns in rows]
    return latencies_ms(renamed)
