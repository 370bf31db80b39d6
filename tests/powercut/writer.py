"""The recorder at work, to be run under ``iolog.so``: journal, observer, raw archive of an artificial night.

usage: writer.py FOLDER SCRATCH SAMPLES FIDS. What has been acknowledged stands in FOLDER/ACKNOWLEDGED. It never closes anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import struct
import sys
from pathlib import Path
from typing import Any

from drivers.base import RawFile
from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.recorder.journal import Journal
from orchestrator.runner.archive import archive

NIGHT = Path(__file__).parent.parent / "unit" / "recorder" / "conftest.py"
EVENTS_A_COMMIT, COMMITS_A_STEP = 3, 2


def artificial_night() -> Any:
    spec = importlib.util.spec_from_file_location("artificial_night", NIGHT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Night


def archived(data: dict[str, Any], folder: Path, scratch: Path) -> dict[str, Any]:
    """Raw files of this acquisition, really archived; the event as the Runner would put it."""
    files = []
    for name in ("fid", "procpar"):
        source = scratch / f"{data['key']}-{name}"
        content = hashlib.sha256(source.name.encode()).digest() * 300
        source.write_bytes(content)
        files.append(RawFile(path=source, name=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content)))
    archive(files, folder / data["folder"])
    return {**data, "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]}


async def main(folder: Path, scratch: Path, samples: int, fids: int) -> None:
    told = list(artificial_night()(samples=samples, fids=fids, points=128).told())
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
