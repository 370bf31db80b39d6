"""The comparison at the end, verify and recover: each must find what was damaged and say it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import h5py
import pytest

from orchestrator.observer.observer import Observer
from orchestrator.platform import hold_file
from orchestrator.recorder.closeout import Finding, compare
from orchestrator.recorder.digest import digest
from orchestrator.recorder.reader import NotARun, open_run
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import LOCK, ObserverRuns, recover, verify


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, night: Any) -> Path:
    """The folder of a finished, observed run."""
    folder: Path = tmp_path_factory.mktemp("finished") / "run"
    folder.mkdir()
    asyncio.run(night(samples=120, fids=2, points=64, raw_folder=folder / "raw").write(folder / "journal.sqlite"))
    observe(folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that may be damaged."""
    return shutil.copytree(finished, tmp_path / "run")


def observe(folder: Path) -> Finding:
    observer = Observer(folder, cadence_s=0)
    while observer.step():
        pass
    observer.close()
    assert observer.finding is not None
    return observer.finding


def compared(folder: Path) -> Finding:
    with Reader(folder / "journal.sqlite") as reader:
        return compare(folder / "run.h5", reader.events())


def test_close_out_finds_everything_equal_and_says_so(run: Path) -> None:
    told = json.loads((run / "closeout.json").read_text("utf-8"))
    assert told["ok"] is True
    assert told["streams"]["electrochemistry/voltage"]["count"] == 120
    assert told["streams"]["fid/li"]["count"] == 2
    assert told["digest"] == digest(run / "run.h5")
    assert "fid/li: 2 in the journal, SHA-256 equal" in told["lines"]
    with open_run(run) as opened:
        assert json.loads(opened.text("digests")) == told
    assert not (run / ".run.h5.ring").exists()


def test_verify_passes_what_is_whole(run: Path) -> None:
    finding = verify(run)
    assert finding.ok, finding.lines
    text = "\n".join(finding.lines)
    assert "CRC chain whole" in text
    assert "digest as at close-out" in text
    assert "raw: 2 files, SHA-256 equal" in text


@pytest.mark.parametrize(
    ("dataset", "at", "value", "line"),
    [
        ("electrochemistry/voltage", 5, 1.0, "electrochemistry/voltage: DIFFERS: 120 in the journal, 120 in run.h5, other values"),
        ("electrochemistry/charge_net", 5, 1.0, "run.h5: its digest is"),
        ("fid/li/fid", (1, 3), 1 + 1j, "fid/li: DIFFERS"),
        ("fid/li/key", 0, b"other", "fid/li: DIFFERS"),
        ("events/kind", 3, b"other", "events: DIFFERS"),
        ("acquisitions/state", 0, b"lost", "run.h5: its digest is"),
    ],
)
def test_verify_finds_a_changed_number(run: Path, dataset: str, at: Any, value: Any, line: str) -> None:
    with h5py.File(run / "run.h5", "r+") as file:
        file[f"entry/{dataset}"][at] = value
    finding = verify(run)
    assert not finding.ok
    assert finding.lines[0].startswith(line)


def test_verify_finds_rows_that_are_missing(run: Path) -> None:
    with h5py.File(run / "run.h5", "r+") as file:
        file["entry/electrochemistry/voltage"].resize(119, axis=0)
    assert "electrochemistry/voltage: DIFFERS: 120 in the journal, 119 in run.h5" in verify(run).lines
    assert not compared(run).ok


def test_verify_finds_a_changed_attribute(run: Path) -> None:
    with h5py.File(run / "run.h5", "r+") as file:
        file["entry/electrochemistry/current"].attrs["units"] = "mA"
    assert verify(run).lines[0].startswith("run.h5: its digest is")


def test_verify_finds_damaged_and_missing_raw_files(run: Path) -> None:
    (run / "raw/a0000/fid").write_bytes(b"something else")
    (run / "raw/a0001/fid").unlink()
    finding = verify(run)
    assert not finding.ok
    assert finding.lines[0].startswith("raw/a0000/fid: not the bytes that were archived (sha256 ")
    assert finding.lines[1] == "raw/a0001/fid: No such file or directory"


def test_verify_names_raw_files_that_no_record_names(run: Path) -> None:
    (run / "raw/a0009.part").mkdir()
    (run / "raw/a0009.part/fid").write_bytes(b"half")
    finding = verify(run)
    assert finding.ok, "it was never said to be there"
    assert "raw/a0009.part/fid: in no record of the journal (being archived when the run ended?)" in finding.lines


def test_verify_finds_a_changed_journal_and_recover_rebuilds_what_is_whole(run: Path) -> None:
    with sqlite3.connect(run / "journal.sqlite") as connection:
        connection.execute("UPDATE record SET data = replace(data, '120', '121') WHERE seq = 60")
        connection.execute("UPDATE record SET utc_ns = utc_ns + 1 WHERE seq = 60")
    connection.close()
    assert verify(run).lines[0] == "record 60 (ec.block) is not what was written"
    finding = recover(run)
    assert not finding.ok
    assert "rebuilt from the 59 before" in finding.lines[0]
    assert (run / "run.h5.before-recovery").exists()
    with open_run(run) as opened:
        assert opened.attributes["journal_seq"] == 59


def test_recover_makes_the_same_file_again(run: Path) -> None:
    before = digest(run / "run.h5")
    (run / "run.h5").write_bytes(b"torn")
    assert "cannot be read" in "\n".join(verify(run).lines)
    finding = recover(run)
    assert finding.ok, finding.lines
    assert digest(run / "run.h5") == before == finding.digest
    assert verify(run).ok
    assert json.loads((run / "closeout.json").read_text())["ok"]


async def test_recover_of_a_run_that_has_not_ended(tmp_path: Path, night: Any) -> None:
    last = await night(samples=20, fids=0, ended=False).write(tmp_path / "journal.sqlite")
    finding = recover(tmp_path)
    assert finding.ok
    assert "has not ended" in finding.lines[-1]
    with open_run(tmp_path) as opened:
        assert opened.attributes["journal_seq"] == last
        assert len(opened.electrochemistry["voltage"]) == 20
    finding = verify(tmp_path)
    assert finding.ok
    assert "run.h5: no close-out yet, so no digest to compare with" in finding.lines
    assert not (tmp_path / "closeout.json").exists()


async def test_verify_of_a_file_that_lags_behind(tmp_path: Path, night: Any) -> None:
    await night(samples=20, fids=0, ended=False).write(tmp_path / "journal.sqlite")
    recover(tmp_path)
    from drivers.clock import Clock
    from orchestrator.recorder.journal import Journal

    journal = Journal.open(tmp_path / "journal.sqlite", Clock())
    journal.put("note", {"text": "later", "who": "me"})
    await journal.close()
    finding = verify(tmp_path)
    assert finding.ok
    assert "run.h5 covers 28 of 29 records; the rest is in the journal" in finding.lines


def test_recover_leaves_a_run_alone_that_is_observed(run: Path) -> None:
    own = hold_file(run / LOCK)
    assert own is not None
    with pytest.raises(ObserverRuns, match="Nothing was changed"):
        recover(run)
    own.close()


def test_without_a_journal_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert not verify(tmp_path).ok
    assert "no journal" in verify(tmp_path).lines[0]
    assert "no journal" in recover(tmp_path).lines[0]
    assert not (tmp_path / "run.h5").exists()


def test_the_reader_refuses_other_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(NotARun):
        open_run(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_run(tmp_path / "nothing.h5")


def test_the_reader_gives_columns_with_units(run: Path) -> None:
    with open_run(run / "run.h5") as opened:
        ec = opened.electrochemistry
        assert len(ec) == 11
        assert ec.units["charge_net"] == "mA h"
        assert ec.attributes["signal"] == "voltage"
        assert opened.fid["li"]["key"][0] == "a0000"
        assert opened.acquisitions["state"][-1] == "missed"
        assert opened.events[0]["kind"] == "run.started"
        assert sorted(opened.spectra) == ["li"]
        assert opened.text("rig") == "version: 1\n"
