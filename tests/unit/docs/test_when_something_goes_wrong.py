"""The page for 3 a.m.: its alarms are all that the program can raise, its exit codes, commands and messages are the program's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from drivers import registry
from orchestrator.cli import exits
from orchestrator.cli.app import app

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "how-to" / "when-something-goes-wrong.md").read_text("utf-8")
SHORTEST = 4


@cache
def trees() -> list[ast.Module]:
    """All the code; read when the first test asks, not when every worker collects."""
    files = (path for room in ("orchestrator", "drivers") for path in sorted((REPOSITORY / room).rglob("*.py")))
    return [ast.parse(path.read_text("utf-8")) for path in files]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def written(node: ast.expr) -> str:
    """A text as code has it, with NAME for what is put in; "" for what is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) if isinstance(part, ast.Constant) else "NAME" for part in node.values)
    if isinstance(node, ast.Name):
        return constants().get(node.id, "")
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def constants() -> dict[str, str]:
    """Texts that have a name of their own, in capital letters."""
    nodes = (node for tree in trees() for node in tree.body)
    found = ((node.targets[0], node.value) for node in nodes if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))
    return {target.id: value.value for target, value in found if isinstance(target, ast.Name) and isinstance(value.value, str)}


@cache
def raised() -> frozenset[tuple[str, str]]:
    """Id and level of every alarm that the program can raise; level "" = decided elsewhere."""
    return frozenset(one for one in _raised() if one[0])


def _raised() -> Iterator[tuple[str, str]]:
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sound":
            yield written(node.args[0]), written(node.args[1])
        if isinstance(node, ast.Dict):
            found = {written(key): written(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}
            if {"id", "level", "advice"} <= found.keys():
                yield found["id"], found["level"]


@cache
def texts() -> str:
    """Every text in the code, one a line."""
    nodes = (node for tree in trees() for node in ast.walk(tree))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def messages() -> list[str]:
    return [line.removeprefix("> ") for line in PAGE.splitlines() if line.startswith("> ")]


def test_the_alarms_are_those_of_the_program() -> None:
    told = {(row[0].strip("`"), "" if row[1].startswith("as ") else row[1]) for row in rows("Alarms")}
    assert told == raised()
    assert len(told) > 20


def test_the_exit_codes_are_those_of_the_program() -> None:
    known = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(row[0]) for row in rows("Exit codes")} == known


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_that_the_program_prints(message: str) -> None:
    if found := re.match(r"(\w+) \[([\w-]+)\] (.*)", message):
        level, name, message = found.groups()
        assert (name, level) in raised()
    parts = [part.strip(" ;:,()") for whole in message.split("…") for part in re.split(r"\. |: ", whole)]
    parts = [part.removesuffix(".") for part in parts if len(part) >= SHORTEST]
    assert parts
    assert not [part for part in parts if part not in texts()]


def test_the_commands_are_there() -> None:
    known: Any = typer.main.get_command(app)
    assert set(re.findall(r"(?:`|^)operando ([a-z]+)", PAGE, flags=re.MULTILINE)) <= set(known.commands)


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/when-something-goes-wrong.md"])
def test_what_goes_on_after_a_death_is_named(page: str) -> None:
    named = set(re.findall(r"`operando ([a-z]+)", (REPOSITORY / page).read_text("utf-8")))
    assert named >= {"verify", "recover", "continue", "pack", "prune", "guard"}


def test_the_faults_to_try_are_there() -> None:
    known = registry.fault_names("emulators", "methodscript") | registry.fault_names("emulators", "openvnmrj")
    known |= registry.fault_names("consoles", "sim") | registry.fault_names("potentiostats", "sim")
    named = re.findall(r"--fault (?:[a-z]+\.)?(\w+)", PAGE)
    assert len(named) > 7
    assert set(named) <= known


def test_each_place_on_the_page_is_there() -> None:
    headings = {re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\(#([\w-]+)\)", PAGE)) <= headings
