"""Finished runs of others: bit for bit, with the vendor's times, and everything downstream works on them."""

from __future__ import annotations

import hashlib
import json

import h5py
import nmrglue
import numpy as np
import pytest
from replayer import mpt_head, mpt_rows
from typer.testing import CliRunner

from drivers.follow.clocks import dated
from orchestrator.cli.app import app
from orchestrator.imports.importing import NothingThere, Request, import_run
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig.continuing import read_former
from orchestrator.rig.gather import CannotRun

pytestmark = pytest.mark.timeout(180)


def command(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.stdout


@pytest.mark.real_data
def test_vnmrj_is_imported_bit_for_bit_and_everything_works_on_it(vnmrj, tmp_path):
    imported = import_run(Request(vnmrj, vnmrj / "echem", zone="Europe/Berlin", out=tmp_path))
    folder = imported.folder
    assert (imported.spectra, imported.lost, imported.samples, imported.offset) == (24, 0, 0, None)
    with h5py.File(folder / "run.h5") as file:
        entry = file["entry"]
        assert not entry.attrs["simulated"]
        assert entry.attrs["rung"] == "import"
        assert entry["electrochemistry/voltage"].size == 0  # none were published, and none are made up
        group = entry["fid/19F_s2pul"]
        for row, key in enumerate(group["key"][()]):
            source = vnmrj / f"{key.decode()}.fid"
            _, expected = nmrglue.varian.read(str(source))
            np.testing.assert_array_equal(group["fid"][row], expected)
            stamps = json.loads(group["vendor_times"][row])
            assert stamps["time_run"] == key.decode().partition("_")[2]
            assert json.loads(group["raw_sha256"][row])[f"{source.name}/fid"] == hashlib.sha256((source / "fid").read_bytes()).hexdigest()
        start = int(group["t_start_utc"][0])
        assert np.datetime64(start, "ns") == np.datetime64("2023-11-18T01:30:54")
        assert (group["t_end"][0] - group["t_start"][0], group["t_start_half_width"][0]) == (63.0, 1.0)
        assert group["vendor_zone"][0] == b"local; taken as Europe/Berlin"
        assert entry["acquisitions/state"][()].tolist() == [b"verified"] * 24
    assert (folder / "raw" / "cycler" / "FF025e_cycle.mpl").read_bytes() == (vnmrj / "echem" / "FF025e_cycle.mpl").read_bytes()
    assert verify(folder).ok
    table = tmp_path / "table.csv"
    command("process", folder)
    command("export", folder, "--observables", table)
    assert len(table.read_text().splitlines()) == 25
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - {name: noisy, when: {observable: noise_sd, above: 1}, do: [warn]}\n")
    assert "1 rules" in command("rehearse", folder, "--rules", rules)
    command("pack", folder)
    command("verify", folder)
    with pytest.raises(CannotRun, match="did not drive"):
        read_former(folder)


@pytest.mark.real_data
def test_bruker_DATE_is_the_end_and_the_audit_trail_has_the_start(real_data, tmp_path):
    imported = import_run(Request(real_data / "bruker_operando_7Li", out=tmp_path))
    with h5py.File(imported.folder / "run.h5") as file:
        group = file["entry/fid/7Li_ATM_zg8new"]
        assert group["key"][()].tolist() == [b"bruker_operando_7Li-1", b"bruker_operando_7Li-2", b"bruker_operando_7Li-3"]
        stamps = json.loads(group["vendor_times"][0])
        ended_s = int(group["t_end_utc"][0]) / 1e9
        assert abs(ended_s - int(stamps["DATE"])) < 1.5
        assert group["t_end"][0] - group["t_start"][0] == pytest.approx(287.164)
        assert group["scans_done"][()].tolist() == [256] * 3
        parameters, raw = nmrglue.bruker.read(str(real_data / "bruker_operando_7Li" / "1"), read_pulseprogram=False)
        np.testing.assert_array_equal(group["fid"][0], raw * 2.0 ** parameters["acqus"]["NC"])
    with Reader(imported.folder / "journal.sqlite") as reader:
        names = {event.data["name"] for event in reader.events() if event.kind == "observable"}
    assert any(name.startswith("area(") for name in names)


@pytest.mark.real_data
@pytest.mark.parametrize(("folder", "spectra"), [("mas_7Li_paramagnetic_hahnecho_matpass", 2), ("mri_1H_spinecho_IR_T1map", 1)])
def test_arrays_and_images_are_kept_whole(real_data, tmp_path, folder, spectra):
    imported = import_run(Request(real_data / folder, out=tmp_path))
    assert (imported.spectra, imported.lost) == (spectra, 0)
    assert imported.finding.ok


@pytest.mark.real_data
def test_cyclers_files_alone_are_a_run(real_data, tmp_path):
    imported = import_run(Request(real_data / "ec_readers", real_data / "ec_readers", zone="Europe/Oslo", out=tmp_path))
    assert imported.samples == 439 + 2 + 11 + 1464
    with h5py.File(imported.folder / "run.h5") as file:
        cell = file["entry/electrochemistry"]
        assert (np.diff(cell["time_utc"][()]) >= 0).all()
        assert np.datetime64(int(cell["time_utc"][0]), "ns") == np.datetime64("2020-03-25T10:16:50")
        assert set(np.unique(cell["step"][()])) == set(range(12))
    assert verify(imported.folder).ok


@pytest.mark.real_data
def test_an_offset_given_by_hand_moves_the_samples_and_stands_in_the_file(vnmrj, tmp_path):
    ec = tmp_path / "ec"
    ec.mkdir()
    rows = "".join(line for _, line in mpt_rows(4200, 10))
    (ec / "cell.mpt").write_text(mpt_head(dated("11/18/2023 02:25:00")["mdy"]) + rows, encoding="latin-1", newline="")
    imported = import_run(Request(vnmrj, ec, 130.0, 2.0, "Europe/Berlin", tmp_path / "runs"))
    with h5py.File(imported.folder / "run.h5") as file:
        cell, clock = file["entry/electrochemistry"], file["entry/clock"]
        assert np.datetime64(int(cell["time_utc"][0]), "ns") == np.datetime64("2023-11-18T01:27:10")
        assert np.datetime64(int(cell["time_device"][0]), "ns") == np.datetime64("2023-11-18T01:25:00")
        assert clock["instrument"][()].tolist() == [b"cycler"]
        assert clock["half_width_ns"][()].tolist() == [2_000_000_000]
        fids = file["entry/fid/1H_s2pul"]
        assert fids["charge_valid"][()].all()
        expected = np.interp(fids["t_start"][()], cell["time"][()], cell["charge_net"][()])
        np.testing.assert_allclose(fids["charge_start"][()], expected, rtol=1e-9)
    with Reader(imported.folder / "journal.sqlite") as reader:
        told = next(reader.events()).data["watched"]
    assert (told["offset_s"], told["offset_how"]) == (130.0, "given by hand")
    assert told["ec"][0]["sha256"] == hashlib.sha256((ec / "cell.mpt").read_bytes()).hexdigest()


@pytest.mark.real_data
def test_the_same_files_give_the_same_digest(real_data, tmp_path):
    source = real_data / "bruker_operando_7Li"
    digests = {import_run(Request(source, None, out=tmp_path / name, name="x")).finding.digest for name in "ab"}
    assert len(digests) == 1


def test_nothing_there_leaves_nothing_behind(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingThere, match="no data set"):
        import_run(Request(tmp_path / "empty", out=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
