"""``fid``, ``procpar`` and ``log``: small ones byte for byte, and 24 recorded ones against an independent reader."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.errors import BadReply, Rejected
from drivers.openvnmrj import files
from drivers.openvnmrj.folders import Folders

GOLDEN = Path(__file__).parents[2] / "golden" / "openvnmrj"
MakeFid = Callable[..., bytes]


def test_int32_bit_for_bit(make_fid: MakeFid) -> None:
    read = files.parse_fid(make_fid([1, -2, 3, -4]))
    assert read.data.tolist() == [1 - 2j, 3 - 4j]
    assert (read.data.dtype, read.raw_dtype, read.scans.tolist()) == (np.complex64, ">i4", [4])


@pytest.mark.parametrize(("largest", "dtype"), [(2**24 - 1, np.complex64), (2**24, np.complex128), (-(2**31), np.complex128)])
def test_integers_that_float32_cannot_hold_are_doubles(make_fid: MakeFid, largest: int, dtype: type) -> None:
    read = files.parse_fid(make_fid([largest, 1]))
    assert read.data.dtype == dtype
    assert int(read.data[0].real) == largest


def test_float32_and_int16() -> None:
    for status, kind, numbers in ((0xC9, ">f4", [0.1, -1e30]), (0x41, ">i2", [32767, -32768])):
        stored = np.array(numbers, kind)
        size = stored.nbytes
        header = struct.pack(">6l2hl", 1, 1, 2, stored.itemsize, size, size + 28, 0, status, 1)
        read = files.parse_fid(header + struct.pack(">4hl4f", *[0] * 9) + stored.tobytes())
        assert read.raw_dtype == kind
        assert [read.data[0].real, read.data[0].imag] == stored.tolist()


def test_blocks_become_rows() -> None:
    numbers = np.arange(8, dtype=">i4")
    header = struct.pack(">6l2hl", 2, 1, 4, 4, 16, 44, 0, 0x45, 1)
    blocks = [
        struct.pack(">4hl4f", 0, 0x45, 1, 0, scans, 0, 0, 0, 0) + part.tobytes()
        for scans, part in zip((5, 6), np.split(numbers, 2), strict=True)
    ]
    read = files.parse_fid(header + b"".join(blocks))
    assert read.data.tolist() == [[0 + 1j, 2 + 3j], [4 + 5j, 6 + 7j]]
    assert read.scans.tolist() == [5, 6]


def test_a_file_that_is_not_whole(make_fid: MakeFid) -> None:
    whole = make_fid([1, 2, 3, 4])
    for data in (b"", whole[:20], whole[:-1], whole + b"\0"):
        with pytest.raises(ValueError, match="fid of"):
            files.parse_fid(data)
    with pytest.raises(ValueError, match="contradict"):
        files.parse_fid(struct.pack(">6l2hl", 1, 1, 4, 4, 17, 45, 0, 0x45, 1) + bytes(45))


def test_procpar() -> None:
    read = files.parse_procpar((GOLDEN / "procpar.txt").read_text())
    assert read["acqstatus"] == [101, 62]
    assert (read["np"], read["sw"], read["tn"], read["cp"]) == (8, 35842.2939068, "F19", "y")
    assert read["dg1"] == ['a "quoted" word', "second line"]
    assert files.time_stamps(read) == {"time_run": "20231118T032554", "time_complete": "20231118T032657"}
    assert files.zero_ppm_MHz(read) == pytest.approx(188.718379454, abs=1e-9)
    assert files.first(read, "acqstatus") == 101


@pytest.mark.parametrize("text", ["np 7 1", "tn 2 2 4 0 0 2 1 8 1 64\n1 F19\n0 \n", 'tn 2 2 4 0 0 2 1 8 1 64\n2 "F19"\n'])
def test_procpar_that_is_not_whole(text: str) -> None:
    with pytest.raises(ValueError, match="procpar"):
        files.parse_procpar(text)


def test_log() -> None:
    text = "Sat Nov 18 03:25:54 2023: Experiment started\nnonsense\nSat Nov 18 03:26:57 2023: Acquisition complete\n"
    assert files.parse_log(text) == [
        (datetime(2023, 11, 18, 3, 25, 54), "Experiment started"),
        (datetime(2023, 11, 18, 3, 26, 57), "Acquisition complete"),
    ]
    assert files.parse_time("20231118T032554") == datetime(2023, 11, 18, 3, 25, 54)


def test_paths_of_two_computers() -> None:
    folders = Folders("/home/vnmr1/vnmrsys/data", {"/home/vnmr1": "/mnt/console", "/home": "/elsewhere"})
    assert folders.remote("a-1", 2) == "/home/vnmr1/vnmrsys/data/a-1_b2"
    assert folders.local_fid("a-1", 2) == Path("/mnt/console/vnmrsys/data/a-1_b2.fid")
    assert Folders("/data", {}).local_fid("a", 0) == Path("/data/a_b0.fid")


def test_filed_means_complete(tmp_path: Path, make_fid: MakeFid, make_procpar: Callable[..., str]) -> None:
    folders, folder = Folders(str(tmp_path), {}), tmp_path / "a_b0.fid"
    assert not folders.filed("a", 0)
    folder.mkdir()
    whole = make_fid([1, 2, 3, 4])
    (folder / "fid").write_bytes(whole[:-1])
    (folder / "procpar").write_text(procpar := make_procpar(time_complete="20231118T032657", nt=4))
    assert not folders.filed("a", 0)
    (folder / "fid").write_bytes(whole)
    assert folders.filed("a", 0)
    (folder / "procpar").write_text(procpar[:-20])
    assert not folders.filed("a", 0)
    (folder / "procpar").write_text(make_procpar(time_complete="", nt=4))
    assert not folders.filed("a", 0)


def test_fetch_says_what_is_missing(tmp_path: Path, make_fid: MakeFid) -> None:
    folders = Folders(str(tmp_path), {})
    with pytest.raises(Rejected, match="no data"):
        folders.fetch("a", 0)
    (tmp_path / "a_b0.fid").mkdir()
    (tmp_path / "a_b0.fid" / "fid").write_bytes(make_fid([1, 2])[:-1])
    (tmp_path / "a_b0.fid" / "procpar").write_text("")
    with pytest.raises(BadReply, match="cannot be read"):
        folders.fetch("a", 0)


# ------------------------------------------------------------------------------------------------------ recorded files


def recorded(real_data: Path) -> list[Path]:
    return sorted((real_data / "vnmrj_battery_19F_1H").glob("*.fid"))


def flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.real_data
def test_recorded_fids_equal_those_of_an_independent_reader(real_data: Path) -> None:
    folders = recorded(real_data)
    assert len(folders) == 24
    for folder in folders:
        _, expected = nmrglue.varian.read(str(folder))
        read = files.parse_fid((folder / "fid").read_bytes())
        assert np.array_equal(read.data, expected)
        assert read.raw_dtype == (">i4" if folder.name.startswith("19F") else ">f4")  # the same console stores both


@pytest.mark.real_data
def test_recorded_parameters_equal_those_of_an_independent_reader(real_data: Path) -> None:
    for folder in recorded(real_data):
        expected = nmrglue.varian.read_procpar(str(folder / "procpar"))
        read = files.parse_procpar((folder / "procpar").read_text("latin-1"))
        assert list(read) == list(expected)
        for name, value in read.items():
            values = [
                text if isinstance(found, str) else float(text) for text, found in zip(expected[name]["values"], flat(value), strict=True)
            ]
            assert flat(value) == values, name


@pytest.mark.real_data
def test_recorded_data_as_the_driver_gives_them(real_data: Path, tmp_path: Path) -> None:
    for source in recorded(real_data):
        link = tmp_path / f"{source.stem}_b0.fid"
        link.symlink_to(source, target_is_directory=True)
        folders = Folders(str(tmp_path), {})
        assert folders.filed(source.stem, 0)
        fetched = folders.fetch(source.stem, 0)
        nucleus, scans = ("19F", 32) if source.name.startswith("19F") else ("1H", 16)
        assert (fetched.fid.nucleus, fetched.fid.scans, fetched.partial) == (nucleus, scans, False)
        assert fetched.fid.reversed_axis
        assert fetched.fid.data.dtype == np.complex64
        assert [file.name.split("/")[1] for file in fetched.files] == ["fid", "procpar", "text", "log"]
        log = files.parse_log((source / "log").read_text())
        assert files.parse_time(fetched.times.stamps["time_run"]) == log[0][0]
        assert abs((files.parse_time(fetched.times.stamps["time_complete"]) - log[-1][0]).total_seconds()) <= 1


@pytest.mark.real_data
def test_reference_identity_holds_to_the_hertz(real_data: Path) -> None:
    for folder in recorded(real_data):
        read = files.parse_procpar((folder / "procpar").read_text("latin-1"))
        without = {name: value for name, value in read.items() if name != "reffrq"}
        assert files.zero_ppm_MHz(without) == pytest.approx(files.zero_ppm_MHz(read), abs=1e-6)
