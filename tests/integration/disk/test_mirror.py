"""``mirror_to``: a copy of what is published, in a place that vanishes, hangs, is the wrong one, and comes back."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from drivers.clock import Clock
from orchestrator.observer.mirror import Mirror, SILENT_s
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.publisher import publish_empty

PATIENCE_S = 30.0


def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.01)
    pytest.fail(f"no {what}")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with something to copy, and something that is nobody's."""
    folder = tmp_path / "runs" / "20260101T000000Z_short"
    (folder / "raw" / "a00001" / "0").mkdir(parents=True)
    (folder / "raw" / "a00001" / "0" / "fid").write_bytes(os.urandom(3000))
    (folder / "raw" / "a00002.part").mkdir()
    (folder / "raw" / "a00002.part" / "fid").write_bytes(b"half")
    (folder / "journal.sqlite").write_bytes(b"not for a share")
    publish_empty(folder)
    (tmp_path / "share").mkdir()
    return folder


def there(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.rglob("*")) if path.is_file()
    }


def test_what_is_published_is_copied_and_nothing_else(run: Path, tmp_path: Path) -> None:
    mirror = Mirror(run, tmp_path / "share")
    mirror.start()
    assert mirror.finish(PATIENCE_S)
    copies = there(tmp_path / "share" / run.name)
    assert list(copies) == ["raw/a00001/0/fid", "run.h5"]
    assert copies == {name: sha for name, sha in there(run).items() if name in copies}
    with h5py.File(tmp_path / "share" / run.name / "run.h5") as file:
        assert "entry" in file


def test_what_is_there_already_is_not_copied_again(run: Path, tmp_path: Path) -> None:
    Mirror(run, tmp_path / "share").copy()
    copy = tmp_path / "share" / run.name / "run.h5"
    before = copy.stat().st_ino
    other = Mirror(run, tmp_path / "share")
    other.copy()
    assert copy.stat().st_ino == before
    (run / "run.h5").unlink()
    publish_empty(run)
    other.copy()
    assert copy.stat().st_ino != before


def test_a_place_that_vanishes_is_told_and_catches_up(run: Path, tmp_path: Path) -> None:
    mirror = Mirror(run, tmp_path / "share", every_s=0.01)
    (tmp_path / "share").rename(tmp_path / "away")
    mirror.start()
    trouble = until(lambda: mirror.trouble, "trouble")
    assert "share" in trouble
    assert "No such file" in trouble
    (tmp_path / "away").rename(tmp_path / "share")
    until(lambda: mirror.trouble is None, "end of the trouble")
    assert mirror.finish(PATIENCE_S)
    assert "run.h5" in there(tmp_path / "share" / run.name)


@pytest.mark.posix_only
def test_a_share_that_is_not_mounted_any_more_does_not_fill_the_own_disk(run: Path, tmp_path: Path) -> None:
    """Its mount point is then a folder on another device."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    place = tmp_path / "mounted"
    place.symlink_to(tmp_path / "share")
    mirror = Mirror(run, place)
    mirror.copy()
    place.unlink()
    place.symlink_to(elsewhere)
    (run / "raw" / "a00003").write_bytes(b"new")
    with pytest.raises(OSError, match="is it mounted"):
        mirror.copy()
    assert not (elsewhere / run.name).exists()


@pytest.mark.posix_only
def test_a_place_that_hangs_is_told_and_not_waited_for(run: Path, tmp_path: Path) -> None:
    """Opening a pipe that nobody reads never returns."""
    seconds = [0.0]
    mirror = Mirror(run, tmp_path / "share", every_s=0.01, monotonic=lambda: seconds[0])
    (tmp_path / "share" / run.name).mkdir()
    pipe = tmp_path / "share" / run.name / ".run.h5.new"
    os.mkfifo(pipe)
    mirror.start()
    until((tmp_path / "share" / run.name / "raw" / "a00001" / "0" / "fid").exists, "first copy")
    seconds[0] = SILENT_s + 1.0
    assert "has not answered" in until(lambda: mirror.trouble, "trouble")
    assert not mirror.finish(0.05)
    with pipe.open("rb") as reader:
        reader.read()


@pytest.mark.posix_only
async def test_the_observer_tells_its_rig_and_copies_the_end(tmp_path: Path, night: Any) -> None:
    """The whole process: alarm while the place is away, its end when it is back, the close-out copied last."""
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    told = list(night(samples=40, fids=1, points=64).told())
    journal = Journal.create(folder / "journal.sqlite", Clock())
    for kind, data, blob, at in told[:-1]:
        journal.put(kind, data, blob=blob, at=at)
    await journal.durable(journal.last_seq)
    code = """
        import sys
        from orchestrator.cli.app import run
        from orchestrator.observer.mirror import Mirror
        Mirror.__init__.__kwdefaults__["every_s"] = 0.05
        sys.exit(run(sys.argv[1:]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), "observe", str(folder), "--mirror-to", str(tmp_path / "share"), "--tell"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        kind, data = json.loads(child.stdout.readline())
        assert (kind, data["id"], data["level"]) == ("alarm.raised", "mirror", "alarm")
        (tmp_path / "share").mkdir()
        assert json.loads(child.stdout.readline()) == ["alarm.cleared", {"id": "mirror"}]
        kind, data, blob, at = told[-1]
        journal.put(kind, data, blob=blob, at=at)
        await journal.close()
        assert child.wait(PATIENCE_S) == 0
    assert json.loads((tmp_path / "share" / "one" / "closeout.json").read_text())["ok"]
    assert there(tmp_path / "share" / "one")["run.h5"] == there(folder)["run.h5"]
