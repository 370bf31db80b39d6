"""A recorded night through the whole program: every FID bit for bit, with what the vendor's files say beside it.

The recorded bytes are read here by the documented format (32 bytes of file header, 28 of block header, big-endian numbers),
not by a reader of the program. Every test runs on a made-up recording; the first ones on a real one too, where it is there.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from replayed_runs import EXPERIMENT, OURS, Replayed, make_recording, recorded_in, replay, shortened

from drivers.errors import NotReachable
from orchestrator.recorder.recover import verify
from orchestrator.rig.gather import CannotRun, gather
from orchestrator.rig.request import RunRequest


@pytest.fixture(scope="module", params=["made up", pytest.param("real", marks=pytest.mark.real_data)], ids=["made_up", "real"])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """A whole recording, played back once for all tests that only look."""
    repository, folder = Path(__file__).parents[2], tmp_path_factory.mktemp("replayed")
    if request.param == "real":
        found = replay(repository / EXPERIMENT, request.getfixturevalue("battery"), folder)
    else:
        found = replay(shortened(repository, folder, 17), make_recording(folder / "recording", 3), folder)
    yield found
    found.entry.file.close()


@pytest.fixture(scope="module")
def battery() -> Path:
    from tests.conftest import real_data_folder  # the function-scoped fixture cannot serve a module

    folder = real_data_folder()
    assert folder is not None
    return folder / "vnmrj_battery_19F_1H"


# ------------------------------------------------------------------------------------------- what the file holds at the end


def test_every_fid_is_stored_bit_for_bit_in_the_order_of_the_recording(replayed: Replayed) -> None:
    for name, recorded in recorded_in(replayed.data).items():
        stored = replayed.entry[f"fid/{name}/fid"][()]
        assert len(stored) == len(recorded) > 2
        assert replayed.entry[f"fid/{name}/fid"].attrs["raw_dtype"] == recorded[0].numbers.dtype.str
        for row, one in zip(stored, recorded, strict=True):
            assert row.view(np.float32).astype(one.numbers.dtype).tobytes() == one["fid"][60:]


def test_both_types_of_numbers_are_there(replayed: Replayed) -> None:
    assert {name: replayed.entry[f"fid/{name}/fid"].attrs["raw_dtype"] for name in OURS.values()} == {"fluorine": ">i4", "proton": ">f4"}


def test_nuclei_take_turns_and_every_acquisition_is_verified(replayed: Replayed) -> None:
    records, recorded = replayed.records(), recorded_in(replayed.data)
    assert [name for name, _, _ in records] == ["fluorine", "proton"] * len(recorded["proton"])
    assert {state for _, state, _ in records} == {"verified"}
    assert (replayed.ended.outcome.complete, replayed.ended.outcome.exit_code) == (True, 0)
    assert verify(replayed.ended.folder).ok


def test_hashes_stand_beside_every_fid(replayed: Replayed) -> None:
    for name, recorded in recorded_in(replayed.data).items():
        group = replayed.entry[f"fid/{name}"]
        for n, one in enumerate(recorded):
            assert group["sha256"][n].decode() == hashlib.sha256(group["fid"][n].tobytes()).hexdigest()
            said = {Path(path).name: sha256 for path, sha256 in json.loads(group["raw_sha256"][n]).items()}
            for file in ("fid", "procpar", "log"):
                assert said[file] == hashlib.sha256(one[file]).hexdigest()
            (kept,) = (replayed.ended.folder / group["raw_folder"][n].decode()).iterdir()
            assert {file: (kept / file).read_bytes() for file in ("fid", "procpar")} == {file: one[file] for file in ("fid", "procpar")}


def test_the_vendors_stamps_stand_beside_every_fid_as_they_are_written(replayed: Replayed) -> None:
    for name, recorded in recorded_in(replayed.data).items():
        assert set(replayed.column(f"fid/{name}/vendor_zone")) == {"local, no zone"}
        for text, one in zip(replayed.column(f"fid/{name}/vendor_times"), recorded, strict=True):
            stamps = json.loads(text)
            assert {"time_run", "time_complete"} <= set(stamps)
            assert stamps == {what: one.text(what) for what in stamps}


def test_all_parameters_stand_beside_every_fid(replayed: Replayed) -> None:
    import nmrglue

    for name, recorded in recorded_in(replayed.data).items():
        columns = [replayed.column(f"fid/{name}/parameters/{column}") for column in ("key", "part", "data")]
        texts: dict[str, str] = {}
        for key, part, data in zip(*columns, strict=True):
            assert (part == 0) == (key not in texts)
            texts[key] = texts.get(key, "") + data
        assert list(texts) == replayed.column(f"fid/{name}/key")
        for text, one in zip(texts.values(), recorded, strict=True):
            theirs = nmrglue.varian.read_procpar(str(one.folder / "procpar"))
            ours = json.loads(text)
            assert set(ours) == set(theirs)
            for parameter in ("sw", "np", "nt", "gain", "sfrq", "d1", "tn", "seqfil"):
                assert str(ours[parameter]) == theirs[parameter]["values"][0] or ours[parameter] == float(theirs[parameter]["values"][0])


def test_what_is_simulated_and_what_was_recorded_says_so(replayed: Replayed) -> None:
    instrument, entry = replayed.entry["instrument"], replayed.entry
    assert instrument["potentiostat"].attrs["simulated"] == True  # noqa: E712 a number in the file
    assert (instrument["console"].attrs["simulated"], instrument["console"].attrs["fids_recorded"]) == (1, 1)
    assert (entry.attrs["simulated"], entry.attrs["fids_recorded"]) == (1, 1)
    assert np.all(entry["electrochemistry/current"][()] == 0)


@pytest.mark.parametrize("replayed", ["made up"], indirect=True)
def test_the_same_recording_gives_the_same_digest(replayed: Replayed, repository: Path, tmp_path: Path) -> None:
    again = replay(shortened(repository, replayed.data.parent, 17), replayed.data, tmp_path)  # the file's path is part of the record
    again.entry.file.close()
    assert again.ended.closeout["digest"] == replayed.ended.closeout["digest"]


# --------------------------------------------------------------------------------------------------- over real sockets

AUDITED = """
import json, os, sys
data, seen, ours = os.path.realpath(sys.argv.pop(1)), [], []
def look(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "shutil.copyfile", "os.link", "os.symlink"):
        for argument in arguments:
            if isinstance(argument, (str, bytes, os.PathLike)):
                path = os.path.realpath(os.fsdecode(argument))
                ours.append(path)
                if path == data or path.startswith(data + os.sep):
                    seen.append([event, path])
sys.addaudithook(look)
from orchestrator.cli import main
code = main()
print(json.dumps({"seen": seen, "looked": sum(path.endswith("replay-vnmrj.yaml") for path in ours), "code": code}), file=sys.stderr)
"""


def said_to_console(folder: Path) -> str:
    """Everything the driver wrote to the console."""
    lines = [json.loads(line) for line in (folder / "wire" / "console.jsonl").read_text("utf-8").splitlines()]
    return "\n".join(bytes.fromhex(line["hex"]).decode() if "hex" in line else line["text"] for line in lines if line["dir"] == "tx")


@pytest.mark.posix_only
@pytest.mark.timeout(180)
@pytest.mark.parametrize("which", ["made_up", pytest.param("real", marks=pytest.mark.real_data)])
def test_over_real_sockets_the_driver_never_opens_the_recording(
    which: str, repository: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue("battery") if which == "real" else make_recording(tmp_path / "recording", 12)
    command = [sys.executable, "-c", AUDITED, str(data), "run", str(repository / EXPERIMENT), "--data", str(data)]
    done = subprocess.run([*command, "--speed", "600", "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    said = json.loads(done.stderr.splitlines()[-1])
    assert (said["code"], said["seen"]) == (0, []), done.stdout + done.stderr
    assert said["looked"] > 0
    (folder,) = (tmp_path / "out").iterdir()
    spoken = said_to_console(folder)
    assert str(data) not in spoken
    with h5py.File(folder / "run.h5") as file:
        for name, recorded in recorded_in(data).items():
            stored = file[f"entry/fid/{name}/fid"][()]
            assert [row.view(np.float32).astype(one.numbers.dtype).tobytes() for row, one in zip(stored, recorded, strict=True)] == [
                one["fid"][60:] for one in recorded
            ]
            for key in file[f"entry/fid/{name}/key"].asstr()[()]:
                assert re.search(rf"wexp='svf\(\\'/home/vnmr1/vnmrsys/data/operando/{key}_b0\\'\)[^\0]* au\0?", spoken), key


# ------------------------------------------------------------------------------------------ recordings that end or are damaged


@pytest.fixture
def through(repository: Path, tmp_path: Path) -> Iterator[Callable[[Path], Replayed]]:
    """Play a folder back through 17 minutes: three of each are asked for."""
    opened: list[Replayed] = []

    def play(data: Path) -> Replayed:
        opened.append(replay(shortened(repository, tmp_path, 17), data, tmp_path / "out"))
        return opened[-1]

    yield play
    for one in opened:
        one.entry.file.close()


@pytest.mark.parametrize("which", ["made_up", pytest.param("real", marks=pytest.mark.real_data)])
def test_triggers_beyond_the_recording_are_missed(
    which: str, tmp_path: Path, request: pytest.FixtureRequest, through: Callable[[Path], Replayed]
) -> None:
    data = make_recording(tmp_path / "recording", 2)
    if which == "real":
        for one in data.iterdir():
            shutil.rmtree(one)
        battery = recorded_in(request.getfixturevalue("battery"))
        for one in (*battery["fluorine"][:2], battery["proton"][0]):
            shutil.copytree(one.folder, data / one.folder.name)
    else:
        shutil.rmtree(recorded_in(data)["proton"][1].folder)
    found = through(data)
    of_H1, of_F19 = "recording exhausted: 1 of 1 H1 served", "recording exhausted: 2 of 2 F19 served"
    assert found.records() == [
        ("fluorine", "verified", ""),
        ("proton", "verified", ""),
        ("fluorine", "verified", ""),
        ("proton", "missed", of_H1),
        ("fluorine", "missed", of_F19),
        ("proton", "missed", of_H1),
    ]
    outcome = found.ended.outcome
    assert (outcome.state, outcome.outcome, outcome.complete, outcome.exit_code) == ("finished", "as planned", False, 3)
    assert {alarm["level"] for alarm in found.events("alarm.raised")} == {"warn"}
    assert len([alarm for alarm in found.events("alarm.raised") if "exhausted" in alarm["text"]]) == 1
    assert len(found.entry["fid/fluorine/fid"]) == 2


def test_an_empty_folder_is_refused_and_said(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotReachable, match=r"no recorded \.fid directories in") as refused:
        replay(repository / EXPERIMENT, empty, tmp_path / "out")
    assert "--data names a folder" in str(refused.value)


@pytest.mark.parametrize(("data", "why"), [(None, "name its folder with --data FOLDER"), (Path("nowhere"), "there is no such folder")])
def test_no_folder_starts_nothing(repository: Path, tmp_path: Path, data: Path | None, why: str) -> None:
    with pytest.raises(CannotRun, match=why):
        gather(RunRequest(repository / EXPERIMENT, None, tmp_path, speed=None, data=data))


def test_data_is_for_an_emulated_console_only(repository: Path, tmp_path: Path) -> None:
    rig = repository / "configs/rigs/memory.yaml"
    with pytest.raises(CannotRun, match="--data is for an emulated console"):
        gather(RunRequest(repository / "configs/experiments/demo.yaml", rig, tmp_path, speed=None, data=tmp_path))


def test_damaged_directories_cost_their_own_spectra_only(tmp_path: Path, through: Callable[[Path], Replayed]) -> None:
    data = make_recording(tmp_path / "recording", 3)
    recorded = recorded_in(data)
    cut, gone, torn = recorded["fluorine"][1].folder, recorded["proton"][1].folder, recorded["proton"][2].folder
    (cut / "fid").write_bytes((cut / "fid").read_bytes()[:-100])
    (gone / "fid").unlink()
    (torn / "procpar").write_text((torn / "procpar").read_text()[:500])
    found = through(data)
    (_, _, _, lost, _, last) = found.records()
    assert [state for _, state, _ in found.records()] == ["verified", "verified", "lost", "lost", "verified", "missed"]
    assert re.search(r"no complete files: a\d+-fluorine_b0.fid/fid has 4056 bytes, its header says 4156", found.records()[2][2])
    assert lost[2].startswith(f"{gone.name} cannot be served: No such file or directory: fid")
    assert last[2].startswith(f"recording exhausted: 2 of 2 H1 served; left out: {torn.name}, ")
    assert found.ended.outcome.outcome == "as planned"
    assert len(found.entry["fid/fluorine/fid"]) == 2
