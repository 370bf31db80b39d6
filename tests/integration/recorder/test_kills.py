"""Real SIGKILLs at random moments: what was acknowledged is there, the chain is whole, run.h5 always opens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.recorder.journal import Journal, Reader
from orchestrator.recorder.reader import open_run

KILLS = 10

WRITER = """
    import asyncio, os, sys
    from pathlib import Path
    from drivers.clock import Clock
    from orchestrator.recorder.journal import Journal

    async def main(path, pipe):
        clock = Clock()
        journal = Journal.open(path, clock) if path.exists() else Journal.create(path, clock)
        os.write(pipe, b"0\\n")
        while True:
            for _ in range(10):
                seq = journal.put("note", {"text": "x" * (journal.last_seq % 50), "who": "me"})
            if seq % 50 == 0:
                seq = journal.put("note", {"text": "fid", "who": "me"}, blob=bytes(50_000))
            await journal.durable(seq)
            os.write(pipe, b"%d\\n" % seq)

    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.mark.posix_only
def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    """The acknowledgements are read from a pipe that the killer holds: what the writer said stays said."""
    rng = random.Random(11)
    path = tmp_path / "journal.sqlite"
    acknowledged = 0
    for _ in range(KILLS):
        reading, writing = os.pipe()
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(writing)]
        child = subprocess.Popen(command, pass_fds=(writing,))
        os.close(writing)
        said = os.read(reading, 100)
        time.sleep(rng.uniform(0.001, 0.12))
        child.send_signal(signal.SIGKILL)
        child.wait()
        while more := os.read(reading, 65536):
            said += more
        os.close(reading)
        lines = said.split(b"\n")[:-1]
        acknowledged = max(acknowledged, *map(int, lines))
        with Reader(path) as reader:
            assert reader.last_seq >= acknowledged
            assert reader.check_chain() is None
    assert acknowledged > KILLS * 10


@pytest.mark.posix_only
async def test_a_killed_observer_leaves_a_file_that_opens(tmp_path: Path, night: Any) -> None:
    """Kills between and within publications; the plain open never fails and what is there is a prefix of the truth."""
    rng = random.Random(12)
    told = list(night(samples=400, fids=6, points=256).told())
    journal = Journal.create(tmp_path / "journal.sqlite", Clock())
    voltage = np.array([], float)
    code = f"""
        from pathlib import Path
        from orchestrator.observer.observer import Observer
        observer = Observer(Path({str(tmp_path)!r}), cadence_s=0.005)
        print("up", flush=True)
        while observer.step():
            pass
    """
    for kill in range(KILLS):
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child:
            assert child.stdout.readline() == b"up\n"
            until = time.monotonic() + rng.uniform(0.01, 0.25)
            for kind, data, blob, at in told[kill * 40 : kill * 40 + 40]:
                journal.put(kind, data, blob=blob, at=at)
            await journal.durable(journal.last_seq)
            while time.monotonic() < until:
                pass
            child.kill()
        with h5py.File(tmp_path / "run.h5", "r") as file:
            voltage = file["entry/electrochemistry/voltage"][()]
            assert len(file["entry/electrochemistry/time"]) == len(voltage)
            for group in file["entry/fid"].values():
                rows = [name for name in group if isinstance(group[name], h5py.Dataset) and name != "acquisition_time"]
                assert len({len(group[name]) for name in rows}) == 1
                assert len({len(column) for column in group["parameters"].values()}) == 1
    for kind, data, blob, at in told[KILLS * 40 :]:
        journal.put(kind, data, blob=blob, at=at)
    await journal.close()
    observer = Observer(tmp_path)
    while observer.step():
        pass
    observer.close()
    assert observer.finding is not None
    assert observer.finding.ok, observer.finding.lines
    with open_run(tmp_path) as run:
        assert np.array_equal(run.electrochemistry["voltage"][: len(voltage)], voltage)
        assert len(run.electrochemistry["voltage"]) == 400
