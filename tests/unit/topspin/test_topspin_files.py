"""Data sets of a real console, read bit for bit and checked against an independent reader; and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import BadReply, Rejected
from drivers.topspin import files
from drivers.topspin.audit import md5, parse_audit, utc_ns
from drivers.topspin.folders import Folders, Known

FOLDER = "bruker_operando_7Li"


def fetched(folder: Path):
    return Folders(str(folder.parent), {}).fetch(Known(str(folder), "done"), "key", 0)


@pytest.mark.real_data
@pytest.mark.parametrize("number", [1, 2, 3])
def test_real_spectra_with_both_sums(real_data: Path, number: int) -> None:
    folder = real_data / FOLDER / str(number)
    assert Folders(str(folder.parent), {}).wrong(str(folder)) == ""
    found = fetched(folder)
    fid = found.fid
    assert (fid.nucleus, fid.scans, fid.data.shape, fid.raw_dtype) == ("7Li", 256, (6144,), ">i4")
    assert (fid.carrier_MHz, fid.spectral_width_Hz) == (116.70060943, 93457.9439252336)
    assert fid.reference_MHz == pytest.approx(116.684586, abs=1e-4)
    assert fid.group_delay_points == 44.75  # GRPDLY is -1: by DSPFVS 10 and DECIM 2
    assert not found.partial
    assert {file.name for file in found.files} >= {f"{FOLDER}/{number}/{name}" for name in ("fid", "acqus", "audita.txt", "pdata/1/title")}


@pytest.mark.real_data
def test_a_real_fid_with_padding_and_real_rows(real_data: Path) -> None:
    """TopSpin 3.0: 19898 numbers of a file of 79872 bytes, and a ``ser`` of 8 rows; NC is -3."""
    folder = real_data / "mas_7Li_paramagnetic_hahnecho_matpass"
    one, rows = (fetched(folder / number).fid for number in ("71", "72"))
    assert (one.data.shape, rows.data.shape, one.raw_dtype) == ((9949,), (8, 4096), "<i4")
    assert np.array_equal(one.data.real * 8, np.frombuffer((folder / "71" / "fid").read_bytes(), "<i4", 19898)[::2])
    assert one.group_delay_points == 67.96875


@pytest.mark.real_data
@pytest.mark.parametrize("number", [1, 2, 3])
def test_against_nmrglue(real_data: Path, number: int) -> None:
    import nmrglue as ng

    folder = real_data / FOLDER / str(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no pulseprogram in these folders
        parameters, data = ng.bruker.read(str(folder))
    found = fetched(folder)
    assert np.array_equal(found.fid.data, data)
    theirs = {name: value for name, value in parameters["acqus"].items() if not name.startswith("_")}
    assert set(theirs) == set(found.parameters)
    for name, value in theirs.items():
        assert found.parameters[name] == value or str(found.parameters[name]) == str(value), name


@pytest.mark.real_data
def test_the_axis_runs_as_the_lab_saw_it(real_data: Path) -> None:
    """The lab's own spectrum (1r, 1i) has its highest line where ours has, on the axis that is not mirrored."""
    folder = real_data / FOLDER / "1"
    fid = fetched(folder).fid
    n = 8192
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(fid.data, n)))
    shift_ppm = (fid.carrier_MHz - fid.reference_MHz) / fid.reference_MHz * 1e6
    ours_ppm = shift_ppm + np.fft.fftshift(np.fft.fftfreq(n, 1 / fid.spectral_width_Hz)) / fid.reference_MHz
    procs = files.parse_parameters((folder / "pdata/1/procs").read_text("latin-1"))
    real, imaginary = (np.frombuffer((folder / "pdata/1" / name).read_bytes(), "<i4") for name in ("1r", "1i"))
    theirs_ppm = procs["OFFSET"] - np.arange(n) * procs["SW_p"] / procs["SF"] / n
    assert ours_ppm[spectrum.argmax()] == pytest.approx(theirs_ppm[np.hypot(real, imaginary).argmax()], abs=2.0)
    assert theirs_ppm[np.hypot(real, imaginary).argmax()] != pytest.approx(2 * shift_ppm - ours_ppm[spectrum.argmax()], abs=20.0)


@pytest.mark.real_data
def test_real_times_have_milliseconds_and_a_zone(real_data: Path) -> None:
    times = fetched(real_data / FOLDER / "1").times
    assert times.stamps == {"started at": "2023-08-11 12:27:36.139 +0100", "ended": "2023-08-11 12:32:23.303 +0100", "DATE": "1691753543"}
    assert times.zone == "+0100"
    assert (times.start_utc_ns, times.end_utc_ns) == (1691753256139000000, 1691753543303000000)


def made(folder: Path, numbers: int = 300, **acqus: object) -> Path:
    """A data set with a sound audit trail."""
    folder.mkdir(parents=True)
    said = {
        "TD": numbers,
        "BYTORDA": 0,
        "DTYPA": 0,
        "AQ_mod": 3,
        "NC": 0,
        "NS": 8,
        "NUC1": "<7Li>",
        "SW_h": 1e5,
        "BF1": 116.6,
        "SFO1": 116.7,
    }
    said |= acqus
    (folder / "acqus").write_text("".join(f"##${name}= {value}\n" for name, value in said.items()) + "##END=\n")
    data = np.arange(numbers, dtype="<i4").tobytes()
    (folder / "fid").write_bytes(data + bytes(-len(data) % 1024))
    seal(folder, data)
    return folder


def seal(folder: Path, data: bytes) -> None:
    pairs = lambda text: " ".join(text[n : n + 2] for n in range(0, 32, 2))  # noqa: E731
    head = (
        "##TITLE= Audit trail\n(   1,<2026-01-02 03:04:05.678 +0100>,<nmr>,<av400>,<go4>,<TopSpin 4.4.0>,\n      <created by zg\n"
        f"\tstarted at 2026-01-02 03:03:05.001 +0100,\n       data hash MD5: 300\n       {pairs(md5(data))}>)\n"
    ).encode()
    (folder / "audita.txt").write_bytes(head + f"##END=\n\n$$ hash MD5\n$$ {pairs(md5(head))}\n".encode())


def test_a_sound_data_set_is_read(tmp_path: Path) -> None:
    found = fetched(made(tmp_path / "a" / "1", NC=-7))
    assert found.fid.data.dtype == np.complex64
    assert np.array_equal(found.fid.data[:2], np.array([0 + 1j, 2 + 3j]) / 128)
    assert found.times.start_utc_ns == 1767319385001000000


@pytest.mark.parametrize("what", ["fid", "audita.txt", "acqus", "fid cut", "fid changed", "audit changed", "audit unfinished"])
def test_nothing_that_is_not_whole_is_filed_or_fetched(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path / "a" / "1")
    raw, audit = folder / "fid", folder / "audita.txt"
    if what == "fid cut":
        raw.write_bytes(raw.read_bytes()[:512])
    elif what == "fid changed":
        raw.write_bytes(b"\1" + raw.read_bytes()[1:])
    elif what == "audit changed":
        audit.write_bytes(audit.read_bytes().replace(b"<nmr>", b"<you>"))
    elif what == "audit unfinished":
        audit.write_bytes(audit.read_bytes().partition(b"##END")[0])
    else:
        (folder / what).unlink()
    assert Folders(str(folder.parent), {}).wrong(str(folder))
    with pytest.raises((BadReply, Rejected)):
        fetched(folder)


def test_padding_is_no_data(tmp_path: Path) -> None:
    folder = made(tmp_path / "a" / "1")
    raw = folder / "fid"
    assert raw.stat().st_size == 2048
    raw.write_bytes(raw.read_bytes()[:-1] + b"\1")
    assert Folders(str(folder.parent), {}).wrong(str(folder)) == ""


@pytest.mark.parametrize(("order", "kind", "dtype"), [(0, 0, "<i4"), (1, 0, ">i4"), (0, 2, "<f8"), (1, 2, ">f8")])
def test_rows_begin_at_multiples_of_1024_bytes(order: int, kind: int, dtype: str) -> None:
    layout = files.layout_of({"TD": 300, "BYTORDA": order, "DTYPA": kind, "AQ_mod": 1, "NC": 2})
    assert layout.dtype == dtype
    rows = [(np.arange(300) + row).astype(dtype) for row in range(3)]
    content = b"".join(row.tobytes().ljust(layout.stride, b"\0") for row in rows)
    data = files.parse_fid(content, layout)
    assert data.shape == (3, 150)
    assert np.array_equal(data.real, 4.0 * np.stack(rows)[:, ::2])
    assert layout.hashed(content) == b"".join(row.astype("<" + dtype[1:]).tobytes() for row in rows)


def test_every_integer_is_kept_exactly() -> None:
    layout = files.layout_of({"TD": 2, "BYTORDA": 0, "DTYPA": 0, "AQ_mod": 3, "NC": 0})
    small, large = (files.parse_fid(np.array([value, -value], "<i4").tobytes(), layout) for value in ((1 << 24) - 1, (1 << 24) + 1))
    assert (small.dtype, large.dtype) == (np.complex64, np.complex128)
    assert large[0] == complex((1 << 24) + 1, -(1 << 24) - 1)


@pytest.mark.parametrize("change", [{"AQ_mod": 0}, {"TD": 3}, {"TD": "x"}, {"DTYPA": 1}, {"BYTORDA": 2}, {"NC": "<>"}])
def test_what_cannot_be_read_as_complex_points_is_said(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"AQ_mod|cannot be read|usable"):
        files.layout_of({"TD": 4, "BYTORDA": 0, "DTYPA": 0, "AQ_mod": 3, "NC": 0, **change})


def test_parameters_of_every_kind() -> None:
    text = (
        "##TITLE= x\n##$A= 3\n##$B= -1.5e3\n##$C= <a #b>\n##$D= (0..3)\n1 2\n3 4\n##$E= (0..1) <a b> <>\n##$F= yes\n$$ a comment\n##END=\n"
    )
    assert files.parse_parameters(text) == {"A": 3, "B": -1500.0, "C": "a #b", "D": [1, 2, 3, 4], "E": ["a b", ""], "F": True}


def test_group_delay_as_said_or_by_the_table() -> None:
    assert files.group_delay_points({"GRPDLY": 67.98, "DSPFVS": 20, "DECIM": 2}) == 67.98
    assert files.group_delay_points({"GRPDLY": -1, "DSPFVS": 10, "DECIM": 2}) == 44.75
    assert files.group_delay_points({"GRPDLY": -1, "DSPFVS": 0, "DECIM": 0}) == 0.0


def test_stamps() -> None:
    assert utc_ns("2026-01-02 03:04:05 -0130") == 1767328445000000000
    assert utc_ns("yesterday") is None
    assert parse_audit(b"").wrong(b"") == "audita.txt is not finished"


@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ("C:/Bruker/data/cellA/1", "/mnt/av400/cellA/1"),
        ("C:\\Bruker\\data\\cellA\\1", "/mnt/av400/cellA/1"),
        ("C:/Bruker/data2/1", "C:/Bruker/data2/1"),
        ("/opt/topspin/data/x/1", "/mnt/linux/x/1"),
        ("/opt/topspin/data/special/x/1", "/mnt/special/x/1"),
    ],
)
def test_paths_of_the_console_as_they_lie_here(remote: str, local: str) -> None:
    mapping = {"C:\\Bruker\\data": "/mnt/av400", "/opt/topspin/data": "/mnt/linux", "/opt/topspin/data/special": "/mnt/special"}
    assert Folders("/", mapping).local(remote) == Path(local)
