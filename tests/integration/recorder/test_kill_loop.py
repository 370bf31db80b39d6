"""A kill loop: a writer of samples and FIDs and its observer, both killed at random instants, again and again on one run.

The killer holds the pipe that the acknowledgements come through: what the writer said stays said. Short here; ``make soak``
runs hundreds at the real pace of 100 samples and one FID a second.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from types import ModuleType

import h5py
import pytest

from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import recover, verify

pytestmark = pytest.mark.posix_only
NURSERY = Path(__file__).parent / "nursery.py"
KILLS, FAST_s = 20, 0.01
KILLS_SOAK, REAL_s = 300, 0.1


def nursery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nursery", NURSERY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Victims:
    """Writer and observer of one run folder, and everything that the writer has ever acknowledged."""

    def __init__(self, folder: Path, pace_s: float) -> None:
        self.folder = folder
        self.acknowledged = 0
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._nursery = subprocess.Popen(
            [sys.executable, str(NURSERY), str(folder), str(writing), str(pace_s)],
            pass_fds=(writing,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        os.close(writing)
        self._rest = b""

    def live_and_die(self, words: int, life_s: float, *, observer: bool) -> None:
        """Both start; so long after so many words both are killed, the observer first or last."""
        pids = [int(pid) for pid in self._ask("go").split()]
        heard = 0
        while heard < len(pids) + words:
            heard += self._hear()
            time.sleep(0.0005)
        time.sleep(life_s)
        for pid in reversed(pids) if observer else pids:
            os.kill(pid, signal.SIGKILL)
        assert self._ask("") == "gone\n"
        self._hear()

    def _ask(self, line: str) -> str:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(f"{line}\n")
        return self._nursery.stdout.readline()

    def _hear(self) -> int:
        try:
            self._rest += os.read(self._reading, 1 << 20)
        except BlockingIOError:
            return 0
        *lines, self._rest = self._rest.split(b"\n")
        self.acknowledged = max([self.acknowledged, *map(int, lines)])
        return len(lines)

    def close(self) -> None:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait()
        self._nursery.stdout.close()
        os.close(self._reading)


def plain(path: Path) -> int:
    """Rows of the published file, opened as anybody would."""
    with h5py.File(path, "r") as file:
        (rows,) = {len(node) for node in file["entry/electrochemistry"].values() if isinstance(node, h5py.Dataset)}
        for group in file["entry/fid"].values():
            assert len({len(group[name]) for name in ("fid", "key", "block")}) == 1
        return int(rows)


def kill_again_and_again(folder: Path, kills: int, pace_s: float, most_words: int, longest_s: float, seed: int) -> None:
    rng = random.Random(seed)
    victims, rows, published = Victims(folder, pace_s), 0, 0
    try:
        for _ in range(kills):
            before = victims.acknowledged
            victims.live_and_die(rng.randint(0, most_words), rng.uniform(0.0, longest_s), observer=rng.random() < 0.5)
            with Reader(folder / "journal.sqlite") as reader:
                assert reader.last_seq >= victims.acknowledged >= before
                assert reader.check_chain() is None
            if (folder / "run.h5").exists():
                before, rows = rows, plain(folder / "run.h5")
                assert rows >= before, "what was public stays public"
                dumped = subprocess.run(["h5dump", "-H", str(folder / "run.h5")], capture_output=True, check=False)
                assert (dumped.returncode, dumped.stderr) == (0, b"")
                published += 1
    finally:
        victims.close()
    assert published > kills // 2
    assert victims.acknowledged > kills
    told = islice(nursery().artificial_night().told(), victims.acknowledged)
    with Reader(folder / "journal.sqlite") as reader:
        for event, (kind, _, blob, at) in zip(reader.since(0, 1 << 30), told, strict=False):
            assert (event.kind, event.blob, event.mono_ns) == (kind, blob, at.mono_ns), event.seq
    assert recover(folder).ok
    assert plain(folder / "run.h5") >= rows
    finding = verify(folder)
    assert [line for line in finding.lines if "DIFFERS" in line] == []


@pytest.mark.timeout(300)
@pytest.mark.needs("h5dump")
def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, KILLS, FAST_s, 12, 0.05, seed=3)


@pytest.mark.soak
@pytest.mark.needs("h5dump")
@pytest.mark.parametrize("seed", range(4))
def test_hundreds_of_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    kill_again_and_again(tmp_path, KILLS_SOAK, REAL_s if seed % 2 else FAST_s, 30, 0.35, seed)
