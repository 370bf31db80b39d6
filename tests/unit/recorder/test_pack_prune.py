"""Packing proves that nothing changed before it replaces; pruning drops only what is proven, and keeps the proof."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from orchestrator.platform import hold_file
from orchestrator.recorder import pack as packing
from orchestrator.recorder.digest import digest_of
from orchestrator.recorder.pack import pack
from orchestrator.recorder.prune import prune
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.records import JournalInUse, ObserverRuns, Refused
from orchestrator.recorder.recover import LOCK, recover, verify
from orchestrator.rig.folders import find_run


@pytest.fixture(scope="module")
def finished(night: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("finished") / "run"
    folder.mkdir()
    asyncio.run(night(samples=2500, fids=3, points=2048, raw_folder=folder / "raw").write(folder / "journal.sqlite"))
    assert recover(folder).ok
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def everything(folder: Path) -> str:
    with h5py.File(folder / "run.h5") as file:
        return digest_of(file, derived=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_packing_saves_and_changes_no_number(run: Path) -> None:
    before, size = everything(run), (run / "run.h5").stat().st_size
    finding = pack(run)
    assert finding.ok
    assert "% saved" in finding.lines[0]
    assert (run / "run.h5").stat().st_size < 0.6 * size
    assert everything(run) == before
    assert verify(run).ok
    assert not (run / ".run.h5.ring").exists()


def test_packing_keeps_links_scales_and_attributes(run: Path) -> None:
    def described(folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look(name: str, node: Any) -> None:
            scales = [[scale.name for scale in axis.values()] for axis in node.dims] if isinstance(node, h5py.Dataset) else []
            types = {key: str(node.attrs.get_id(key).dtype) for key in node.attrs if key not in {"DIMENSION_LIST", "REFERENCE_LIST"}}
            found[name] = (types, scales, node.maxshape if isinstance(node, h5py.Dataset) else None)

        with h5py.File(folder / "run.h5") as file:
            file.visititems(look)
            found["shared"] = file["entry/spectra/li/key"] == file["entry/fid/li/key"]
            found["log"] = file["entry/instrument/potentiostat/value_log/value"] == file["entry/electrochemistry/voltage"]
        return found

    before = described(run)
    pack(run)
    after = described(run)
    assert "packed" in after["entry"][0]
    after["entry"][0].pop("packed")
    assert after == before


def test_only_filters_that_every_hdf5_has(run: Path) -> None:
    pack(run)
    with h5py.File(run / "run.h5") as file:
        entry = file["entry"]
        assert (entry["fid/li/fid"].compression, entry["fid/li/fid"].compression_opts, entry["fid/li/fid"].shuffle) == ("gzip", 4, True)
        assert entry["electrochemistry/time"].shuffle
        assert not entry["electrochemistry/voltage"].shuffle
        assert not entry["electrochemistry/current"].shuffle
        found: set[int] = set()
        file.visititems(lambda _, node: found.update(_filters(node)))
    assert found == {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}


def _filters(node: Any) -> list[int]:
    if not isinstance(node, h5py.Dataset):
        return []
    plan = node.id.get_create_plist()
    return [plan.get_filter(n)[0] for n in range(plan.get_nfilters())]


def test_packing_twice_is_packing_once(run: Path) -> None:
    pack(run)
    inode = (run / "run.h5").stat().st_ino
    assert pack(run).lines == ("run.h5 is packed already",)
    assert (run / "run.h5").stat().st_ino == inode


def test_a_run_without_a_passed_close_out_is_not_packed(run: Path) -> None:
    (run / "closeout.json").unlink()
    with pytest.raises(Refused, match="no close-out"):
        pack(run)


def test_a_file_that_has_changed_since_its_close_out_is_not_packed(run: Path) -> None:
    with h5py.File(run / "run.h5", "r+") as file:
        file["entry/electrochemistry/charge_net"][5] = 1.0
    before = (run / "run.h5").read_bytes()
    with pytest.raises(Refused, match="not what it was"):
        pack(run)
    assert (run / "run.h5").read_bytes() == before


def test_a_packed_file_that_reads_back_otherwise_does_not_take_the_place(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_copy = packing.copy_rows

    def lossy(source: Any, target: Any) -> None:
        true_copy(source, target)
        if h5py.Dataset(source).name.endswith("intensity"):  # derived: in no digest but the one of everything
            h5py.Dataset(target)[0, 0] += 1

    before = (run / "run.h5").read_bytes()
    monkeypatch.setattr(packing, "copy_rows", lossy)
    with pytest.raises(Refused, match="unpacked one stays"):
        pack(run)
    assert (run / "run.h5").read_bytes() == before
    assert not (run / ".run.h5.ring").exists()


def test_a_full_disk_leaves_the_unpacked_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (run / "run.h5").read_bytes()
    monkeypatch.setattr(packing, "sync_file", full)
    with pytest.raises(OSError, match="No space"):
        pack(run)
    assert (run / "run.h5").read_bytes() == before
    assert not (run / ".run.h5.ring").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_pruned_run_is_still_verified(run: Path, packed: bool) -> None:
    if packed:
        pack(run)
    finding = prune(run)
    assert finding.ok
    assert "MB freed" in finding.lines[0]
    assert names(run) == {"run.h5", "closeout.json", "pruned.json", "raw"}
    checked = verify(run)
    assert checked.ok, checked.lines
    assert checked.lines[0].startswith("journal: pruned at 20")
    assert "raw: 3 files, SHA-256 equal" in checked.lines
    assert find_run("run", run.parent) == run == find_run("latest", run.parent)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("voltage", "electrochemistry/voltage: DIFFERS: 2500 in pruned.json, 2500 in run.h5, other values"),
        ("charge_net", "run.h5: its digest is"),
        ("raw", "raw/a0001/fid: not the bytes that were archived"),
    ],
)
def test_verify_finds_what_is_damaged_after_pruning(run: Path, damage: str, line: str) -> None:
    prune(run)
    if damage == "raw":
        (run / "raw/a0001/fid").write_bytes(b"other")
    else:
        with h5py.File(run / "run.h5", "r+") as file:
            file[f"entry/electrochemistry/{damage}"][7] = 1.0
    finding = verify(run)
    assert not finding.ok
    assert finding.lines[0].startswith(line)


def test_recover_of_a_pruned_run_says_that_it_is_one(run: Path) -> None:
    prune(run)
    before = (run / "run.h5").read_bytes()
    finding = recover(run)
    assert not finding.ok
    assert "was pruned at" in finding.lines[0]
    assert (run / "run.h5").read_bytes() == before
    assert (run / "closeout.json").exists()
    assert prune(run).lines == ("there is no journal any more; nothing was changed",)


def test_pruning_that_died_half_way_is_finished_by_the_next(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        pass

    def dies(_: Path) -> None:
        raise Died

    from orchestrator.recorder import prune as pruning

    with monkeypatch.context() as patched:
        patched.setattr(pruning, "_remove_journal", dies)
        with pytest.raises(Died):
            prune(run)
    assert {"journal.sqlite", "pruned.json"} <= names(run)
    assert "CRC chain whole" in verify(run).lines[0]
    assert prune(run).ok
    assert "journal.sqlite" not in names(run)


@pytest.mark.parametrize("why", ["no close-out", "raw", "file", "lagging"])
def test_a_run_that_does_not_hold_keeps_its_journal(run: Path, why: str) -> None:
    if why == "no close-out":
        (run / "closeout.json").unlink()
    elif why == "raw":
        (run / "raw/a0000/fid").write_bytes(b"other")
    else:
        with h5py.File(run / "run.h5", "r+") as file:
            if why == "file":
                file["entry/electrochemistry/x"][3] = 0.5
            else:
                file["entry"].attrs.modify("journal_seq", np.int64(2000))
    with pytest.raises(Refused, match="the journal stays"):
        prune(run)
    assert "journal.sqlite" in names(run)
    assert "pruned.json" not in names(run)


async def test_a_run_that_has_not_ended_keeps_its_journal(tmp_path: Path, night: Any) -> None:
    await night(samples=20, fids=0, ended=False).write(tmp_path / "journal.sqlite")
    recover(tmp_path)
    with pytest.raises(Refused, match="not complete"):
        prune(tmp_path)
    with pytest.raises(Refused, match="no close-out"):
        pack(tmp_path)


def test_what_another_process_writes_is_left_alone(run: Path) -> None:
    for name, error in ((LOCK, ObserverRuns), (".journal.sqlite.lock", JournalInUse)):
        held = hold_file(run / name)
        assert held is not None
        with held, pytest.raises(error):
            prune(run)
    held = hold_file(run / LOCK)
    assert held is not None
    with held, pytest.raises(ObserverRuns):
        pack(run)
    assert json.loads((run / "closeout.json").read_text())["ok"]


def test_a_packed_run_that_is_recovered_is_unpacked_again(run: Path) -> None:
    before = everything(run)
    pack(run)
    assert recover(run).ok
    assert everything(run) == before
    with open_run(run) as opened:
        assert "packed" not in opened.attributes
