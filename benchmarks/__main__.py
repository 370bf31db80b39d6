"""Run all benchmarks, or those named, and write docs/benchmarks.md.

``--quick``: fewer rounds and shorter stretches, about a minute each (the fault matrix has no short form). ``--print``: nothing is written.
``NAME:PART`` (with ``--print``): a part of one that has parts, ``consoles:marcos``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
NAMES = (
    "start_up",
    "latency",
    "night",
    "nights",
    "cells",
    "real_time",
    "guard",
    "publish",
    "open_run",
    "ten_minutes",
    "analysis",
    "series",
    "monitoring",
    "page",
    "following",
    "rungs",
    "trigger",
    "sampling",
    "ingest",
    "readers",
    "turnaround",
    "month",
    "scale",
    "matrix",
    "consoles",
    "undersampling",
)
HEAD = """# Benchmarks

Written by `make bench`; never edited by hand. Medians, with the least and the most seen beside them; every figure stands beside
its own control from the same run. Measured on {machine}.
"""


def main(asked: argparse.Namespace) -> int:
    """Measure, print, and write; sections of benchmarks not run stay as they were."""
    if asked.quick:
        os.environ["OPERANDO_BENCH_QUICK"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is kept, as it is for anybody who runs this twice
    os.environ["OPERANDO_REPORT"] = "0"  # what is measured is the run; whoever measures reports says so
    page = REPOSITORY / "docs" / "benchmarks.md"
    kept = _sections(page.read_text("utf-8")) if page.exists() else {}
    for asked_for in asked.names or NAMES:
        name, *parts = asked_for.split(":")
        print(f"{asked_for}: measured since {datetime.now(UTC):%H:%M:%S} UTC", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="operando-bench-") as scratch:
            report = importlib.import_module(f"benchmarks.{name}").measure(REPOSITORY, Path(scratch), *parts)
        if asked.quick:
            report.how += " In the quick form."
        kept[report.title] = report.markdown()
        print(kept[report.title], flush=True)
    if not asked.print:
        page.write_text(HEAD.format(machine=_machine()) + "\n" + "\n".join(kept.values()), encoding="utf-8")
    return 0


def _sections(text: str) -> dict[str, str]:
    parts = text.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part}".rstrip("\n") + "\n" for part in parts}


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, epilog=f"names: {', '.join(NAMES)}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all without any")
    parser.add_argument("--quick", action="store_true", help="about a minute each")
    parser.add_argument("--print", action="store_true", help="write nothing")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name.partition(":")[0] not in NAMES]:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if not asked.print and any(":" in name for name in asked.names):
        parser.error("a part of a benchmark is printed, not written: --print")
    return asked


if __name__ == "__main__":
    sys.exit(main(_asked()))
