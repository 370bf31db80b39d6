"""The first ten minutes of somebody new, as a script: what they would type, and how long the program makes them wait.

About two and a half minutes, two of them the demo, which lives through 95 minutes at 60 times real time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import OPERANDO, Report

BAR_s = 600.0
NOTEBOOK = "from orchestrator import open_run; run = open_run('runs/latest'); print(run, run.spectra.plot(next(iter(run.spectra))))"
EXPERIMENT, RIG = "configs/experiments/first-my-lab.yaml", "configs/rigs/my-lab.yaml"


def typed(speed: str) -> list[tuple[str, list[str], tuple[int, ...]]]:
    """What they do, the command, and the exit codes that are good. ``doctor`` may find something of this computer."""
    return [
        ("see it run: a simulated cell, 95 minutes of its life", [*OPERANDO, "demo", "--speed", speed], (0,)),
        ("look at its report", [*OPERANDO, "report", "latest"], (0,)),
        ("describe a rig (here by options)", [*OPERANDO, "init", "my-lab", "--defaults"], (0,)),
        ("check an experiment", [*OPERANDO, "check", EXPERIMENT], (0,)),
        ("ask computer and instruments", [*OPERANDO, "doctor", "--rig", RIG], (0, 2)),
        ("run it: five minutes' rest, one spectrum", [*OPERANDO, "run", EXPERIMENT, "--speed", "max"], (0,)),
        ("watch it from elsewhere (it is over: its last screen)", [*OPERANDO, "watch", "--lines"], (0,)),
        ("take it into a notebook, and plot", [sys.executable, "-c", NOTEBOOK], (0,)),
    ]


def wait(command: list[str], good: tuple[int, ...], folder: Path) -> float:
    """Wall seconds of one command in the folder. Raises RuntimeError where it did not do what it should."""
    environment = os.environ | {
        "OPERANDO_HOME": str(folder / "home"),
        "OPERANDO_BROKER": "none",
        "OPERANDO_REPORT": "1",
        "MPLBACKEND": "agg",
    }
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in good:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - began


def measure(_: Path, scratch: Path) -> Report:
    """Each step once, in an empty folder."""
    report = Report(
        "The first ten minutes",
        "What somebody new types, one after the other, in an empty folder; wall time. Not in it: the installation, and reading.",
        ("what", "waited", "asked"),
    )
    waited = [(what, wait(command, good, scratch)) for what, command, good in typed("60")]
    report.rows += [(what, f"{seconds:.1f} s", "") for what, seconds in waited]
    report.rows.append(("together", f"{sum(seconds for _, seconds in waited):.0f} s", f"at most {BAR_s:.0f} s"))
    return report
