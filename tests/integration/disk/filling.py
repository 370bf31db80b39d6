"""Run inside a mount namespace of its own: a recorder on a small tmpfs that fills up, has room again, and dies, over and over.

usage: filling.py MOUNT LIVES SEED…. Each life goes on with the journal of the one before. Somebody else's file leaves the disk a few
bytes, or room, from one record to the next; at the end of a life the process dies as by kill -9, on a full disk or not. What it has
acknowledged comes through a pipe. Each time: the journal has it, its chain holds, the public file opens, all on the disk as it is;
with room again ``recover`` and ``verify`` say yes. Prints one line a seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import traceback
from itertools import islice
from pathlib import Path
from typing import Any

import h5py

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from artificial_night import Night, archived

from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.recorder import journal as writing
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover, verify

SIZE = 24 << 20
NIGHT = Night(samples=100_000, fids=1_000, points=512, per_block=10)
RECORDS_A_LIFE, LONGEST_FULL = 300, 40
writing.RETRY_S = 0.005


class Disk:
    """The mount, and a file of somebody else's on it."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self.filler = mount / "filler"
        self.scratch = mount.parent

    def leave(self, free_bytes: int) -> None:
        """Fill it until so much is free."""
        with self.filler.open("ab", buffering=0) as file:
            while (more := shutil.disk_usage(self.mount).free - free_bytes) > 0:
                try:
                    file.write(bytes(min(more, 1 << 20)))
                except OSError:
                    return

    def make_room(self) -> None:
        """The other file is gone."""
        self.filler.unlink(missing_ok=True)


def with_files(data: dict[str, Any], folder: Path, disk: Disk) -> dict[str, Any]:
    """Raw files, really archived: the runner waits for room, and what stood in the way is moved."""
    try:
        return archived(data, folder, disk.scratch)
    except OSError:
        disk.make_room()
        return archived(data, folder, disk.scratch)


async def life(folder: Path, disk: Disk, seed: str, acknowledged: int) -> None:
    rng = random.Random(seed)
    path = folder / "journal.sqlite"
    journal = Journal.open(path, Clock()) if path.exists() else Journal.create(path, Clock())
    seconds = [0.0]
    observer = Observer(folder, cadence_s=0.0, monotonic=lambda: seconds[0])
    full, left, ends = False, rng.randint(1, 60), rng.randint(20, RECORDS_A_LIFE)
    for n, (kind, data, blob, at) in enumerate(islice(NIGHT.told(), journal.last_seq, None)):
        seq = journal.put(kind, with_files(data, folder, disk) if kind == "raw.archived" else data, blob=blob, at=at)
        left -= 1
        if left == 0:
            full, left = not full, rng.randint(1, LONGEST_FULL)
            disk.leave(rng.choice((0, 0, 4096, 30_000, 200_000))) if full else disk.make_room()
        if n == ends:
            os._exit(0)
        if rng.random() < 0.3:
            try:
                await journal.durable(seq)
                os.write(acknowledged, b"%d\n" % seq)
            except JournalError:
                os.write(acknowledged, b"-1\n")
                await asyncio.sleep(0.001)
        if rng.random() < 0.1:
            seconds[0] += 5.0
            if observer.broken:
                observer.close()
                observer = Observer(folder, cadence_s=0.0, monotonic=lambda: seconds[0])
            observer.step()


def lived(folder: Path, disk: Disk, seed: str) -> tuple[int, int]:
    """One life in a process of its own: the last number that it has acknowledged, and how often it could not."""
    reading, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(life(folder, disk, seed, telling))
        except BaseException:  # noqa: BLE001 a child never comes back
            traceback.print_exc()
        os._exit(1)
    os.close(telling)
    with os.fdopen(reading) as pipe:
        said = [int(line) for line in pipe]
    assert os.waitpid(child, 0)[1] == 0, f"life {seed} failed"
    return max(said, default=0), said.count(-1)


def looked_at(folder: Path, acknowledged: int) -> int:
    """How many records there are, none of those that were acknowledged missing."""
    with Reader(folder / "journal.sqlite") as reader:
        last_seq = reader.last_seq
        assert last_seq >= acknowledged, (last_seq, acknowledged)
        assert reader.check_chain() is None
    with h5py.File(folder / "run.h5", "r") as file:
        assert len({len(node) for node in file["entry/electrochemistry"].values()}) == 1
    return last_seq


def whole(folder: Path) -> None:
    found = recover(folder)
    assert found.ok, found.lines
    found = verify(folder)
    assert found.ok, found.lines


def filled(mount: Path, seed: int, lives: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mount)], check=True)
    try:
        disk, folder, acknowledged = Disk(mount), mount / "run", 0
        folder.mkdir()
        for number in range(lives):
            last, refused = lived(folder, disk, f"{seed} {number}")
            acknowledged, died = max(acknowledged, last), "full" if disk.filler.exists() else "free"
            records = looked_at(folder, acknowledged)
            disk.make_room()
            if records:  # who dies before the first one is written leaves nothing to recover
                whole(folder)
            sys.stdout.write(f"seed {seed} life {number}: {acknowledged} acknowledged, {refused} times refused, died on a {died} disk\n")
            sys.stdout.flush()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


if __name__ == "__main__":
    for one in sys.argv[3:]:
        filled(Path(sys.argv[1]), int(one), int(sys.argv[2]))
