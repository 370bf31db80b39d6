"""`--json`: every command has it, but those that write JSON anyway and the guard, which says nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from artificial_night import Night

from orchestrator.cli.app import app
from orchestrator.cli.app import run as operando

ALWAYS_JSON = {"emulate", "schema"}
SILENT = {"guard"}


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        elif not command.hidden:
            yield before + name, command


def test_every_command_has_it() -> None:
    without = {name for name, command in commands(typer.main.get_command(app)) if not any("--json" in one.opts for one in command.params)}
    assert without == ALWAYS_JSON | SILENT


async def test_watch_gives_each_event_an_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = Night(samples=60, fids=1, points=64)
    last = await night.write(tmp_path / "journal.sqlite")
    assert operando(["watch", str(tmp_path), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, last + 1))
    (newest, *_) = [row["newest"] for row in reversed(rows) if row["kind"] == "ec.block"]
    assert newest["voltage_V"] == pytest.approx(3.406, abs=1e-3)
    assert rows[-1]["kind"] == "run.ended"
