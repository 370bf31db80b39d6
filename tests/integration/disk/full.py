"""Run inside a mount namespace of its own: a whole `operando run` on a small tmpfs that somebody fills up meanwhile.

usage: full.py EXPERIMENT RIG MOUNT OUT ACKNOWLEDGED. The run's folder is copied to OUT; each acknowledged number goes to the
descriptor ACKNOWLEDGED. Exits with the run's code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from orchestrator.plan import estimate
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.records import Reader
from orchestrator.rig.gather import gather
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest
from orchestrator.runner import disk

SIZE = 48 << 20
estimate.BALLAST_LEAST_BYTES, estimate.BALLAST_s = 4 << 20, 1.0
disk.LOOK_S, disk.LOW_LOOK_S, disk.SETTLE_S = 0.3, 0.1, 1.5
PATIENCE_S = 60.0


def acknowledging(pipe: int) -> None:
    durable = Journal.durable

    async def told(journal: Journal, seq: int) -> None:
        await durable(journal, seq)
        os.write(pipe, b"%d\n" % seq)

    Journal.durable = told  # type: ignore[method-assign]


def until(mount: Path, kind: str, **data: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for journal in mount.glob("*/journal.sqlite"):
            with Reader(journal) as reader:
                if any(e.kind == kind and all(e.data.get(k) == v for k, v in data.items()) for e in reader.events()):
                    return
        time.sleep(0.05)
    sys.stderr.write(f"no {kind} {data}\n")
    os._exit(99)


def leave(mount: Path, free_bytes: int) -> None:
    """Fill the disk until so much is free."""
    with (mount / "filler").open("ab") as file:
        more = shutil.disk_usage(mount).free - free_bytes
        while more > 0:
            try:
                file.write(bytes(min(more, 65536)))
                file.flush()
            except OSError:
                return
            more -= 65536


def fill(mount: Path, needed_bytes: int) -> None:
    until(mount, "acquisition.verified")
    leave(mount, needed_bytes)
    until(mount, "alarm.raised", id="disk", level="alarm")
    leave(mount, 0)
    until(mount, "alarm.raised", id="disk-full", level="alarm")
    leave(mount, 0)


def main() -> int:
    experiment, rig, mount, out = map(Path, sys.argv[1:5])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mount)], check=True)
    acknowledging(int(sys.argv[5]))
    gathered = gather(RunRequest(experiment, rig, mount, speed=60.0, display="none"))
    threading.Thread(target=fill, args=(mount, gathered.plan.size_bytes // 2), daemon=True).start()
    ended = run(gathered)
    shutil.copytree(ended.folder, out)
    return ended.outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
