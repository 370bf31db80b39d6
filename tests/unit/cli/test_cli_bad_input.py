"""Files that are not what a command needs: a sentence that names the file, exit code 2, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli import exits
from orchestrator.cli.app import run
from orchestrator.config import ConfigError, load_rules
from orchestrator.recorder.cluster import Cluster, NoCluster
from orchestrator.recorder.reader import NotARun, open_run

EXPERIMENT = """version: 1
experiment: a
rig: ../rigs/not-here.yaml
cell: {id: c, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 0.25, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: 7Li_metal, scans: 8, dummies: 4}}
protocol: [Rest for 1 minute]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_systems_own_errors_name_the_file_and_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError) as there_is_none:
        (tmp_path / "gone").read_text("utf-8")
    assert exits.told(there_is_none.value) == exits.CONFIGURATION
    assert capsys.readouterr().err == f"{tmp_path / 'gone'}: no such file or directory\n"


def test_a_run_file_that_was_cut_short_is_no_bug_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(NotARun, match=r"cannot be read.*operando recover") as cut:
        open_run(tmp_path)
    assert exits.told(cut.value) == exits.CONFIGURATION
    assert "run.h5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("version: 1\nexperiment: a\n", r":1:1: there are no rules in it"),
        ("rules: [", r":1:\d+: not YAML"),
        ("just words", r":1:1: there are no rules in it"),
    ],
)
def test_a_file_without_rules(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"rules\.yaml.*" + why):
        load_rules(written(tmp_path, text), EXPERIMENT)


def test_rules_are_read_in_the_runs_experiment_and_its_rig_is_not_asked_for(tmp_path: Path) -> None:
    (rule,) = load_rules(written(tmp_path, "rules:\n  - {name: high, when: abs(E) > 0.4 V, do: [warn]}\n"), EXPERIMENT)
    assert rule.name == "high"


@pytest.mark.parametrize("experiment", [EXPERIMENT, "", "not an experiment"])
def test_a_mistake_in_a_rule_says_where_it_stands_in_its_own_file(tmp_path: Path, experiment: str) -> None:
    high, low = "{name: high, when: abs(F) > 0.4 V, do: [warn]}", "{name: low, whem: abs(E) < 1 mV, do: [warn]}"
    file = written(tmp_path, f"# ours\nrules:\n  - {high}\n  - {low}\n")
    with pytest.raises(ConfigError) as wrong:
        load_rules(file, experiment)
    text = str(wrong.value)
    assert f"{file}:3:28: " in text
    assert f"{file}:4:17: " in text
    assert high in text
    assert "not-here" not in text


def test_rules_that_stand_in_an_experiment_are_read_in_it_where_a_run_has_none(tmp_path: Path) -> None:
    file = written(tmp_path, EXPERIMENT + "rules:\n  - {name: none, when: abs(E) > 0.4 V, do: [missing verb]}\n")
    with pytest.raises(ConfigError) as wrong:
        load_rules(file, "")
    assert f"{file}:9:" in str(wrong.value)
    assert "not-here" not in str(wrong.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["validate", "Z9"], "no row is called Z9"),
        (["dashboard", "--broker", "nowhere"], "`nowhere` is no broker"),
        (["dashboard", "--broker", "mqtt://me:secret@host"], "no password may stand in it"),
    ],
)
def test_a_word_that_is_none_is_told_in_a_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == exits.CONFIGURATION
    assert said in capsys.readouterr().err


def test_an_address_that_is_no_schedulers_is_not_taken_for_a_spectrum_that_cannot_be_read() -> None:
    with pytest.raises(NoCluster, match="`nowhere` is no Dask scheduler"):
        next(Cluster("nowhere").map(str, [1]))
