"""docs/validation.md: every row of the literature stands in it, in order, whatever became of it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from orchestrator.config import ConfigError, load_experiment
from orchestrator.model.validation import Validation
from orchestrator.validate.compare import Line
from orchestrator.validate.measures import MEASURES
from orchestrator.validate.page import ordered, page
from orchestrator.validate.perform import changed, shortened
from orchestrator.validate.rows import IDS, ROWS
from orchestrator.validate.run import NoSuchRow, asked_of, validations, wanted_rows

ROOT = Path(__file__).parents[3]
EXPERIMENTS = ROOT / "configs" / "experiments"
NAMES = [path.stem for path in sorted(EXPERIMENTS.glob("*.yaml")) if "\nvalidate:" in path.read_text("utf-8")]


@cache
def files() -> dict[Path, Validation]:
    """Read when the first test asks, not when every worker collects."""
    return validations(EXPERIMENTS)


def test_every_row_of_the_tables_is_there_once() -> None:
    expected = [f"O{n}" for n in range(1, 8)] + ["O7b"] + [f"O{n}" for n in range(8, 33)]
    expected += [f"R{n}" for n in range(1, 9)] + [f"Q{n}" for n in range(1, 19)] + [f"P{n}" for n in range(1, 19)]
    assert [row.id for row in ROWS] == expected
    assert len(expected) == 33 + 8 + 18 + 18


def test_the_committed_page_mentions_every_row() -> None:
    text = (ROOT / "docs" / "validation.md").read_text("utf-8")
    shown = re.findall(r"^\| ([OPQR]\d+b?) \|", text, re.MULTILINE)
    assert list(dict.fromkeys(shown)) == [row.id for row in ROWS]


def test_the_committed_page_has_a_line_for_every_comparison_of_the_files() -> None:
    text = (ROOT / "docs" / "validation.md").read_text("utf-8")
    for path, validation in files().items():
        for one in validation.compare:
            assert f"| {one.row} | {one.quantity.replace('|', chr(92) + '|')} |" in text, path.name


def test_a_row_without_a_file_says_why_and_there_is_none() -> None:
    for line in ordered([]):
        assert line.result == "not yet"
        assert line.why
    assert {one.row for validation in files().values() for one in validation.compare} == IDS


def test_lines_come_in_the_order_of_the_tables_and_the_page_is_the_same_each_time() -> None:
    lines = [
        Line("R1", "b", "V", "1", 1.0, 0.1, "pass"),
        Line("O1", "a", "ppm", "2", 3.0, 0.1, "fail"),
        Line("O1", "c", why="gone", result="fail"),
    ]
    assert [line.row for line in ordered(lines)][:3] == ["O1", "O1", "O2"]
    assert page(lines) == page(list(reversed(lines))[::-1])
    assert "| O1 | a | 2 ppm | 3.00 ± 0.10 ppm | fail |" in page(lines)
    assert "3 comparisons: 1 pass, 2 fail; 75 rows not yet." in page(lines)


def test_what_limits_a_pass_stands_beside_it() -> None:
    lines = [
        Line("O1", "a", "ppm", "2", 2.0, 0.1, "pass", consistency=True),
        Line("O2", "b", "ppm", "2", 2.0, 0.1, "pass", note="the bound was 1 at first"),
    ]
    assert "| O1 | a | 2 ppm | 2.00 ± 0.10 ppm | pass (consistency, not evidence) |" in page(lines)
    assert "| O2 | b | 2 ppm | 2.00 ± 0.10 ppm | pass; note: the bound was 1 at first |" in page(lines)
    assert "2 comparisons: 2 pass (1 of them consistency, not evidence), 0 fail" in page(lines)


def test_rows_that_tell_a_twins_own_number_or_a_late_choice_say_so() -> None:
    every = {(one.row, one.quantity[:20]): one for validation in files().values() for one in validation.compare}
    for one in every.values():
        if "shift" in one.measure:
            assert one.consistency, f"{one.row}: a shift stands in the twin's file"
    assert all(one.note for one in every.values() if one.row in {"O25", "O27"})
    assert [key for key, one in every.items() if one.row in {"O15", "O22"} and one.note] == [
        ("O15", "the void lies at the"),
        ("O22", "charged LiCoO2 lies "),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_section_names_measures_that_there_are_and_says_where_its_numbers_come_from(name: str) -> None:
    for one in files()[EXPERIMENTS / f"{name}.yaml"].compare:
        assert one.row in IDS
        assert one.source
        assert sum(word in MEASURES for word in one.measure) == 1, one.measure
        assert "twin" not in one.measure


def test_only_files_that_speak_of_a_row_are_read(tmp_path: Path) -> None:
    for name in ("O09_germanium.yaml", "Q01_ball_milling.yaml"):
        (tmp_path / name).write_text((EXPERIMENTS / name).read_text("utf-8"), "utf-8")
    (tmp_path / "O08_broken.yaml").write_text("validate: {\nvalidate: row O8", "utf-8")
    assert [path.name for path in validations(tmp_path, frozenset({"O9"}))] == ["O09_germanium.yaml"]
    with pytest.raises(ConfigError):
        validations(tmp_path, frozenset({"O8"}))


def test_rows_choose_the_files() -> None:
    assert {asked.file.name for asked in asked_of(files(), wanted_rows(["O9"]))} == {"O09_germanium.yaml"}
    assert wanted_rows([]) == IDS
    with pytest.raises(NoSuchRow, match="O99"):
        wanted_rows(["O99"])


def test_run_ignores_the_section_and_a_shortened_file_has_none(tmp_path: Path) -> None:
    experiment = load_experiment(ROOT / "configs" / "experiments" / "O09_germanium.yaml")
    assert experiment.validation is not None
    text = shortened(experiment.source, {"record": {"every_s": 7}})
    (tmp_path / "short.yaml").write_text(text, "utf-8")
    short = load_experiment(tmp_path / "short.yaml")
    assert short.validation is None
    assert short.record.every_s == 7
    assert [item.text for item in short.protocol if hasattr(item, "text")] == [
        item.text for item in experiment.protocol if hasattr(item, "text")
    ]


def test_a_twin_is_changed_on_one_side_only() -> None:
    text = changed("working: &face {foil: {j0: 1}}\ncounter: *face\n", {"working.foil.j0": 2})
    from ruamel.yaml import YAML

    assert YAML(typ="safe").load(text) == {"working": {"foil": {"j0": 2}}, "counter": {"foil": {"j0": 1}}}
    with pytest.raises(KeyError):
        changed("a: {b: 1}", {"c.b": 2})
