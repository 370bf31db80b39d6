"""Recordings, and a follower in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from replayer import Replayer

from drivers import registry
from drivers.clock import Clock
from orchestrator.imports.importing import projected
from orchestrator.imports.lag import Offset
from orchestrator.imports.watching import Request, opened, run_folder


@dataclass
class Watched:
    folder: Path
    finding: Any
    offset: Offset | None
    replayer: Replayer
    extra: Any = None


@pytest.fixture
def vnmrj(real_data: Path) -> Path:
    return real_data / "vnmrj_battery_19F_1H"


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Watched]:
    """Follow a replayed recording to its end, in virtual time."""

    def watched(recorded: Path, *, during: Callable[[Any, Replayer], Any] | None = None, **how: Any) -> Watched:
        nmr, ec = tmp_path / "console", tmp_path / "cycler"
        nmr.mkdir(exist_ok=True)
        ec.mkdir(exist_ok=True)
        request = Request(ec, nmr, zone="Europe/Berlin", out=tmp_path / "watched", name="watched", **how.pop("request", {}))
        probe = Replayer(recorded, nmr, ec, Clock(), **how)

        async def main(clock: Clock) -> Watched:
            replayer = Replayer(recorded, nmr, ec, clock, **how)
            folder = run_folder(request, clock)
            following = opened(request, clock, folder)
            following.poll_s = 1.0
            watching = asyncio.create_task(following.run())
            await replayer.play()
            extra = None if during is None else during(following, replayer)
            await clock.sleep(10.0)
            following.halt("the replay is over")
            await watching
            await following.end("the replay is over")
            await following.journal.close()
            return Watched(folder, None, following.offset, replayer, extra)

        result = registry.virtual_run(main, epoch_utc_ns=probe.epoch_utc_ns)
        result.finding = projected(result.folder)
        return result

    return watched
