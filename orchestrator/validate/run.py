"""All files, two at a time, each in a process of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from orchestrator.model.validation import Validation
from orchestrator.validate.compare import Line
from orchestrator.validate.perform import Asked, Performed, perform
from orchestrator.validate.rows import IDS, ROWS

AT_A_TIME = 2


class NoSuchRow(Exception):
    """A row was named that no table has."""


def wanted_rows(names: Sequence[str]) -> frozenset[str]:
    """The rows of the command line; all where none is named. Raises NoSuchRow."""
    if wrong := [name for name in names if name not in IDS]:
        raise NoSuchRow(f"no row is called {', '.join(wrong)}; there are {ROWS[0].id} to {ROWS[-1].id} (O, R, Q, P)")
    return frozenset(names) or IDS


def validations(folder: Path, rows: frozenset[str] = IDS) -> dict[Path, Validation]:
    """The experiment files with a ``validate:`` section that may speak of these rows, by name; others are not read. Raises ConfigError."""
    from orchestrator.config import load_experiment

    mentioned = re.compile(rf"\b(?:{'|'.join(sorted(rows))})\b")
    found: dict[Path, Validation] = {}
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text("utf-8")
        if "\nvalidate:" in text and mentioned.search(text) and (own := load_experiment(path).validation) is not None:
            found[path] = own
    return found


def asked_of(files: dict[Path, Validation], rows: frozenset[str], *, full: bool = False) -> list[Asked]:
    """What is to be run for these rows."""
    own = {path: rows & {one.row for one in validation.compare} for path, validation in files.items()}
    return [Asked(path, wanted, full) for path, wanted in own.items() if wanted]


def validate(asked: Sequence[Asked], say: Callable[[Performed], None] = lambda _: None, *, at_a_time: int = AT_A_TIME) -> list[Line]:
    """Lines of every file, in the order of the files."""
    if at_a_time < 2 or len(asked) < 2:
        return _lines(map(perform, asked), say)
    with ProcessPoolExecutor(at_a_time, mp_context=get_context("spawn")) as pool:
        return _lines(pool.map(perform, asked), say)


def _lines(performed: Iterable[Performed], say: Callable[[Performed], None]) -> list[Line]:
    lines: list[Line] = []
    for one in performed:
        say(one)
        lines += one.lines
    return lines
