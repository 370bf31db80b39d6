"""The generated pages of the reference are what their sources say today."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli.app import app
from orchestrator.model.interlocks import INTERLOCKS, TABLE
from orchestrator.recorder import layout


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made = runpy.run_path(str(Path(__file__).parents[3] / "docs" / "generate.py"))["pages"]()
    reference = Path(__file__).parents[3] / "docs" / "reference"
    return {path.relative_to(reference).as_posix(): text for path, text in made.items()}


def test_every_page_is_current(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        written = (Path(__file__).parents[3] / "docs" / "reference" / name).read_text("utf-8")
        assert written == text, f"{name}: run python docs/generate.py"


def test_every_group_and_dataset_is_there(pages: dict[str, str]) -> None:
    for group in layout.GROUPS:
        assert f"\n## /entry/{group.path}\n" in pages["run-h5.md"]
        for dataset in group.datasets:
            assert f"| `{dataset.name}` |" in pages["run-h5.md"]


def test_every_interlock_and_number_is_there_and_on_the_page_of_the_experiment(pages: dict[str, str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "experiment-file.md").read_text("utf-8")
    for one in TABLE:
        assert f"\n## {one.name}\n" in pages["interlocks.md"]
        (row,) = [line for line in page.splitlines() if line.startswith("| ") and f"`{one.name}`" in line.split("|")[1]]
        assert all(f"`{name}`" in row for name in one.numbers)


def test_every_command_for_people_is_there(pages: dict[str, str]) -> None:
    program: Any = typer.main.get_command(app)
    assert len(program.commands) > 20
    for name, command in program.commands.items():
        for one in (f"{name} {word}" for word in getattr(command, "commands", {})) if hasattr(command, "commands") else (name,):
            assert (f"\n## operando {one}\n" in pages["commands.md"]) is not command.hidden


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("hard short", {"floor"}), ("overload", {"part", "guard"}), ("open lead", {"part", "compliance", "samples", "guard"})],
)
def test_numbers_that_no_source_gives_are_marked(pages: dict[str, str], name: str, numbers: set[str]) -> None:
    assert {one for one, number in INTERLOCKS[name].numbers.items() if number.inferred} == numbers
    section = pages["interlocks.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert {line.split("`")[1] for line in section.splitlines() if line.endswith(", inferred |")} == numbers
