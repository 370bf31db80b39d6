"""Both sides of a recorded night through the whole program: samples, ends of steps and FIDs are those of the recording."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from replayed_runs import Replayed, make_recording, replay
from replayer import mpt_head, mpt_rows

from nights.live import observed_here
from orchestrator.recorder.reader import open_run
from orchestrator.report.facts import gather
from orchestrator.rig.gather import gather as gather_run
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

BOTH = "configs/experiments/replay-both.yaml"
EVERY_s, SECONDS = 5.0, 5600.0
NO_SPECTRA = {", nmr: {both: every 10 minutes}": ""}


def changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def beside(repository: Path, folder: Path, **changes: str) -> Path:
    """The experiment with a console in memory: a recording of one side is enough. ``changes``: of rig and experiment."""
    rig = (repository / "configs/rigs/memory.yaml").read_text("utf-8").replace("../", f"{repository}/configs/")
    of_rig = {"recording/echem": changes.pop("recording/echem", "recording/echem")}
    rig = rig.replace(
        "potentiostat: {driver: sim, address: memory}", "potentiostat: {driver: replay, address: 'recording:recording/echem'}"
    )
    (folder / "rig.yaml").write_text(changed(rig, of_rig))
    text = (repository / BOTH).read_text("utf-8").replace("../rigs/replay-both.yaml", "rig.yaml")
    text = re.sub(r"acquisitions:\n(  .*\n)+", "acquisitions:\n  metal: {template: 7Li_metal, recycle_s: 1, scans: 4, dummies: 0}\n", text)
    (folder / "beside.yaml").write_text(changed(text, changes))
    return folder / "beside.yaml"


def play(experiment: Path, out: Path) -> Ended:
    with observed_here():
        return run(gather_run(RunRequest(experiment, None, out, speed=None, seed=1, display="none")))


def recording(folder: Path) -> Path:
    """As EC-Lab exports it, and the console's folders."""
    data = make_recording(folder / "recording", 4)
    (data / "echem").mkdir()
    text = mpt_head(datetime(2023, 11, 18, 2, 30, 0)) + "".join(line for _, line in mpt_rows(SECONDS, EVERY_s))
    (data / "echem" / "cycle.mpt").write_text(text, encoding="latin-1", newline="")
    return data


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    folder = tmp_path_factory.mktemp("both")
    repository = Path(__file__).parents[2]
    fewer = {"every 10 minutes": "every 25 minutes", "rig: ../": f"rig: {repository}/configs/"}
    (folder / "both.yaml").write_text(changed((repository / BOTH).read_text("utf-8"), fewer))
    found = replay(folder / "both.yaml", recording(folder), folder)
    yield found
    found.entry.file.close()


def test_the_plan_runs_as_it_was_recorded(both: Replayed) -> None:
    ended = [(one["reason"], round(one["duration_s"])) for one in both.events("step.ended")]
    assert [reason for reason, _ in ended] == ["time", "v_upper", "v_lower"]
    rows = [(t_s, line.split("\t")) for t_s, line in mpt_rows(SECONDS, EVERY_s)]
    edges_s = [t_s for t_s, fields in rows if fields[4] == "1"]
    assert abs(ended[1][1] - (edges_s[1] - edges_s[0])) <= EVERY_s
    assert abs(ended[2][1] - (edges_s[2] - edges_s[1])) <= EVERY_s
    outcome = both.ended.outcome
    assert (outcome.state, outcome.outcome) == ("finished", "as planned")


def test_every_sample_is_a_recorded_one(both: Replayed) -> None:
    recorded = {float(line.split("\t")[8]) for _, line in mpt_rows(SECONDS, EVERY_s)}
    charge = both.entry["electrochemistry/step"][()] == 1
    volts = both.entry["electrochemistry/voltage"][()][charge]
    assert len(volts) > 300
    assert set(volts) <= recorded
    assert np.allclose(both.entry["electrochemistry/current"][()][charge], 5e-4)
    (step,) = [one for one in both.events("step.ended") if one["reason"] == "v_upper"]
    assert step["charge_C"] == pytest.approx(5e-4 * step["duration_s"], rel=2e-3)


def test_it_says_that_nothing_was_measured(both: Replayed) -> None:
    attributes = both.entry.attrs
    assert (attributes["simulated"], attributes["ec_recorded"], attributes["fids_recorded"], attributes["rung"]) == (1, 1, 1, 1)
    assert "no cell is connected" in attributes["cannot"]
    (cycler,) = [one for one in both.events("instrument") if one["role"] == "potentiostat"]
    assert (cycler["vendor"], cycler["serial"], cycler["simulated"], cycler["ec_recorded"]) == ("recording", "echem", True, True)
    assert cycler["address"] == "recording:echem"
    states = [one["detail"] for one in both.events("cell.state")]
    assert "nothing is connected, and no current flows anywhere" in states[0]
    with open_run(both.ended.folder) as run:
        assert gather(run).played_back == "the FIDs and the electrochemistry are recordings played back"


def test_spectra_stand_at_the_recorded_voltage(both: Replayed) -> None:
    verified = [name for name, state, _ in both.records() if state == "verified"]
    assert len(verified) >= 6
    fluorine = both.entry["fid/fluorine"]
    assert np.isfinite(fluorine["voltage_start"][()]).all()


def test_a_night_of_ours_plays_again(both: Replayed, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "recording").mkdir()
    shutil.copy(both.ended.folder / "run.h5", tmp_path / "recording" / "echem.h5")
    ended = play(beside(repository, tmp_path, **NO_SPECTRA, **{"recording/echem": "recording/echem.h5"}), tmp_path / "out")
    with h5py.File(ended.folder / "run.h5") as file:
        for name in ("voltage", "current", "step"):
            assert np.array_equal(file[f"entry/electrochemistry/{name}"][()], both.entry[f"electrochemistry/{name}"][()])
    assert ended.outcome.outcome == "as planned"


def test_a_recording_that_is_not_there_is_refused(repository: Path, tmp_path: Path) -> None:
    ended = play(beside(repository, tmp_path, **NO_SPECTRA), tmp_path / "out")
    assert ended.outcome.state == "failed"
    assert "echem cannot be played: there is nothing" in ended.outcome.reason


def test_a_step_that_was_not_recorded_ends_the_run_and_says_what_is_left(repository: Path, tmp_path: Path) -> None:
    recording(tmp_path)
    ended = play(beside(repository, tmp_path, **NO_SPECTRA, **{"Discharge at 0.5 mA": "Discharge at 0.3 mA"}), tmp_path / "out")
    assert ended.outcome.state == "failed"
    assert "recording exhausted: nothing is left in it like step" in ended.outcome.reason
    assert "-0.5 mA for" in ended.outcome.reason
    with h5py.File(ended.folder / "run.h5") as file:
        assert len(file["entry/electrochemistry/voltage"]) > 300


def test_a_recording_plays_beside_a_simulated_console(repository: Path, tmp_path: Path) -> None:
    """And without ``--data`` its path is relative to the rig file."""
    recording(tmp_path)
    ended = play(beside(repository, tmp_path, **{"{both: every 10 minutes}": "{metal: every 25 minutes}"}), tmp_path / "out")
    assert (ended.outcome.state, ended.outcome.outcome, ended.outcome.complete) == ("finished", "as planned", True)
    with h5py.File(ended.folder / "run.h5") as file:
        assert (file["entry"].attrs["ec_recorded"], file["entry"].attrs["fids_recorded"]) == (1, 0)
