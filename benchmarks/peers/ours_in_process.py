"""``operando run`` with two marks, where everything is in one process: the step's end is said; the console is told to start.

``python -m benchmarks.peers.ours_in_process MARKS.json run …``; the marks are those of the simulated instruments, in ns.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from drivers.base import StepEnded
from drivers.sim.console import SimConsole
from drivers.sim.potentiostat import SimPotentiostat

MARKS: list[tuple[str, int]] = []


class Marked:
    """Puts the two marks into the simulated instruments."""

    said = SimPotentiostat._put
    start = SimConsole.start

    @staticmethod
    def put(self: SimPotentiostat, event: Any) -> None:  # noqa: PLW0211 - becomes a method of the potentiostat
        """Mark the end of a step, then say it."""
        if isinstance(event, StepEnded):
            MARKS.append(("last sample", time.perf_counter_ns()))
        Marked.said(self, event)

    @staticmethod
    async def begin(self: SimConsole, key: str, block: int) -> None:  # noqa: PLW0211 - becomes a method of the console
        """Mark the order to start, then obey."""
        MARKS.append(("start read", time.perf_counter_ns()))
        await Marked.start(self, key, block)


if __name__ == "__main__":
    SimPotentiostat._put = Marked.put  # type: ignore[method-assign]
    SimConsole.start = Marked.begin  # type: ignore[method-assign]
    path, sys.argv = Path(sys.argv[1]), ["operando", *sys.argv[2:]]
    try:
        runpy.run_module("orchestrator", run_name="__main__", alter_sys=False)
    finally:
        path.write_text(json.dumps(MARKS), "utf-8")
