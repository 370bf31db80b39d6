"""Cyclers' files while they grow: half lines, half files, files written anew; by the libraries and without them."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from replayer import mpt_head, mpt_rows

from drivers.follow import tails
from drivers.follow.clocks import dated
from drivers.follow.columns import GALVANOSTATIC, REST, from_ec_lab
from drivers.follow.tails import BdfTail, MprTail, MptTail, Pace, Unreadable, ec_files, open_tail


def grow(path, text: str) -> None:
    with path.open("a", encoding="latin-1", newline="") as file:
        file.write(text)


def began():
    return dated("11/18/2023 02:00:00.5")["mdy"]


def test_only_whole_lines_are_rows_and_each_comes_once(tmp_path):
    path = tmp_path / "a.mpt"
    head = mpt_head(began())
    lines = [line for _, line in mpt_rows(200, 10)]
    grow(path, head[:40])
    tail = MptTail(path)
    assert tail.look() is None
    grow(path, head[40:] + lines[0] + lines[1][:17])
    first = tail.look()
    assert first is not None
    assert (len(first.rows), first.first) == (1, 0)
    assert tail.start.local["mdy"] == began()
    grow(path, lines[1][17:] + "".join(lines[2:]))
    second = tail.look()
    assert second is not None
    assert (len(second.rows), second.first) == (len(lines) - 1, 1)
    assert tail.look() is None
    expected = [float(line.split("\t")[8]) for line in lines]
    np.testing.assert_array_equal(np.concatenate([first.rows.voltage_V, second.rows.voltage_V]), expected)
    assert first.rows.mode.tolist() == [REST]
    assert second.rows.mode[-1] == GALVANOSTATIC
    assert second.rows.step[-1] >= 1


def test_a_look_reads_only_what_is_new(tmp_path, monkeypatch):
    path = tmp_path / "a.mpt"
    grow(path, mpt_head(began()) + "".join(line for _, line in mpt_rows(20_000, 1)))
    tail = MptTail(path)
    while tail.look() is not None:
        pass
    read = []
    original = MptTail._rows
    monkeypatch.setattr(MptTail, "_rows", lambda self, text: read.append(len(text)) or original(self, text))
    grow(path, list(mpt_rows(20_001, 1))[-1][1])
    found = tail.look()
    assert found is not None
    assert len(found.rows) == 1
    assert read[0] < 200


def test_an_export_that_is_written_anew_is_not_told_twice(tmp_path):
    path = tmp_path / "a.mpt"
    lines = [line for _, line in mpt_rows(100, 10)]
    grow(path, mpt_head(began()) + "".join(lines[:5]))
    tail = MptTail(path)
    assert len(tail.look().rows) == 5
    path.unlink()
    grow(path, mpt_head(began()).replace("Modulo Bat", "Modulo Bat again") + "".join(lines))
    found = tail.look()
    assert (len(found.rows), found.first) == (len(lines) - 5, 5)


def test_an_earlier_process_has_taken_some(tmp_path):
    path = tmp_path / "a.mpt"
    lines = [line for _, line in mpt_rows(100, 10)]
    grow(path, mpt_head(began()) + "".join(lines))
    found = open_tail(path, 7).look()
    assert (found.first, len(found.rows)) == (7, len(lines) - 7)
    assert open_tail(path, len(lines)).look() is None


def test_a_decimal_comma_is_a_number_and_a_missing_current_is_not_zero():
    made = from_ec_lab({"time/s": np.array([0.0, 1.0]), "Ewe/V": np.array([1.0, 2.0])})
    assert "current_A" not in made
    assert tails._number("-1,5E-3") == -1.5e-3
    with pytest.raises(ValueError, match="Ewe"):
        from_ec_lab({"time/s": np.array([0.0])})


def test_times_that_are_dates_are_refused_in_words(tmp_path):
    path = tmp_path / "a.mpt"
    grow(path, mpt_head(began()) + next(mpt_rows(1, 1))[1].replace("0.000000E+00", "11/18/2023 02:00:00"))
    tail = MptTail(path)
    assert tail.look() is None
    assert "export them in seconds" in tail.trouble


def test_bdf_says_utc_itself(tmp_path):
    path = tmp_path / "cell.csv"
    path.write_text(
        "Test Time / s,Voltage / V,Current / A,Unix Time / s,Step Count / 1\n10,3.1,0.001,1700000010,2\n20,3.2,0.001,1700000020,2\n30,3."
    )
    tail = BdfTail(path)
    found = tail.look()
    assert len(found.rows) == 2
    assert tail.start.utc_ns == 1_700_000_000 * 10**9
    assert found.rows.step.tolist() == [2, 2]
    path.write_text("time,U\n1,2\n3,4\n")
    strange = BdfTail(path)
    assert strange.look() is None
    assert "Voltage / V" in strange.trouble


def test_of_an_mpr_and_its_export_the_mpr_is_read(tmp_path):
    for name in ("b.mpr", "b.mpt", "c.mpt", "d.mpl", ".hidden.mpt"):
        (tmp_path / name).touch()
    assert [path.name for path in ec_files(tmp_path)] == ["b.mpr", "c.mpt"]
    with pytest.raises(Unreadable, match="mpl"):
        open_tail(tmp_path / "d.mpl")


def test_a_file_that_makes_the_library_fall_is_only_trouble(tmp_path):
    path = tmp_path / "bad.mpr"
    path.write_bytes(b"BIO-LOGIC MODULAR FILE\x1a" + os.urandom(4000))
    tail = MprTail(path)
    assert tail.look() is None
    assert "bad.mpr" in tail.trouble


def test_whole_files_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]

    def slow(path):
        now[0] += 3.0
        return {}, {"library": "x"}

    monkeypatch.setattr(tails, "read_by_library", slow)
    pace = Pace(lambda: now[0])
    pace.read(tmp_path)
    now[0] += 59.0
    with pytest.raises(Unreadable, match="again in"):
        pace.read(tmp_path)
    now[0] += 1.5
    pace.read(tmp_path)


# ---------------------------------------------------------------------------------------------------- recorded files


def cut(content: bytes, layout, rows: int, *, garbage: bytes = b"") -> bytes:
    """An ``.mpr`` as it stands on the disk when so many rows were written: no log module yet."""
    head = bytearray(content[: layout.rows_at])
    struct.pack_into("<I", head, layout.count_at, rows)
    return bytes(head) + content[layout.rows_at : layout.rows_at + rows * layout.dtype.itemsize] + garbage


@pytest.mark.real_data
def test_a_growing_mpr_is_read_by_the_library_once(real_data, tmp_path, monkeypatch):
    source = real_data / "ec_readers" / "00_test_02_MB_C01.mpr"
    content = source.read_bytes()
    finished = MprTail(source)
    whole = finished.look()
    layout = finished._layout
    assert layout is not None
    path = tmp_path / "grows.mpr"
    path.write_bytes(content)
    (tmp_path / "grows.mpl").write_text(
        "EC-Lab LOG FILE\nAcquisition started on : 12/08/2023 09:49:52.346\nSaved on :\n\tFile : grows.mpr\n"
    )
    tail = MprTail(path)
    calls = []
    original = tails.read_by_library
    monkeypatch.setattr(tails, "read_by_library", lambda one: calls.append(one) or original(one))
    monkeypatch.setattr(tails, "SHARE_OF_TIME", 0.0)
    given = []
    for rows in (3, 4, 4, 9, 11):
        path.write_bytes(cut(content, layout, rows, garbage=b"\xff" * 20) if rows < 11 else content)
        os.utime(path, ns=(rows, rows))
        if (found := tail.look()) is not None:
            given.append((found.first, len(found.rows), found.rows.voltage_V))
    assert np.concatenate([one[2] for one in given]).tolist() == whole.rows.voltage_V.tolist()
    assert sum(one[1] for one in given) == 11
    assert tail.start.local["mdy"] == finished.start.local["mdy"]
    assert len(calls) == 1


@pytest.mark.real_data
def test_every_recorded_file_is_read_as_its_library_reads_it(real_data):
    import fastnda

    folder = real_data / "ec_readers"
    sizes = {}
    for path in ec_files(folder):
        tail = open_tail(path)
        sizes[path.name] = len(tail.look().rows)
        assert tail.start.text
        assert tail.trouble == ""
    assert sizes == {"00_test_01_OCV_C01.mpr": 2, "00_test_02_MB_C01.mpr": 11, "test.nda": 439, "test.ndax": 1464}
    rows = open_tail(folder / "test.nda").look().rows
    table = fastnda.read(str(folder / "test.nda"))
    np.testing.assert_array_equal(rows.voltage_V, table["voltage_V"].to_numpy().astype(float))
    np.testing.assert_allclose(rows.current_A, table["current_mA"].to_numpy().astype(float) / 1e3)


@pytest.mark.real_data
def test_an_ocv_file_has_no_current_and_none_is_made_up(real_data):
    rows = open_tail(real_data / "ec_readers" / "00_test_01_OCV_C01.mpr").look().rows
    assert np.isnan(rows.current_A).all()
    assert rows.mode.tolist() == [REST, REST]
