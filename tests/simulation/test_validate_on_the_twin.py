"""The frame on two cheap rows, in virtual time: from the file to the table; a wrong twin fails, and nothing reads its state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli.validate import validate_command
from orchestrator.recorder.digest import digest
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest
from orchestrator.validate.perform import Asked, perform

EXPERIMENTS = Path(__file__).parents[2] / "configs" / "experiments"


@pytest.mark.parametrize(("row", "quantity", "count"), [("O3", "range of orientations", 3), ("P12", "corrected area", 2)])
def test_a_row_from_the_file_to_the_table(row: str, quantity: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = validate_command((row,), tmp_path / "table.md", full=False, as_json=True)
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert [line["row"] for line in lines] == [row] * count
    assert {line["result"] for line in lines} == {"pass"}
    assert set(lines[0]) >= {"row", "quantity", "published", "found", "sigma", "result"}
    assert f"| {row} | {quantity}" in (tmp_path / "table.md").read_text("utf-8")


def test_another_twin_fails_the_row_and_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    for folder in ("experiments", "twins", "rigs"):
        (tmp_path / folder).mkdir()
    text = (EXPERIMENTS / "O03_orientation.yaml").read_text("utf-8")
    (tmp_path / "rigs" / "memory.yaml").write_text((EXPERIMENTS / "../rigs/memory.yaml").read_text("utf-8"), "utf-8")
    twin = (EXPERIMENTS / "../twins/C1.yaml").read_text("utf-8")
    assert twin.count("bms_ppm: 30") == 1
    (tmp_path / "twins" / "C1.yaml").write_text(twin.replace("bms_ppm: 30", "bms_ppm: 20"), "utf-8")
    file = tmp_path / "experiments" / "O03_orientation.yaml"
    file.write_text(text, "utf-8")
    lines = perform(Asked(file, frozenset({"O3"}))).lines
    assert [line.result for line in lines] == ["pass", "fail", "fail"]
    again = perform(Asked(file, frozenset({"O3"}))).lines
    assert [(line.found, line.sigma) for line in again] == [(line.found, line.sigma) for line in lines]


def test_the_observer_in_the_runs_own_process_makes_the_same_file_and_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, rig = EXPERIMENTS / "Q03_ncm_environments.yaml", EXPERIMENTS / ".." / "rigs" / "samples.yaml"
    twin = EXPERIMENTS / ".." / "twins" / "Q03.yaml"

    def ended(inline: bool) -> Ended:
        folder = tmp_path / str(inline)
        folder.mkdir()
        request = RunRequest(experiment, rig.resolve(), folder, speed=None, seed=1, display="none", twin=twin.resolve(), inline=inline)
        return run(gather(request))

    beside = ended(inline=False)
    monkeypatch.setattr("orchestrator.rig.companions.spawn", None)
    here = ended(inline=True)
    assert here.outcome == beside.outcome
    assert here.outcome.complete
    assert here.closeout == beside.closeout
    assert here.closeout["ok"]
    assert digest(here.folder / "run.h5") == digest(beside.folder / "run.h5") == here.closeout["digest"]


def test_a_run_that_does_not_come_about_fails_its_rows_and_says_why(tmp_path: Path) -> None:
    text = (EXPERIMENTS / "O03_orientation.yaml").read_text("utf-8")
    file = EXPERIMENTS.parent / "experiments" / "O03_orientation.yaml"
    broken = tmp_path / "experiments" / file.name
    broken.parent.mkdir()
    for folder in ("twins", "rigs"):
        (tmp_path / folder).symlink_to((EXPERIMENTS / ".." / folder).resolve())
    broken.write_text(text.replace("validate:\n", "validate:\n  instead: {protocol: [Rest for some time]}\n", 1), "utf-8")
    (line, *_) = perform(Asked(broken, frozenset({"P7"}))).lines
    assert line.result == "fail"
    assert line.why.startswith("the run failed: ")
    assert line.found is None


def test_a_row_without_a_file_is_not_yet_and_does_not_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiments").mkdir()
    monkeypatch.setattr("orchestrator.cli.paths.configs", lambda: tmp_path)
    assert validate_command(("Q18",), tmp_path / "table.md", full=False, as_json=True) == 0
    (line,) = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert line["result"] == "not yet"
    assert "no experiment file" in line["why"]
