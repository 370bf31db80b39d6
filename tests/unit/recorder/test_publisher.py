"""run.h5 in its public place: always whole, cheap to publish, left alone by the writer for a while."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from orchestrator.recorder import publisher as module
from orchestrator.recorder.appends import size_bytes
from orchestrator.recorder.digest import digest
from orchestrator.recorder.h5file import Appender, create_file
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import Publisher, REST_s, publish_empty


class Wall:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def fed(tmp_path: Path, night: Any, wall: Wall) -> Any:
    """A publisher and a function that adds the next events of a night and publishes, one cadence later."""
    publisher = Publisher(tmp_path, monotonic=wall, utc_ns=lambda: 1_790_000_000_000_000_000 + int(wall.now_s * 1e9))
    projection = Projection()
    events = iter(night(samples=900, fids=3, points=64).events())

    def go_on(n: int = 10, after_s: float = 5.0) -> bool:
        wall.now_s += after_s
        batch = list(itertools.islice(events, n))
        publisher.add(projection.feed(batch), projection.seq)
        return publisher.publish()

    yield publisher, go_on
    publisher.close()


def rows(path: Path) -> int:
    with h5py.File(path, "r") as file:
        return int(file["entry/electrochemistry/voltage"].shape[0])


def test_empty_and_valid_before_the_first_current(tmp_path: Path) -> None:
    path = publish_empty(tmp_path)
    with h5py.File(path, "r") as file:
        assert file["entry/electrochemistry/voltage"].shape == (0,)
        assert file["entry"].attrs["journal_seq"] == 0
        assert file["entry"].attrs["published_utc"].decode().endswith("Z")
    before = path.stat().st_ino
    assert publish_empty(tmp_path).stat().st_ino == before
    assert [child.name for child in tmp_path.iterdir()] == ["run.h5"]


def test_each_publication_holds_everything_so_far(fed: Any) -> None:
    publisher, go_on = fed
    for n in range(1, 21):
        assert go_on()
        assert publisher.pending == 0
        assert rows(publisher.public) == n * 10 - 4
        with h5py.File(publisher.public, "r") as file:
            assert file["entry"].attrs["journal_seq"] == n * 10
            assert file["entry"].attrs["published_utc"].decode() == f"2026-09-21T14:{30 + (n * 5) // 60:02}:{n * 5 % 60:02}.000000Z"


def test_no_inode_is_written_within_half_a_minute_of_having_been_public(fed: Any, wall: Wall) -> None:
    publisher, go_on = fed
    withdrawn: dict[int, float] = {}
    inodes = set()
    for _ in range(40):
        public = publisher.public.stat().st_ino if publisher.public.exists() else None
        go_on()
        now = publisher.public.stat().st_ino
        assert now != public
        assert wall.now_s - withdrawn.get(now, -1e9) >= REST_s
        if public is not None:
            withdrawn[public] = wall.now_s
        inodes.add(now)
    assert len(inodes) == 7


def test_a_publication_appends_only_what_its_inode_lacks(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, go_on = fed
    applied: list[int] = []
    true_apply = Appender.apply
    monkeypatch.setattr(Appender, "apply", lambda self, appends: (applied.append(len(appends)), true_apply(self, appends)))
    copied: list[str] = []
    true_copy = shutil.copyfile
    monkeypatch.setattr(module.shutil, "copyfile", lambda a, b: (copied.append(b), true_copy(a, b)))
    for _ in range(60):
        go_on()
    assert len(copied) == 6
    assert max(applied[-20:]) <= 8 * 60
    assert len(publisher._log) <= 8 * 60


def test_an_inode_that_a_reader_holds_is_given_up_to_him(fed: Any) -> None:
    publisher, go_on = fed
    for _ in range(10):
        go_on()
    reader = os.open(publisher.public, os.O_RDONLY)
    import fcntl

    fcntl.flock(reader, fcntl.LOCK_SH)  # what another process's HDF5 does on opening
    inode, before = os.fstat(reader).st_ino, os.pread(reader, 1 << 24, 0)
    used = set()
    for _ in range(20):
        go_on()
        used.add(publisher.public.stat().st_ino)
    assert inode not in used
    assert os.pread(reader, 1 << 24, 0) == before
    os.close(reader)


def test_a_reader_in_the_same_process_is_a_reader_too(fed: Any) -> None:
    publisher, go_on = fed
    go_on()
    with h5py.File(publisher.public, "r") as file:
        seen = file["entry/electrochemistry/voltage"][()].tolist()
        for _ in range(10):
            assert go_on()
        assert file["entry/electrochemistry/voltage"][()].tolist() == seen
    assert rows(publisher.public) == 106


def test_a_torn_inode_is_replaced(fed: Any, tmp_path: Path) -> None:
    publisher, go_on = fed
    for _ in range(3):
        go_on()
    for path in (tmp_path / ".run.h5.ring").glob("*.h5"):
        if path.stat().st_ino != publisher.public.stat().st_ino:
            path.write_bytes(path.read_bytes()[:500])
    for n in range(4, 14):
        go_on()
        assert rows(publisher.public) == n * 10 - 4


def test_a_full_disk_leaves_the_public_file_and_loses_nothing(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, go_on = fed
    go_on()
    good = publisher.public.read_bytes()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "sync_file", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                go_on()
            assert publisher.public.read_bytes() == good
    go_on()
    assert rows(publisher.public) == 46


def test_a_refused_rename_is_tried_again(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, go_on = fed
    go_on()
    good = publisher.public.read_bytes()

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "in use by another process")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        assert not go_on()
        assert not go_on()
        assert "in use" in publisher.refused
        assert publisher.pending > 0
        assert publisher.public.read_bytes() == good
    assert go_on()
    assert publisher.refused is None
    assert rows(publisher.public) == 36


def test_without_hard_links_it_copies(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    publisher, go_on = fed
    for n in range(1, 12):
        assert go_on()
        assert rows(publisher.public) == n * 10 - 4


def test_at_the_end_one_file_stays(fed: Any, tmp_path: Path) -> None:
    publisher, go_on = fed
    for _ in range(12):
        go_on()
    before = digest(publisher.public)
    publisher.close()
    assert [child.name for child in tmp_path.iterdir()] == ["run.h5"]
    assert publisher.public.stat().st_nlink == 1
    assert digest(publisher.public) == before


def test_publishing_for_long_does_not_grow_the_file(fed: Any) -> None:
    publisher, go_on = fed
    go_on(900)
    for _ in range(20):
        go_on(0)
    size = publisher.public.stat().st_size
    for _ in range(40):
        go_on(0)
    assert publisher.public.stat().st_size <= size


def test_the_newer_publisher_takes_the_place_of_the_older(tmp_path: Path) -> None:
    (tmp_path / ".run.h5.ring").mkdir()
    (tmp_path / ".run.h5.ring" / "000001.h5").write_text("left over from a process that died")
    publisher = Publisher(tmp_path)
    assert publisher.publish()
    assert rows(tmp_path / "run.h5") == 0
    publisher.close()


def test_a_plan_counts_as_many_copies_as_the_ring_holds() -> None:
    from orchestrator.plan import estimate
    from orchestrator.recorder.publisher import CHAPTER_BYTES, CADENCE_s, REST_s

    assert REST_s / CADENCE_s + 1 == estimate.HDF5_COPIES_RUNNING
    assert estimate.CHAPTER_BYTES == CHAPTER_BYTES


def whole(path: Path, events: list[Any]) -> Path:
    """The same events in a file that was written once."""
    create_file(path)
    with h5py.File(path, "r+") as file:
        Appender(file).apply(Projection().feed(events))
    return path


def test_what_resting_inodes_lack_takes_no_more_memory_than_agreed(
    fed: Any, night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 20_000)
    monkeypatch.setattr(module, "KEPT_OF_FILE", 0.0)
    publisher, go_on = fed
    for n in range(1, 40):
        assert go_on(20, after_s=0.1)  # fast motion: no inode has ever rested long enough
        assert size_bytes(publisher._log) <= 20_000
        with h5py.File(publisher.public, "r") as file:
            assert file["entry"].attrs["journal_seq"] == n * 20
    events = night(samples=900, fids=3, points=64).events()[: 39 * 20]
    assert digest(publisher.public) == digest(whole(tmp_path / "whole.h5", events))
    assert len(list(publisher.public.parent.glob(".run.h5.ring/*.h5"))) < 8


def test_it_says_when_so_much_waits_that_it_should_be_published(fed: Any, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, go_on = fed
    monkeypatch.setattr(module, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(module, "KEPT_OF_FILE", 0.0)
    go_on()
    assert not publisher.full
    publisher.add(Projection().feed(night(samples=2000, fids=0).events()[:1500]), 1)
    assert publisher.full
