"""Whole runs side by side in one process and one virtual loop: ``python -m benchmarks.channels RIG.yaml EXPERIMENT.yaml OUT CHANNELS``.

Prints JSON: process time, and the functions that took most of it. Each channel has its runner, its journal and its guard; none has an
observer, which is a process of its own in real time.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from drivers import registry
from drivers.clock import Clock
from nights.live import Beside
from orchestrator.rig.gather import Gathered, gather
from orchestrator.rig.process import _run
from orchestrator.rig.request import RunRequest, VIRTUAL_EPOCH_UTC_ns

DEAREST = 4


class Unobserved(Beside):
    """In real time the observer is a process of its own: what it costs is not this process's."""

    def start(self) -> None:
        """Nothing."""

    def finish(self) -> Mapping[str, Any]:
        """Nothing was looked at."""
        return {}


def gathered(rig: Path, experiment: Path, out: Path, number: int) -> Gathered:
    """One channel's run, into a folder of its own."""
    return gather(RunRequest(experiment, rig, out / str(number), speed=None, seed=number, display="none"))


async def all_of(channels: list[Gathered], clock: Clock) -> None:
    """Every run at once. Raises RuntimeError where one was not complete."""
    ended = await asyncio.gather(*(_run(one, clock, None) for one in channels))
    if bad := [one.outcome.reason for one in ended if not one.outcome.complete]:
        raise RuntimeError("; ".join(bad))


def dearest(profile: cProfile.Profile) -> list[str]:
    """The functions with most time of their own: name and share."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole_s = sum(row[2] for row in stats.values())
    ordered = sorted(stats.items(), key=lambda item: -item[1][2])[:DEAREST]
    return [f"{Path(file).name}:{name} {row[2] / whole_s:.0%}" for (file, _, name), row in ordered]


def main(rig: Path, experiment: Path, out: Path, count: int, *, profiled: bool) -> None:
    """Run them all, and say what it took."""
    channels = [gathered(rig, experiment, out, number) for number in range(count)]
    profile = cProfile.Profile()
    with mock.patch("orchestrator.rig.process.Companions", Unobserved):
        began_s = time.process_time()
        if profiled:
            profile.enable()
        registry.virtual_run(lambda clock: all_of(channels, clock), epoch_utc_ns=VIRTUAL_EPOCH_UTC_ns)
        profile.disable()
    print(json.dumps({"cpu_s": time.process_time() - began_s, "dearest": dearest(profile) if profiled else []}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), profiled=len(sys.argv) > 5)
