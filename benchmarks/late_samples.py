"""How late the rig has each sample, beside a broker that is well and beside one that hangs.

``python -m benchmarks.late_samples LATE.json run …`` is ``operando run`` that notes, for each block of samples, how long after its newest
one the sampling task takes it.
"""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import QUICK, alternate, percentile
from benchmarks.rigs import experiment, memory_rig
from orchestrator.model.broker import Broker
from orchestrator.runner.sampling import Sampling

PERIOD_s = 0.01
LASTS_s = 3 if QUICK else 8
LATE_ns: list[int] = []


class Bench:
    """Runs of ``LASTS_s`` under current with a sample each ``PERIOD_s``, published to this broker.

    ``late_ms``: of all runs beside a broker that was well, and of all others.
    """

    def __init__(self, repository: Path, scratch: Path, broker: Broker, process: subprocess.Popen[bytes]) -> None:
        self._repository, self._scratch, self._process = repository, scratch, process
        self._rig = memory_rig(repository, scratch / "late.yaml", "watched")
        self._rig.write_text(f"{self._rig.read_text('utf-8')}\nbroker: {broker.model_dump_json()}\n", "utf-8")
        self._file = experiment(scratch / "late_run.yaml", f"- Plate working at 0.5 mA/cm2 for {LASTS_s} seconds", PERIOD_s)
        self._count = 0
        self.late_ms: tuple[list[float], list[float]] = ([], [])

    def paired(self, rounds: int) -> tuple[list[float], list[float]]:
        """Of each run the 99th percentile in ms: beside a broker that is well, and beside one that hangs, in turn."""
        well, hung = alternate(rounds, self._beside_a_healthy, self._beside_a_hung)
        return well, hung

    def _beside_a_healthy(self) -> float:
        return percentile(self._late_ms(self.late_ms[0]), 99)

    def _beside_a_hung(self) -> float:
        self._process.send_signal(signal.SIGSTOP)
        try:
            return percentile(self._late_ms(self.late_ms[1]), 99)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _late_ms(self, kept: list[float]) -> list[float]:
        self._count += 1
        found = self._scratch / f"late{self._count}.json"
        run = ["run", str(self._file), "--rig", str(self._rig), "--out", str(self._scratch / f"late{self._count}"), "--json"]
        command = [sys.executable, "-m", "benchmarks.late_samples", str(found), *run]
        done = subprocess.run(command, cwd=self._repository, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{done.stdout[-1000:]} {done.stderr[-2000:]}")
        late_ms = [value / 1e6 for value in json.loads(found.read_text("utf-8"))]
        kept += late_ms
        return late_ms


def _noted(taken: Callable[[Sampling, Any], None]) -> Callable[[Sampling, Any], None]:
    def take(self: Sampling, block: Any) -> None:
        LATE_ns.append(self._s.clock.mono_ns() - int(block.mono_ns[-1]))
        taken(self, block)

    return take


def main() -> None:
    """The program, noting."""
    path, sys.argv = Path(sys.argv[1]), ["operando", *sys.argv[2:]]
    Sampling._take_samples = _noted(Sampling._take_samples)  # type: ignore[method-assign]
    try:
        runpy.run_module("orchestrator", run_name="__main__", alter_sys=False)
    finally:
        path.write_text(json.dumps(LATE_ns), "utf-8")


if __name__ == "__main__":
    main()
