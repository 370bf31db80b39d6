"""What a fault night costs: CPU of one process, which lives it and looks whether everything held."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measure import QUICK, Report, ratios, spread
from nights.invariants import broken
from nights.live import live
from nights.schedule import Night, night_of

SEEDS = range(1, 6) if QUICK else range(1, 26)
LONG_S = 6000.0
"""A night that lasts so long has come to its end: others end early, because of a fault."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a night, lived and looked at, and so many seconds of the cell."""

    lived_s: float
    looked_s: float
    lasted_s: float

    @property
    def both_s(self) -> float:
        """What a test of it takes."""
        return self.lived_s + self.looked_s


def measure(_: Path, scratch: Path) -> Report:
    """The nights that CI lives, each beside the same night without its faults."""
    cost(replace(night_of(1), faults=()), scratch)  # imports, and what is made once
    faulty, quiet = [], []
    for seed in SEEDS:
        faulty.append(cost(night_of(seed), scratch))
        quiet.append(cost(replace(night_of(seed), faults=()), scratch))
    pairs = [(one, other) for one, other in zip(faulty, quiet, strict=True) if one.lasted_s >= LONG_S]
    whole = [one for one, _ in pairs]
    report = Report(
        "Fault nights",
        f"Seeds {SEEDS[0]} to {SEEDS[-1]}: 2 h at 1 Hz with FIDs of 1k points, live analysis, guard and `run.h5`, at `--speed max`; "
        "process time after a night that does not count. A night is *whole* where its faults did not end it early.",
        ("what", "median (least to most)", "asked"),
    )
    report.rows += [
        ("a fault night, lived and looked at", spread([one.both_s for one in faulty], "s"), "<= 6 s"),
        (f"a whole one ({len(whole)} of {len(faulty)})", spread([one.both_s for one in whole], "s"), "<= 6 s"),
        ("of that, looking whether everything held", spread([one.looked_s for one in whole], "s"), ""),
        ("the same nights without their faults", spread([other.both_s for _, other in pairs], "s"), "control"),
        ("faulty over quiet", ratios([one.both_s for one, _ in pairs], [other.both_s for _, other in pairs]), ""),
        ("seconds of the cell a CPU second", spread([one.lasted_s / one.lived_s for one in whole], "", 0), ""),
    ]
    return report


def cost(night: Night, scratch: Path) -> Cost:
    """Live it in a folder that goes again. Raises AssertionError where something did not hold."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        began_s = time.process_time()
        lived = live(night, Path(folder) / "night")
        lived_s = time.process_time() - began_s
        found = broken(lived)
        looked_s = time.process_time() - began_s - lived_s
    assert not found, "\n".join([f"night {night.seed}", *found])
    return Cost(lived_s, looked_s, lived.until_s)
