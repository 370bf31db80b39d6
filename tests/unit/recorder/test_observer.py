"""The observer: follows, survives what comes late or dies, ends tidily."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import Clock
from orchestrator.observer.observer import Observer
from orchestrator.observer.process import follow
from orchestrator.recorder import publisher
from orchestrator.recorder.digest import digest
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.recover import ObserverRuns


class Wall:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def samples(folder: Path) -> int:
    with open_run(folder) as run:
        return len(run.electrochemistry["voltage"])


async def test_it_follows_a_growing_journal_at_its_cadence(tmp_path: Path, night: Any) -> None:
    wall = Wall()
    observer = Observer(tmp_path, monotonic=wall)
    assert samples(tmp_path) == 0
    assert observer.step()
    journal = Journal.create(tmp_path / "journal.sqlite", Clock())
    for n, (kind, data, blob, at) in enumerate(night(samples=100, fids=1).told()):
        seq = journal.put(kind, data, blob=blob, at=at)
        if n % 10 == 0:
            await journal.durable(seq)
            wall.now_s += 2.5
            if not observer.step():
                break
            assert observer.seq == seq
            if n == 10:
                assert samples(tmp_path) == 0  # published at n == 0; 2.5 s are less than the cadence
            if n == 20:
                assert samples(tmp_path) == 17
    await journal.close()
    wall.now_s += 10
    assert not observer.step()
    assert not observer.step()
    observer.close()
    assert samples(tmp_path) == 100
    assert json.loads((tmp_path / "closeout.json").read_text())["ok"]


async def test_a_new_observer_begins_again_and_ends_the_same(tmp_path: Path, night: Any) -> None:
    maker = night(samples=60, fids=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in (tmp_path / "a", tmp_path / "b"):
        journal = Journal.create(folder / "journal.sqlite", Clock())
        told = list(maker.told())
        for kind, data, blob, at in told[:30]:
            journal.put(kind, data, blob=blob, at=at)
        await journal.durable(30)
        first = Observer(folder, cadence_s=0)
        first.step()
        if folder.name == "b":
            first._own.close()  # as a death does; its ring stays behind
            first._reader.close()
            first = Observer(folder, cadence_s=0)
        for kind, data, blob, at in told[30:]:
            journal.put(kind, data, blob=blob, at=at)
        await journal.close()
        while first.step():
            pass
        first.close()
    assert digest(tmp_path / "a/run.h5") == digest(tmp_path / "b/run.h5")


async def test_an_early_stop_publishes_what_is_there_without_a_close_out(tmp_path: Path, night: Any) -> None:
    await night(samples=30, fids=0, ended=False).write(tmp_path / "journal.sqlite")
    observer = Observer(tmp_path, cadence_s=1e9)
    observer.close()
    assert samples(tmp_path) == 30
    assert not (tmp_path / "closeout.json").exists()
    assert not (tmp_path / ".run.h5.ring").exists()


async def test_one_observer_a_run(tmp_path: Path) -> None:
    observer = Observer(tmp_path)
    with pytest.raises(ObserverRuns):
        Observer(tmp_path)
    assert follow(tmp_path) == 2
    observer.close()
    Observer(tmp_path).close()


async def test_a_full_disk_is_waited_for(tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    observer = Observer(tmp_path, monotonic=wall)
    await night(samples=30, fids=0, ended=False).write(tmp_path / "journal.sqlite")

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(publisher, "sync_file", full)
        assert observer.step()
        assert "No space left" in str(observer.trouble)
        assert samples(tmp_path) == 0
    wall.now_s += 1
    assert observer.step()
    assert observer.trouble is None
    assert samples(tmp_path) == 30
    observer.close()


async def test_a_close_out_that_fails_says_so(tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await night(samples=30, fids=0).write(tmp_path / "journal.sqlite")
    observer = Observer(tmp_path)

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publisher, "sync_file", full)
    while observer.step():
        pass
    observer.close()
    told = json.loads((tmp_path / "closeout.json").read_text())
    assert told["ok"] is False
    assert "No space left" in told["lines"][0]


async def test_a_stale_close_out_does_not_pass_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "closeout.json").write_text('{"ok": true}')
    observer = Observer(tmp_path)
    assert not (tmp_path / "closeout.json").exists()
    observer.close()


async def test_a_quiet_journal_is_only_looked_at(tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    await night(samples=5, fids=0, ended=False).write(tmp_path / "journal.sqlite")
    observer = Observer(tmp_path, monotonic=wall)
    for _ in range(3):
        wall.now_s += 0.5
        observer.step()
    reads: list[int] = []
    true_since = observer._reader.since
    monkeypatch.setattr(observer._reader, "since", lambda *arguments: (reads.append(1), true_since(*arguments))[1])
    for _ in range(8):
        wall.now_s += 0.5
        assert observer.step()
    assert len(reads) == 2
    observer.close()


@pytest.mark.posix_only
@pytest.mark.parametrize("how", ["-m orchestrator.observer", "-m orchestrator observe"])
async def test_the_process_stops_tidily_when_asked(tmp_path: Path, night: Any, how: str) -> None:
    child = subprocess.Popen([sys.executable, *how.split(), str(tmp_path)], stderr=subprocess.PIPE)
    try:
        wait_until((tmp_path / "run.h5").exists, child)
        await night(samples=30, fids=0, ended=False).write(tmp_path / "journal.sqlite")
        wait_until(lambda: samples(tmp_path) == 30, child)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.communicate()
    assert samples(tmp_path) == 30
    assert not (tmp_path / ".run.h5.ring").exists()


async def test_the_process_ends_with_the_run(tmp_path: Path, night: Any) -> None:
    await night(samples=30, fids=1, points=32).write(tmp_path / "journal.sqlite")
    child = subprocess.run([sys.executable, "-m", "orchestrator.observer", str(tmp_path)], timeout=40, capture_output=True, check=False)
    assert (child.returncode, child.stderr) == (0, b"")
    assert json.loads((tmp_path / "closeout.json").read_text())["ok"]
    assert samples(tmp_path) == 30


def wait_until(true: Any, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 40
    while not true():
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.05)
