"""A process that has everything imported and forks a writer and an observer whenever it is asked to; the killer does the rest.

usage: nursery.py FOLDER ACKNOWLEDGED PACE_S. Each line on stdin forks both, whose pids are answered; an empty line waits for
them and answers their end. The writer goes on where the journal ends: 10 samples every PACE_S, a FID every 100 samples; what
``durable`` has returned for goes to the descriptor ACKNOWLEDGED, and each says a first number there when it is up. Neither
outlives the nursery.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
import traceback
from itertools import islice
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.recorder.journal import Journal

NIGHT = Path(__file__).parents[2] / "unit" / "recorder" / "conftest.py"


def artificial_night() -> Any:
    spec = importlib.util.spec_from_file_location("artificial_night", NIGHT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Night(samples=1_000_000, fids=10_000, points=2048, per_block=10)


async def write(folder: Path, acknowledged: int, pace_s: float, parent: int) -> None:
    path = folder / "journal.sqlite"
    journal = Journal.open(path, Clock()) if path.exists() else Journal.create(path, Clock())
    os.write(acknowledged, b"%d\n" % journal.durable_seq)
    for kind, data, blob, at in islice(artificial_night().told(), journal.last_seq, None):
        seq = journal.put(kind, data, blob=blob, at=at)
        if kind in {"ec.block", "acquisition.stored"}:
            await journal.durable(seq)
            os.write(acknowledged, b"%d\n" % seq)
        if kind == "ec.block":
            await asyncio.sleep(pace_s)
        if os.getppid() != parent:
            return


def observe(folder: Path, acknowledged: int, parent: int) -> None:
    while not (folder / "journal.sqlite").exists():
        time.sleep(0.001)
    observer = Observer(folder, cadence_s=0.01)
    os.write(acknowledged, b"0\n")
    while observer.step() and os.getppid() == parent:
        time.sleep(0.005)


def fork(work: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except Exception:  # noqa: BLE001 a child never comes back into the nursery
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def main() -> None:
    folder, acknowledged, pace_s, parent = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), os.getpid()
    pids: list[int] = []
    for line in sys.stdin:
        if line.strip():
            pids = [
                fork(lambda: asyncio.run(write(folder, acknowledged, pace_s, parent))),
                fork(lambda: observe(folder, acknowledged, parent)),
            ]
            print(*pids, flush=True)
        else:
            for pid in pids:
                os.waitpid(pid, 0)
            print("gone", flush=True)


if __name__ == "__main__":
    main()
