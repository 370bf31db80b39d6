"""How late the rig has each sample, while its broker is well and while it hangs, in turn within one run.

``python -m benchmarks.late_samples LATE.json run …`` is ``operando run`` that notes, for each block of samples, when the sampling task
takes it and how long that is after its newest one. Two runs differ by more than what is looked for, so both states are looked at in one.
"""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import QUICK, median_and_99, percentile, ratios
from benchmarks.rigs import experiment, memory_rig
from orchestrator.model.broker import Broker
from orchestrator.runner.sampling import Sampling

PERIOD_s = 0.01
SLICE_s = 5.0 if QUICK else 12.0
"""A broker that hangs is noticed after 2 s, and then tried again and again: a slice has all of it."""
SWITCHING_s = 1.0
"""So much at the beginning of a slice belongs to neither state."""
PAIRS = 2 if QUICK else 10
BEFORE_s, AFTER_s = 6.0, 2.0
RESAMPLED = 2000
LATE_ns: list[tuple[int, int]] = []


class Slices(NamedTuple):
    """Of each slice how late its samples were, ms: while the broker was well, and in the slice behind, while it hung."""

    well: list[list[float]]
    hung: list[list[float]]

    def rows(self) -> list[tuple[str, str, str]]:
        """For a table: measured, and what is asked of it."""
        well, hung = (list(chain.from_iterable(one)) for one in self)
        pairs = f"hung / well, 99th percentiles of {len(self.well)} pairs of {SLICE_s:.0f} s each"
        return [
            ("a sample, from its instant to the sampling task: control, while the broker is well", median_and_99(well, 2), "control"),
            ("the same while it hangs, in the same run", median_and_99(hung, 2), ""),
            (pairs, self.compared(), "median <= 1.2 x"),
            ("well / well before: the same of slices between which nothing has changed", self.noise(), "control"),
        ]

    def compared(self) -> str:
        """The median of hung / well of neighbours, and how sure it is."""
        well, hung = _percentiles(self.well), _percentiles(self.hung)
        low, high = _confidence([one / other for one, other in zip(hung, well, strict=True)])
        return f"{ratios(hung, well)}; 95 % sure: {low:.2f} to {high:.2f}"

    def noise(self) -> str:
        """The same of two slices in which it was well, the next but one to each other: what nothing at all looks like."""
        well = _percentiles(self.well)
        return ratios([after for _, after in pairwise(well)], [before for before, _ in pairwise(well)])


def _percentiles(slices: Sequence[Sequence[float]]) -> list[float]:
    return [percentile(one, 99) for one in slices]


def _confidence(values: Sequence[float]) -> tuple[float, float]:
    """Of the median, by drawing the values again and again."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), (RESAMPLED, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(low), float(high)


class Bench:
    """A run under current with a sample each ``PERIOD_s``, published to this broker."""

    def __init__(self, repository: Path, scratch: Path, broker: Broker, process: subprocess.Popen[bytes]) -> None:
        self._repository, self._scratch, self._process = repository, scratch, process
        self._rig = memory_rig(repository, scratch / "late.yaml", "watched")
        self._rig.write_text(f"{self._rig.read_text('utf-8')}\nbroker: {broker.model_dump_json()}\n", "utf-8")
        lasts_s = BEFORE_s + 2 * PAIRS * SLICE_s + AFTER_s
        self._file = experiment(scratch / "late_run.yaml", f"- Plate working at 0.1 mA/cm2 for {lasts_s:.0f} seconds", PERIOD_s)

    def slices(self) -> Slices:
        """Of one run."""
        found, out = self._scratch / "late.json", self._scratch / "late"
        run = ["run", str(self._file), "--rig", str(self._rig), "--out", str(out), "--json"]
        command = [sys.executable, "-m", "benchmarks.late_samples", str(found), *run]
        with subprocess.Popen(command, cwd=self._repository, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            spans = list(self._in_turn(out))
            _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(said[-2000:])
        at_ns, late_ns = np.array(json.loads(found.read_text("utf-8")), np.int64).T
        late_ms = [(late_ns[(at_ns >= began) & (at_ns < ended)] / 1e6).tolist() for began, ended in spans]
        if min(map(len, late_ms)) < 0.1 * SLICE_s / PERIOD_s:
            raise RuntimeError(f"too few samples in a slice: {[len(one) for one in late_ms]}")
        return Slices(late_ms[::2], late_ms[1::2])

    def _in_turn(self, out: Path) -> Iterator[tuple[int, int]]:
        """Each slice's beginning and end, ns of the clock that the run has too."""
        while not list(out.glob("*/journal.sqlite")):
            time.sleep(0.05)
        time.sleep(BEFORE_s)
        try:
            for number in range(2 * PAIRS):
                self._process.send_signal(signal.SIGSTOP if number % 2 else signal.SIGCONT)
                time.sleep(SWITCHING_s)
                began_ns = time.monotonic_ns()
                time.sleep(SLICE_s - SWITCHING_s)
                yield began_ns, time.monotonic_ns()
        finally:
            self._process.send_signal(signal.SIGCONT)


def _noted(taken: Callable[[Sampling, Any], None]) -> Callable[[Sampling, Any], None]:
    def take(self: Sampling, block: Any) -> None:
        now_ns = self._s.clock.mono_ns()
        LATE_ns.append((now_ns, now_ns - int(block.mono_ns[-1])))
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
