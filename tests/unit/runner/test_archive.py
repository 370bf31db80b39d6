"""Raw files: complete, checked and synced under their name, or not there at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from drivers.base import RawFile
from orchestrator.runner import archive as module
from orchestrator.runner.archive import Damaged, archive, check


def raw(folder: Path, name: str, content: bytes) -> RawFile:
    path = folder / name.replace("/", "_")
    path.write_bytes(content)
    return RawFile(path, name, len(content), hashlib.sha256(content).hexdigest())


def test_files_keep_their_names_and_bytes(tmp_path: Path) -> None:
    files = [raw(tmp_path, "fid", bytes(range(256)) * 9000), raw(tmp_path, "pdata/1/procs", b"##TITLE=")]
    archive(files, tmp_path / "raw" / "a1")
    assert (tmp_path / "raw" / "a1" / "pdata" / "1" / "procs").read_bytes() == b"##TITLE="
    assert (tmp_path / "raw" / "a1" / "fid").stat().st_size == 256 * 9000
    check(files, tmp_path / "raw" / "a1")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["a1"]


def test_a_file_that_changes_meanwhile_is_not_archived(tmp_path: Path) -> None:
    files = [raw(tmp_path, "fid", b"before")]
    files[0].path.write_bytes(b"after!")
    with pytest.raises(Damaged, match="changed since"):
        archive(files, tmp_path / "raw" / "a1")
    assert not (tmp_path / "raw" / "a1").exists()


def test_bytes_that_rot_are_found(tmp_path: Path) -> None:
    files = [raw(tmp_path, "fid", b"as they were")]
    archive(files, tmp_path / "raw" / "a1")
    (tmp_path / "raw" / "a1" / "fid").write_bytes(b"as they weRe")
    with pytest.raises(Damaged, match="reads back"):
        check(files, tmp_path / "raw" / "a1")
    with pytest.raises(Damaged, match="reads back"):
        archive(files, tmp_path / "raw" / "a1")


def test_a_second_time_changes_nothing_and_a_broken_first_time_is_forgotten(tmp_path: Path) -> None:
    files = [raw(tmp_path, "fid", b"fid")]
    half = tmp_path / "raw" / "a1.part"
    half.mkdir(parents=True)
    (half / "rubbish").write_bytes(b"of a crash")
    for _ in range(2):
        archive(files, tmp_path / "raw" / "a1")
    assert [path.name for path in (tmp_path / "raw" / "a1").iterdir()] == ["fid"]


@pytest.mark.parametrize("name", ["../fid", "/etc/fid", "a/../../fid", "C:/fid", "..\\fid", ""])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    file = RawFile(raw(tmp_path, "fid", b"x").path, name, 1, hashlib.sha256(b"x").hexdigest())
    with pytest.raises(Damaged, match="may not be called"):
        archive([file], tmp_path / "raw" / "a1")


def test_a_source_that_is_gone_says_so(tmp_path: Path) -> None:
    file = RawFile(tmp_path / "nowhere", "fid", 1, "")
    with pytest.raises(FileNotFoundError):
        archive([file], tmp_path / "raw" / "a1")


def test_a_disk_that_does_not_take_one_of_many_is_told_and_nothing_stands_under_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def sync(path: Path) -> None:
        if path.name == "f13":
            raise OSError(5, "Input/output error", str(path))
        synced.append(path.name)

    monkeypatch.setattr(module, "sync_file", sync)
    with pytest.raises(OSError, match="f13"):
        archive([raw(tmp_path, f"f{n}", b"x") for n in range(20)], tmp_path / "raw" / "a1")
    assert sorted(synced) == sorted(f"f{n}" for n in range(20) if n != 13)
    assert not (tmp_path / "raw" / "a1").exists()
