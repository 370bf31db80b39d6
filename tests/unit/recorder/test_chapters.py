"""A long run in chapters: the same content and the same digest as in one file, at every publication, at the same cost."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from orchestrator.model.columns import pack, unpack
from orchestrator.model.events import Event
from orchestrator.recorder import publisher as module
from orchestrator.recorder.chapters import FOLDER, found_in
from orchestrator.recorder.digest import digest
from orchestrator.recorder.projection import Projection
from orchestrator.recorder.publisher import PUBLIC, Publisher
from orchestrator.recorder.reader import ChapterMissing, open_run

BATCH = 30
AT_ONCE = 1
"""A chapter size that every publication with rows exceeds: every second one closes a chapter."""


class Wall:
    """A clock that a test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def with_novelties(events: list[Event]) -> list[Event]:
    """The night, with an optional column and another acquisition from its middle on, as real runs have."""
    changed = []
    for event in events:
        later = event.seq > len(events) // 2
        if later and event.kind == "ec.block":
            columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
            described, blob = pack({**columns, "device_ns": columns["mono_ns"] + 7})
            changed.append(replace(event, data={**event.data, "columns": described}, blob=blob))
        elif later and event.data.get("name") == "li":
            changed.append(replace(event, data={**event.data, "name": "na"}))
        else:
            changed.append(event)
    return changed


@pytest.fixture(scope="module")
def events(night: Any) -> list[Event]:
    return with_novelties(night(samples=190, fids=4, points=64).events())


class Published:
    """A publisher of a folder that is fed a batch of the night and publishes, one cadence later."""

    def __init__(self, folder: Path, events: list[Event], chapter_bytes: int, resume_to: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.wall = Wall()
        self.publisher = Publisher(folder, monotonic=self.wall, chapter_bytes=chapter_bytes, resume_to=resume_to)
        self._projection = Projection()
        self._events = iter(events)
        self.path = folder / PUBLIC

    def go_on(self, n: int = BATCH) -> bool:
        self.wall.now_s += 5
        batch = list(itertools.islice(self._events, n))
        if batch:
            self.publisher.take(self._projection, batch)
            self.publisher.publish()
        return bool(batch)


@pytest.fixture(scope="module")
def plain_digests(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The digest after each publication of the night in one file."""
    plain = Published(tmp_path_factory.mktemp("plain"), events, 1 << 60)
    found = []
    while plain.go_on():
        found.append(digest(plain.path))
    assert not (plain.path.parent / FOLDER).exists()
    return found


def test_the_digest_is_that_of_one_file_at_every_publication(tmp_path: Path, events: list[Event], plain_digests: list[str]) -> None:
    """And no closed chapter is written again; each is a run file of its own rows."""
    run = Published(tmp_path, events, AT_ONCE)
    seen: dict[str, bytes] = {}
    for expected in plain_digests:
        assert run.go_on()
        assert digest(run.path) == expected
        for path in (tmp_path / FOLDER).glob("*.h5"):
            assert seen.setdefault(path.name, path.read_bytes()) == path.read_bytes()
    assert len(seen) == len(list((tmp_path / FOLDER).iterdir())) == len(plain_digests) // 2 >= 4
    with open_run(tmp_path) as whole, open_run(tmp_path / FOLDER / "0002.h5") as chapter:
        rows = found_in(tmp_path, len(events)).closed[1].rows["electrochemistry"]
        assert chapter.electrochemistry["time"].tolist() == whole.electrochemistry["time"][slice(*rows)].tolist()
        assert chapter.electrochemistry.units["charge_net"] == "mA h"


def test_rows_that_change_after_their_chapter_was_closed_are_shown_changed(
    tmp_path: Path, events: list[Event], plain_digests: list[str]
) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    fid = next(event.seq for event in events if event.kind == "fid.block")
    run.go_on(fid - 5)
    run.go_on(5)  # a chapter ends between a FID and its charges, its raw files and its verification
    while run.go_on():
        pass
    late = [key for chapter in found_in(tmp_path, len(events)).closed for key in chapter.late]
    assert {("acquisitions", "state"), ("fid/li", "charge_end"), ("fid/li", "state")} <= set(late)
    with open_run(tmp_path) as opened:
        assert set(opened.fid["li"]["state"]) == {"verified"}
        assert list(opened.fid["li"]["charge_valid"]) == [1] * len(opened.fid["li"]["key"])
        assert list(opened.spectra["na"]["state"]) == list(opened.fid["na"]["state"])
        assert opened.acquisitions["state"][-1] == "missed"
    assert digest(run.path) == plain_digests[-1]


def test_one_file_again_at_the_end(tmp_path: Path, events: list[Event], plain_digests: list[str]) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    while run.go_on():
        pass
    whole = run.publisher.gather()
    assert whole != run.path
    assert digest(whole) == plain_digests[-1]
    with h5py.File(run.path) as file:
        assert file["entry/electrochemistry/voltage"].is_virtual
    assert run.publisher.publish()
    run.publisher.close()
    assert [path.name for path in tmp_path.iterdir()] == [PUBLIC]
    with h5py.File(run.path) as file:
        assert set(file) == {"entry"}
        assert not file["entry/electrochemistry/voltage"].is_virtual
        assert "chapters" not in file["entry"].attrs
        assert file["entry/electrochemistry/voltage"].chunks == (2048,)
    assert digest(run.path) == plain_digests[-1]


def test_a_publication_writes_no_more_when_the_run_is_long(tmp_path: Path, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, not seconds: those the process hands to the system, and those it copies."""
    counter = Path("/proc/self/io")
    if not counter.exists():
        pytest.skip("no /proc/self/io here")
    copied: list[int] = []
    true_copy = shutil.copyfile
    monkeypatch.setattr(module.shutil, "copyfile", lambda a, b: (copied.append(Path(a).stat().st_size), true_copy(a, b)))
    run = Published(tmp_path, night(samples=700, fids=90, points=256).events(), 1_400_000)
    written, chapters, copies = [], [], []
    more = True
    while more:
        before = int(counter.read_text().split("wchar: ")[1].split()[0])
        copied.clear()
        more = run.go_on(45)
        written.append(int(counter.read_text().split("wchar: ")[1].split()[0]) - before)
        copies.append(sum(copied))
        chapters.append(len(list((tmp_path / FOLDER).glob("*.h5"))))
    one_third = len(written) // 3
    assert chapters[one_third] >= 2
    assert chapters[-1] >= 3 * chapters[one_third] - 3
    assert max(written[-one_third:]) < 1.3 * max(written[:one_third])
    assert max(copies) < 4_000_000 < sum(path.stat().st_size for path in (tmp_path / FOLDER).iterdir())


def test_a_reader_of_an_old_master_goes_on_reading_what_he_opened(
    tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    for _ in range(3):
        run.go_on()
    with h5py.File(run.path, "r") as old:
        seen = old["entry/electrochemistry/voltage"][()]
        assert len(seen) > 2 * BATCH - 50
        while run.go_on():
            assert np.array_equal(old["entry/electrochemistry/voltage"][()], seen)
        run.publisher.gather()
        assert run.publisher.publish()
        monkeypatch.setattr(module, "TRIES", 1)
        run.publisher.close()
        assert (tmp_path / FOLDER).exists()
        assert np.array_equal(old["entry/electrochemistry/current"][()], np.full(len(seen), 1e-3))
    assert module.remove_chapters(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [PUBLIC]


def test_chapters_that_the_public_file_needs_are_never_removed(tmp_path: Path, events: list[Event]) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    for _ in range(4):
        run.go_on()
    run.publisher.close()
    assert not module.remove_chapters(tmp_path)
    assert len(list((tmp_path / FOLDER).iterdir())) == 2
    with open_run(tmp_path) as opened:
        assert np.isfinite(opened.electrochemistry["voltage"]).all()


def test_a_copy_without_its_chapters_says_so(tmp_path: Path, events: list[Event]) -> None:
    run = Published(tmp_path / "run", events, AT_ONCE)
    for _ in range(4):
        run.go_on()
    shutil.copy(run.path, tmp_path / "copy.h5")
    with pytest.raises(ChapterMissing, match=r"copy\.h5 goes on in run\.h5\.chapters/0001\.h5, run\.h5\.chapters/0002\.h5"):
        open_run(tmp_path / "copy.h5")
    with h5py.File(tmp_path / "copy.h5") as file:
        assert np.isnan(file["entry/electrochemistry/voltage"][:10]).all()
        assert file["entry"].attrs["chapters"].tolist() == [f"{FOLDER}/0001.h5", f"{FOLDER}/0002.h5"]


def test_a_newer_publisher_goes_on_with_the_chapters_that_are_there(tmp_path: Path, events: list[Event], plain_digests: list[str]) -> None:
    first = Published(tmp_path, events, AT_ONCE)
    for _ in range(4):
        first.go_on()
    public = digest(first.path)
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / FOLDER).iterdir()}
    second = Published(tmp_path, events, 1 << 60, resume_to=4 * BATCH)
    for n in range(len(plain_digests)):
        assert second.go_on()
        assert digest(second.path) == (public if n < 3 else plain_digests[n])  # never back behind what is public
    assert {path.name: path.stat().st_ino for path in (tmp_path / FOLDER).iterdir()} == inodes


def test_a_chapter_that_was_closed_but_not_yet_shown_is_gone_on_with(tmp_path: Path, events: list[Event], plain_digests: list[str]) -> None:
    """Death between the closing of a chapter and the publication of the master that shows it."""

    class Died(BaseException):
        pass

    run = Published(tmp_path, events, AT_ONCE)
    for _ in range(3):
        run.go_on()
    run.publisher._put_in_place = lambda _: (_ for _ in ()).throw(Died())  # type: ignore[method-assign]
    with pytest.raises(Died):
        run.go_on()
    assert digest(run.path) == plain_digests[2]
    assert len(list((tmp_path / FOLDER).iterdir())) == 2
    newer = Published(tmp_path, events, 1 << 60, resume_to=4 * BATCH)
    newer.go_on(4 * BATCH)
    assert digest(newer.path) == plain_digests[3]
    with h5py.File(newer.path) as file:
        assert len(file["entry"].attrs["chapters"]) == 2


def test_chapters_of_another_layout_or_a_later_journal_are_not_gone_on_with(
    tmp_path: Path, events: list[Event], plain_digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    for _ in range(4):
        run.go_on()
    assert len(found_in(tmp_path, 10_000).closed) == 2
    assert len(found_in(tmp_path, 3 * BATCH).closed) == 1
    (tmp_path / FOLDER / "0001.h5").rename(tmp_path / FOLDER / "0001.gone")
    assert not found_in(tmp_path, 10_000)
    (tmp_path / FOLDER / "0001.gone").rename(tmp_path / FOLDER / "0001.h5")
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.recorder.chapters.FINGERPRINT", "another")
        assert not found_in(tmp_path, 10_000)
        other = Published(tmp_path, events, AT_ONCE, resume_to=4 * BATCH)
        while other.go_on():
            pass
        assert digest(other.path) == plain_digests[-1]
    with h5py.File(other.path) as file:
        assert file["entry"].attrs["chapters"][0] == f"{FOLDER}/0003.h5"
    other.publisher.gather()
    other.publisher.publish()
    other.publisher.close()
    assert not (tmp_path / FOLDER).exists()


def test_a_full_disk_at_the_end_of_a_chapter_loses_nothing(
    tmp_path: Path, events: list[Event], plain_digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Published(tmp_path, events, AT_ONCE)
    run.go_on()
    run.go_on()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "sync_file", full)
        with pytest.raises(OSError, match="No space"):
            run.go_on()
        assert digest(run.path) == plain_digests[1]
    while run.go_on():
        pass
    assert digest(run.path) == plain_digests[-1]
