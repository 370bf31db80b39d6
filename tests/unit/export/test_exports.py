"""Each export is read back by a reader that is not ours and gives the same numbers, and the same line at the same shift.

The night's spectrum is asymmetric (one line, away from the carrier), on a console whose axis is mirrored: a flip of sign shows.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest
from artificial_night import Night
from reported import clean, numbered, run_folder

from orchestrator.cli.app import run as operando
from orchestrator.export import bdf
from orchestrator.export.source import as_integers, fids
from orchestrator.export.write import FORMATS, export
from orchestrator.recorder.reader import open_run

NIGHT = Night(samples=300, fids=3, points=500)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "20260101T000000Z_night", clean(NIGHT))


@pytest.fixture(scope="module")
def stored(run: Path) -> Any:
    """complex (3, 500): the FIDs, turned as every other format has them."""
    with open_run(run) as opened:
        return opened.fid["li"]["fid"].conj()


@pytest.fixture(scope="module")
def line_ppm(run: Path) -> float:
    """Where the line of the first spectrum is, as the run's own chain says."""
    with open_run(run) as opened:
        spectra = opened.spectra["li"]
        return float(spectra["chemical_shift"][np.abs(spectra.part("intensity", 0)).argmax()])


def peak_ppm(fid: Any, spectral_width_Hz: float, carrier_MHz: float, reference_MHz: float) -> float:
    """Of the largest line, by the plain transform: a line above the carrier turns forwards."""
    spectrum = np.abs(np.fft.fft(fid, 16384))
    offset_Hz = np.fft.fftfreq(16384, 1 / spectral_width_Hz)[spectrum.argmax()]
    return float((carrier_MHz - reference_MHz) * 1e6 + offset_Hz) / reference_MHz


def test_bruker_folders_are_exact_in_nmrglue(run: Path, stored: Any, line_ppm: float, tmp_path: Path) -> None:
    export(run, "bruker", tmp_path / "b")
    for number in (1, 2, 3):
        about, fid = nmrglue.bruker.read(str(tmp_path / "b" / str(number)))
        np.testing.assert_array_equal(fid[:500], stored[number - 1])
        assert not fid[500:].any()
        assert (tmp_path / "b" / str(number) / "fid").stat().st_size % 1024 == 0
    acqus = about["acqus"]
    assert (acqus["NUC1"], acqus["NS"], acqus["TD"]) == ("7Li", 64, 1000)
    assert acqus["SW"] * acqus["SFO1"] == pytest.approx(100_000.0, rel=1e-12)
    about, fid = nmrglue.bruker.read(str(tmp_path / "b" / "1"))
    acqus = about["acqus"]
    assert peak_ppm(fid, acqus["SW_h"], acqus["SFO1"], acqus["BF1"]) == pytest.approx(line_ppm, abs=2.0)
    _, spectrum = nmrglue.bruker.read_pdata(str(tmp_path / "b" / "1" / "pdata" / "1"))
    procs = nmrglue.bruker.read_procs_file(str(tmp_path / "b" / "1" / "pdata" / "1"))["procs"]
    axis = procs["OFFSET"] - np.arange(procs["SI"]) * procs["SW_p"] / procs["SF"] / procs["SI"]
    assert axis[np.abs(spectrum).argmax()] == pytest.approx(line_ppm, abs=0.1)


def test_bruker_folders_keep_the_start_that_they_lose(run: Path, tmp_path: Path) -> None:
    export(run, "bruker", tmp_path / "b")
    with (tmp_path / "b" / "spectra.csv").open() as file:
        rows = list(csv.DictReader(file))
    with open_run(run) as opened:
        starts = opened.fid["li"]["t_start"].tolist()
    assert [float(row["start_s"]) for row in rows] == starts
    dates = [nmrglue.bruker.read(str(tmp_path / "b" / row["number"]))[0]["acqus"]["DATE"] for row in rows]
    assert dates == [int(float(row["start_unix_s"])) for row in rows]


def test_what_ssnake_and_datalab_ask_for_is_there(run: Path, tmp_path: Path) -> None:
    export(run, "bruker", tmp_path / "b")
    acqus = nmrglue.bruker.read(str(tmp_path / "b" / "1"))[0]["acqus"]
    assert {
        "AQSEQ",
        "DSPFIRM",
        "D",
        "MASR",
        "DIGMOD",
        "DECIM",
        "DSPFVS",
        "GRPDLY",
        "BYTORDA",
        "DTYPA",
        "RG",
        "O1",
        "BF1",
        "P",
    } <= acqus.keys()
    text = (tmp_path / "b" / "1" / "pdata" / "1" / "ascii-spec.txt").read_text()
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) > 500
    assert float(rows[0][3]) > float(rows[-1][3])


def test_a_delay_of_the_digital_filter_and_floating_point_data_stay_true(tmp_path: Path) -> None:
    night = Night(samples=120, fids=1, points=256, dtype="<c16")
    events = []
    for event in clean(night):
        if event.kind == "fid.block":
            fid = np.frombuffer(event.blob or b"", "<c16") + 0.25
            changed = {**event.data, "group_delay_points": 67.98, "reversed_axis": False, "raw_dtype": "<f8"}
            event = replace(event, data=changed, blob=fid.tobytes())  # noqa: PLW2901
        events.append(event)
    folder = run_folder(tmp_path / "run", numbered(events))
    export(folder, "bruker", tmp_path / "b")
    about, read = nmrglue.bruker.read(str(tmp_path / "b" / "1"))
    np.testing.assert_array_equal(read, fid)  # 256 points of 16 bytes fill their blocks
    assert (about["acqus"]["DTYPA"], about["acqus"]["DIGMOD"], about["acqus"]["GRPDLY"]) == (2, 1, 67.98)


def test_jcamp_is_exact_in_nmrglue(run: Path, stored: Any, line_ppm: float, tmp_path: Path) -> None:
    export(run, "jcamp", tmp_path / "j")
    for number, path in enumerate(sorted((tmp_path / "j").glob("*.dx"))):
        about, (real, imaginary) = nmrglue.jcampdx.read(str(path))
        np.testing.assert_array_equal(real + 1j * imaginary, stored[number])
        assert float(about["$RUNSTARTS"][0]) > 0
        if number == 0:
            carrier, reference = float(about[".OBSERVEFREQUENCY"][0]), float(about["$REFERENCEMHZ"][0])
            assert peak_ppm(real + 1j * imaginary, float(about["$SWH"][0]), carrier, reference) == pytest.approx(line_ppm, abs=2.0)
    assert number == 2


def test_nmrpipe_files_have_the_fid_and_its_axis(run: Path, stored: Any, line_ppm: float, tmp_path: Path) -> None:
    export(run, "nmrpipe", tmp_path / "p")
    path = min((tmp_path / "p").glob("*.fid"))
    header = np.frombuffer(path.read_bytes()[:2048], "<f4")  # by the format's own layout: FDF2SW, FDF2OBS, FDF2CAR are words 100, 119, 66
    values = np.frombuffer(path.read_bytes()[2048:], "<f4")
    np.testing.assert_array_equal(values[:500] + 1j * values[500:], stored[0].astype("c8"))
    assert header[100] == pytest.approx(100_000.0)
    assert header[119] == pytest.approx(116.614, rel=1e-6)
    carrier_MHz = 116.614 * (1 + float(header[66]) * 1e-6)
    assert peak_ppm(values[:500] + 1j * values[500:], 100_000.0, carrier_MHz, 116.614) == pytest.approx(line_ppm, abs=2.0)
    _, read = nmrglue.pipe.read(str(path))
    np.testing.assert_array_equal(read, stored[0].astype("c8"))


READ_CSDM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import csdmpy, numpy
data = csdmpy.load(sys.argv[1])
time, spectra = data.dimensions
values = data.dependent_variables[0].components[0]
numpy.save(sys.argv[2], values)
told = {"shape": values.shape, "dwell_s": float(time.increment.to("s").value), "at_s": spectra.coordinates.to("s").value.tolist()}
print(json.dumps(told | {"label": time.label}))
"""


def test_csdm_is_exact_in_csdmpy(run: Path, stored: Any, tmp_path: Path) -> None:
    pytest.importorskip("csdmpy")
    export(run, "csdm", tmp_path / "c")
    head = str(tmp_path / "c" / "li.csdf")
    done = subprocess.run([sys.executable, "-c", READ_CSDM, head, str(tmp_path / "x.npy")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), stored)
    assert told["dwell_s"] == 1e-5
    with open_run(run) as opened:
        assert told["at_s"] == pytest.approx(opened.fid["li"]["t_mid"].tolist())


def test_csv_reads_back_the_same_numbers(run: Path, tmp_path: Path) -> None:
    export(run, "csv", tmp_path / "t")
    with open_run(run) as opened, (tmp_path / "t" / "electrochemistry.csv").open() as file:
        rows = list(csv.DictReader(file))
        assert [float(row["voltage / V"]) for row in rows] == opened.electrochemistry["voltage"].tolist()
        assert [int(row["time_utc"]) for row in rows] == opened.electrochemistry["time_utc"].tolist()
        matrix = np.genfromtxt(tmp_path / "t" / "spectra_li.csv", delimiter=",", skip_header=1)
        np.testing.assert_array_equal(matrix[:, 1:].T.astype("f4"), opened.spectra["li"]["intensity"])
        np.testing.assert_array_equal(matrix[:, 0], opened.spectra["li"]["chemical_shift"])


def test_bdf_has_its_columns(run: Path, tmp_path: Path) -> None:
    export(run, "bdf", tmp_path / "b")
    with (tmp_path / "b" / "night.bdf.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["Test Time / s", "Voltage / V", "Current / A"]
    times = [float(row["Test Time / s"]) for row in rows]
    assert times == sorted(times)
    assert len(rows) == NIGHT.samples
    assert float(rows[0]["Unix Time / s"]) == pytest.approx(1_790_000_001.0)
    assert {row["Step Count / 1"] for row in rows} == {"1"}
    package = json.loads((tmp_path / "b" / "datapackage.json").read_text())
    fields = package["resources"][0]["schema"]["fields"]
    assert [(field["name"], field["unit"]) for field in fields][:3] == [("Test Time / s", "s"), ("Voltage / V", "V"), ("Current / A", "A")]


@pytest.mark.parametrize(
    ("cell", "sign"),
    [
        ({"type": "full", "working": "positive"}, 1),
        ({"type": "full", "working": "negative"}, -1),
        ({"type": "symmetric", "working": "Li"}, 1),
    ],
)
def test_bdf_counts_charging_as_positive_and_says_what_it_did(cell: dict[str, str], sign: int) -> None:
    found, why = bdf.charge_sign(cell)
    assert found == sign
    assert ("turned round" in why) is (sign < 0)


def test_a_gap_is_no_sample_of_bdf(tmp_path: Path) -> None:
    from orchestrator.model.columns import pack, unpack
    from orchestrator.model.events import GAP_EDGE

    events = clean(Night(samples=60, fids=1, points=64))
    at = next(n for n, event in enumerate(events) if event.kind == "ec.block" and n > 20)
    columns = unpack(events[at].data["columns"], events[at].blob or b"", 1)
    edge = {**columns, "voltage_V": np.array([np.nan]), "current_A": np.array([np.nan]), "status": np.array([GAP_EDGE], np.uint16)}
    described, blob = pack(edge)
    events[at] = replace(events[at], data={**events[at].data, "columns": described}, blob=blob)
    export(run_folder(tmp_path / "run", events), "bdf", tmp_path / "b")
    text = (tmp_path / "b" / "night.bdf.csv").read_text()
    assert len(text.splitlines()) == 60
    assert ",," not in text


def test_the_run_folder_is_an_ro_crate_with_every_file_and_its_hash(run: Path) -> None:
    pytest.importorskip("rocrate")
    from rocrate.rocrate import ROCrate

    (run / "raw").mkdir(exist_ok=True)
    (run / "raw" / "odd name µ.txt").write_text("x")
    export(run, "crate")
    export(run, "crate")  # again, and it does not count itself
    crate = ROCrate(run)
    assert crate.name == "night"
    files = {entity.id: entity for entity in crate.data_entities if entity.type == "File"}
    assert {"run.h5", "raw/odd%20name%20%C2%B5.txt"} <= set(files) or {"run.h5", "raw/odd name µ.txt"} <= set(files)
    assert files["run.h5"]["sha256"] == hashlib.sha256((run / "run.h5").read_bytes()).hexdigest()
    assert "ro-crate-metadata.json" not in files


def test_fids_are_numbered_in_order_of_time_across_acquisitions(tmp_path: Path) -> None:
    events, names = [], ("na", "li", "na")
    count = 0
    for event in clean(NIGHT):
        if event.kind == "fid.block":
            event = replace(event, data={**event.data, "name": names[count]})  # noqa: PLW2901
            count += 1
        events.append(event)
    with open_run(run_folder(tmp_path / "run", events)) as opened:
        told = [(one.number, one.series.name, one.row) for one in fids(opened)]
    assert told == [(1, "na", 0), (2, "li", 0), (3, "na", 1)]


def test_what_is_no_whole_number_is_not_made_one() -> None:
    assert as_integers(np.array([1 + 2j, -3 + 0j])).tolist() == [1, 2, -3, 0]  # type: ignore[union-attr]
    for other in (1.5 + 0j, complex("nan"), 2.0**31 + 0j):
        assert as_integers(np.array([other])) is None


def test_the_command_writes_each_format_beside_the_run_and_mixes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["export", str(run), "--format", "csv", "--format", "bdf", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["format"], Path(row["folder"])) for row in rows] == [(name, run / "export" / name) for name in ("csv", "bdf")]
    assert operando(["export", str(run), "--format", "csv"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert operando(["export", str(run), "--format", "topspn"]) == 2
    assert all(name in capsys.readouterr().err for name in ("no format",))
    assert operando(["export", str(run)]) == 2


def test_every_format_is_offered_and_stands_on_its_page(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (repository / "docs" / "how-to" / "report-and-export.md").read_text("utf-8")
    assert all(f"\n| `{name}` |" in page for name in FORMATS)
    operando(["export", "--help"])
    assert "|".join(sorted(FORMATS)) in re.sub(r"[\s│]", "", capsys.readouterr().out)
