"""How long a person waits for ``operando --help`` and ``operando check``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import OPERANDO, QUICK, Report, spread, wall

ROUNDS = 3 if QUICK else 10


def measure(repository: Path, _: Path) -> Report:
    """Wall time of whole processes; the interpreter alone beside them."""
    report = Report(
        "Start-up", f"Whole processes, {ROUNDS} times each after one that does not count.", ("command", "median (least to most)", "asked")
    )
    experiment = repository / "configs" / "experiments" / "li_li_plate_strip.yaml"
    for name, command, asked in (
        ("python -c pass", [sys.executable, "-c", "pass"], "control"),
        ("operando --help", [*OPERANDO, "--help"], "<= 0.3 s"),
        ("operando check li_li_plate_strip.yaml", [*OPERANDO, "check", str(experiment)], "<= 1 s"),
    ):
        report.rows.append((f"`{name}`", spread(wall(command, ROUNDS), "s"), asked))
    return report
