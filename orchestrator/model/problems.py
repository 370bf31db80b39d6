"""What is wrong with a file, said so that a person finds it: file, line and column, a caret, what to do instead.

``config`` (how it is written) and ``plan`` (what it would do) both speak through this; ``render`` is the one shape.

    ProblemsError                  everything that is wrong, at once; ``str()`` is what a person should see
    ├── ConfigError                (orchestrator.config) a file cannot be read as an experiment or a rig
    └── PlanError                  (orchestrator.plan) this rig and this cell cannot do it
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.model.values import Where


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (``error``: nothing starts) or unwise (``warning``), and where it was written.

    ``hint``: what to do about it, with the reason. ``text``: the line of the file, to draw a caret under it.
    """

    where: Where
    message: str
    hint: str = ""
    level: Literal["error", "warning"] = "error"
    text: str = ""

    def __str__(self) -> str:
        head = f"{place(self.where)}: {self.message}" if place(self.where) else self.message
        return f"{head} ({self.hint})" if self.hint else head

    def in_source(self, source: str, file: str) -> Problem:
        """The same problem with its line, if it stands in ``file``."""
        lines = source.splitlines()
        if self.text or self.where.file != file or not 0 < self.where.line <= len(lines):
            return self
        return replace(self, text=lines[self.where.line - 1])


def place(where: Where) -> str:
    """``file:line:column``, as far as it is known, so that editors make it a link."""
    return ":".join(str(part) for part in (where.file, where.line, where.column) if part)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion for a word that nobody knows; "" when nothing is known at all."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names)}" if names else ""


def render(problem: Problem) -> str:
    """The problem with the line it is about, a caret and the hint."""
    head = f"{place(problem.where)}: {problem.message}" if place(problem.where) else problem.message
    if not problem.text:
        return head + (f"\n     | {problem.hint}" if problem.hint else "")
    before = problem.text[: max(problem.where.column, 1) - 1]
    indent = "".join("\t" if character == "\t" else " " for character in before)
    caret = f"{indent}{'^' * max(problem.where.length, 1)} {problem.hint}".rstrip()
    return f"{head}\n     |\n{problem.where.line:4d} | {problem.text}\n     | {caret}"


def closing_line(problems: Iterable[Problem]) -> str:
    """``N problems; nothing was started.``: the last line says what did not happen."""
    n = sum(problem.level == "error" for problem in problems)
    return f"{n} problem{'' if n == 1 else 's'}; nothing was started."


class ProblemsError(Exception):
    """Everything that is wrong, at once; nothing was started."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([*(render(problem) for problem in self.problems), closing_line(self.problems)]))
