"""``data.1d`` and ``acqu.par``, against an independent reader and against what they must refuse; folders by name and by key."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nmrglue.fileio import spinsolve as independent

from drivers.errors import BadReply, Rejected
from drivers.spinsolve import files
from drivers.spinsolve.folders import Folders

POINTS = [complex(n % 7 - 3.25, 1.5 * n) for n in range(8192)]


@pytest.fixture
def folder(tmp_path: Path, make_data: Callable[..., bytes], make_parameters: Callable[..., str]) -> Path:
    folder = tmp_path / "share" / "2023" / "run"
    folder.mkdir(parents=True)
    (folder / "data.1d").write_bytes(make_data(POINTS))
    (folder / "acqu.par").write_text(make_parameters("opnmr_key=key-1;opnmr_block=0;opnmr_scans=16", 16))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders("D:\\", {"D:": "share"}, tmp_path)


def test_the_size_of_the_recorded_file(make_data: Callable[..., bytes]) -> None:
    assert len(make_data(POINTS)) == files.parse_header(make_data(POINTS)).size == 98336


def test_an_independent_reader_reads_the_same(folder: Path) -> None:
    dictionary, data = independent.read(str(folder), specfile="data.1d")
    ours = files.parse_data((folder / "data.1d").read_bytes())
    assert np.array_equal(ours, data)
    assert ours.dtype == np.complex64
    assert np.array_equal(files.parse_axis((folder / "data.1d").read_bytes()), dictionary["spectrum"]["xaxis"])
    assert files.parse_parameters((folder / "acqu.par").read_text()) == dictionary["acqu"]


def test_frequencies_as_the_independent_reader_has_them(folder: Path, folders: Folders) -> None:
    universal = independent.guess_udic(*independent.read(str(folder), specfile="data.1d"))[0]
    fid = folders.fetch(folder, "key-1", 0).fid
    assert (fid.spectral_width_Hz, fid.carrier_MHz, fid.nucleus) == (universal["sw"], universal["obs"], universal["label"])
    assert (fid.carrier_MHz - fid.reference_MHz) * 1e6 == pytest.approx(universal["car"], abs=1e-3)
    assert (fid.scans, fid.gain, fid.raw_dtype) == (16, 28.0, "<f4")


def test_a_line_is_where_public_programs_show_it(tmp_path: Path, repository: Path) -> None:
    """Recorded FIDs turn the other way round (inferred from two of them)."""
    golden = json.loads((repository / "tests/golden/spinsolve/mirrored.json").read_text("utf-8"))
    (tmp_path / "data.1d").write_bytes(bytes.fromhex(golden["data.1d"]))
    (tmp_path / "acqu.par").write_text(golden["acqu.par"], encoding="utf-8")
    fid = Folders(str(tmp_path), {}).fetch(tmp_path, "k", 0).fid
    turns_Hz = np.fft.fftfreq(fid.data.size, 1 / fid.spectral_width_Hz)[np.argmax(np.abs(np.fft.fft(fid.data)))]
    above_Hz = -turns_Hz if fid.reversed_axis else turns_Hz
    assert (fid.carrier_MHz * 1e6 + above_Hz) / fid.reference_MHz - 1e6 == pytest.approx(golden["shift_ppm"], abs=0.1)


def spoilt(data: bytes) -> list[bytes]:
    return [
        b"",
        data[:31],
        data[:-1],
        data + b"\0",
        b"XORP" + data[4:],
        data[:12] + b"\xf5\x01\0\0" + data[16:],
        data[:16] + b"\0\0\0\0" + data[20:],
        data[:20] + b"\x02\0\0\0" + data[24:],
        data[:16] + b"\xff\xff\xff\xff" + data[20:],
    ]


@pytest.mark.parametrize("case", range(9))
def test_what_is_no_data_file(case: int, make_data: Callable[..., bytes]) -> None:
    with pytest.raises(ValueError, match=r"a data file of|Prospa|not one row"):
        files.parse_data(spoilt(make_data(POINTS[:4]))[case])


def test_parameters_of_any_kind() -> None:
    text = 'a = 1\nb = 2.5\nc = "x = y"\nd =\n= 4\nnothing\ne = yes\nf = ""\ng = 1e3\r\nh = "\n'
    expected = {"a": 1, "b": 2.5, "c": "x = y", "d": "", "e": "yes", "f": "", "g": 1000.0, "h": '"'}
    assert files.parse_parameters(text) == expected


def test_user_data() -> None:
    assert files.user_data({"userData": "opnmr_key=step-12; operator = Anna;;broken;x=a=b"}) == {
        "opnmr_key": "step-12",
        "operator": "Anna",
        "x": "a=b",
    }
    assert files.user_data({}) == {}


def test_fetched_files_are_what_lies_there(folder: Path, folders: Folders) -> None:
    (folder / "shim.par").write_text("bookkeeping\n")
    fetched = folders.fetch(folder, "key-1", 0)
    assert [file.name for file in fetched.files] == ["run/acqu.par", "run/data.1d", "run/shim.par"]
    assert all(hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256 for file in fetched.files)
    assert fetched.times.stamps == {"CurrentTime": "2023-11-14T22:13:20.123456"}
    assert fetched.times.zone == "local, no zone"
    assert not fetched.partial


def test_fewer_scans_than_were_stamped_are_partial(folder: Path, folders: Folders, make_parameters: Callable[..., str]) -> None:
    (folder / "acqu.par").write_text(make_parameters("opnmr_key=key-1;opnmr_block=0;opnmr_scans=16", 15))
    assert folders.fetch(folder, "key-1", 0).partial


@pytest.mark.parametrize("lost", ["bandwidth = 5\n", "nrScans = 16\n", "b1Freq = 31.091\n"])
def test_parameters_that_lack_what_a_fid_needs(folder: Path, folders: Folders, lost: str) -> None:
    path = folder / "acqu.par"
    path.write_text(path.read_text().replace(lost, ""))
    with pytest.raises(BadReply, match=lost.split(maxsplit=1)[0]):
        folders.fetch(folder, "key-1", 0)


def test_only_complete_files_with_the_key_are_filed(folder: Path, folders: Folders) -> None:
    assert folders.filed(folder, "key-1", 0)
    assert folders.filed(folder, "key-1", 1) is None
    assert folders.filed(folder, "key-2", 0) is None
    assert "'key-1' block '0', not 'key-2' block 0" in folders.incomplete(folder, "key-2", 0)
    (folder / "data.1d").write_bytes((folder / "data.1d").read_bytes()[:-4])
    assert folders.filed(folder, "key-1", 0) is None
    assert "98332 bytes, its header says 98336" in folders.incomplete(folder, "key-1", 0)
    (folder / "data.1d").unlink()
    assert "data.1d" in folders.incomplete(folder, "key-1", 0)


def test_found_by_the_key_wherever_it_lies(folder: Path, folders: Folders, tmp_path: Path) -> None:
    enhanced = folder / "Enhanced"
    enhanced.mkdir()
    (enhanced / "acqu.par").write_text((folder / "acqu.par").read_text())
    (tmp_path / "share" / "old").mkdir()
    (tmp_path / "share" / "old" / "acqu.par").write_text('userData = "opnmr_key=key-0;opnmr_block=0"\n')
    assert folders.find("key-1", 0) == [folder]
    assert folders.find("key-1", 1) == []
    (folder / "acqu.par").write_text('userData = "opnmr_key=key-77;opnmr_block=0"\n')
    assert folders.find("key-1", 0) == []
    assert folders.find("key-77", 0) == [folder]


@pytest.mark.parametrize(
    ("remote", "ours"),
    [
        ("D:\\opnmr\\cellA\\1", "mnt/data/cellA/1"),
        ("d:\\OPNMR\\cellA", "mnt/data/cellA"),
        ("D:\\other", "mnt/drive/other"),
        ("/srv/nmr/1", "mnt/posix/1"),
    ],
)
def test_the_consoles_folders_are_ours(tmp_path: Path, remote: str, ours: str) -> None:
    mapping = {"D:": "mnt/drive", "D:\\opnmr": "mnt/data", "/srv/nmr": "mnt/posix"}
    assert Folders("D:\\opnmr", mapping, tmp_path).local(remote) == tmp_path / ours


@pytest.mark.parametrize("remote", ["D:\\opnmr\\..\\..\\x", "C:\\Users", "/etc"])
def test_folders_that_lead_nowhere(tmp_path: Path, remote: str) -> None:
    with pytest.raises(Rejected):
        Folders("D:\\opnmr", {"D:\\opnmr": "x"}, tmp_path).local(remote)


@pytest.mark.posix_only
def test_a_share_that_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "share").mkdir()
        (tmp_path / "share" / "opnmr").write_text("a file\n")
    else:
        (tmp_path / "share").mkdir(mode=0o500)
    with pytest.raises(Rejected, match="cannot be made"):
        Folders("D:\\opnmr\\cell", {"D:": "share"}, tmp_path).make_root()


def test_the_settled_version_sees_every_change(folder: Path, folders: Folders) -> None:
    before: Any = folders.version(folder)
    (folder / "spectrum.1d").write_bytes(b"x")
    assert folders.version(folder) != before
