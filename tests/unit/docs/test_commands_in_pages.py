"""Every `operando …` that a page tells people to type is understood by the program: command, options, number of words."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli.app import app
from orchestrator.cli.declared.init import RigUnlessSaid

REPOSITORY = Path(__file__).parents[3]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("**/*.md")), *sorted((REPOSITORY / "drivers").glob("*/README.md"))]
LEFT_OUT = re.compile(r"[…|\[\]]|\.\.\. ")
BY_TYPER = ("--install-completion", "--show-completion", "COMMAND")


def typed(page: Path) -> list[str]:
    """Whole commands: lines of fenced blocks, and code within sentences."""
    if page.parts[-2:] == ("reference", "commands.md") or "decisions" in page.parts:  # generated; history
        return []
    text = page.read_text("utf-8")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\\\n\s*", " ", block).splitlines() for block in blocks]
    rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [code.replace("\n", " ") for code in re.findall(r"`(operando [^`]+)`", rest)]
    found = [line.strip().removeprefix("$ ") for block in lines for line in block] + inline
    found = [re.sub(r"^\.venv[/\\](bin|Scripts)[/\\]operando", "operando", line) for line in found]
    return [line.partition("   ")[0].partition(" #")[0] for line in found if line.startswith("operando ")]


COMMANDS = sorted({(page.relative_to(REPOSITORY).as_posix(), line) for page in PAGES for line in typed(page)})


@cache
def program() -> Any:
    return typer.main.get_command(app)


def understood(words: list[str]) -> None:
    """Parse as the program does, without doing it."""
    command: Any = program()
    context = command.make_context("operando", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        if not words:
            return
        if isinstance(command, RigUnlessSaid):
            words = command.with_subcommand(words)
        assert words[0] in command.commands, f"there is no command `{words[0]}`"
        command, words = command.commands[words[0]], words[1:]
    parser = command.make_parser(command.context_class(command, info_name=command.name, parent=context))
    named = words[-1:] and words[-1].startswith("--") and not _is_flag(command, words[-1])  # an option is named, not typed
    _, left, _ = parser.parse_args([*words, *(["VALUE"] if named else [])])
    assert not left, left


def _is_flag(command: Any, word: str) -> bool:
    return any(word in (*one.opts, *one.secondary_opts) and getattr(one, "is_flag", False) for one in command.params)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_is_understood(page: str, line: str) -> None:
    if LEFT_OUT.search(line) or any(word in line for word in BY_TYPER):
        return
    words = shlex.split(line.replace("\\", "/"), comments=True)[1:]
    words = words[: next((n for n, word in enumerate(words) if word in {"|", ">", "&", "&&", ";"}), len(words))]
    if words == ["--help"]:
        return
    bare = len(words) == 1 or (len(words) == 2 and words[0] in {"queue", "cell", "init"})  # named in a sentence, not typed
    if not bare:
        understood(words)
    else:
        assert words[0] in program().commands


def test_they_are_found() -> None:
    assert len(COMMANDS) > 60
