"""The recorder at work, to be run under ``iolog.so``: journal, observer, raw archive of an artificial night.

usage: writer.py FOLDER SCRATCH SAMPLES FIDS. What has been acknowledged stands in FOLDER/ACKNOWLEDGED. It never closes anything.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from artificial_night import Night, archived

from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.recorder.journal import Journal

EVENTS_A_COMMIT, COMMITS_A_STEP = 3, 2


async def main(folder: Path, scratch: Path, samples: int, fids: int) -> None:
    told = list(Night(samples=samples, fids=fids, points=128).told())
    acknowledged = os.open(folder / "ACKNOWLEDGED", os.O_CREAT | os.O_WRONLY)
    seconds = [0.0]
    (folder / "raw").mkdir()
    journal = Journal.create(folder / "journal.sqlite", Clock())
    observer = Observer(folder, cadence_s=0.0, monotonic=lambda: seconds[0])
    for n, (kind, data, blob, at) in enumerate(told):
        seq = journal.put(kind, archived(data, folder, scratch) if kind == "raw.archived" else data, blob=blob, at=at)
        if n % EVENTS_A_COMMIT and n != len(told) - 1:
            continue
        await journal.durable(seq)
        os.pwrite(acknowledged, struct.pack("<q", seq), 0)
        if n % (EVENTS_A_COMMIT * COMMITS_A_STEP) == 0:
            seconds[0] += 5.0
            observer.step()
    while observer.step():
        seconds[0] += 5.0
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
