"""Mistakes in configuration files: where, what, and what to write instead.

ConfigError                    every mistake of the files that were read, at once; nothing was started
└── (problems)                 one ``model.problems.Problem`` each: place, message, hint, source line
SentenceError                  a sentence that does not parse, before it is known where it stands (internal)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from orchestrator.model.problems import Problem, ProblemsError, closing_line
from orchestrator.model.problems import render as render_one
from orchestrator.model.values import Where


class ConfigError(ProblemsError):
    """All mistakes of the files read, in file order, each once. ``str()`` is what a person should see."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(sorted(dict.fromkeys(problems), key=_place))


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.where.file, problem.where.line, problem.where.column


def render(problems: Sequence[Problem]) -> str:
    """All problems, and a last line that says what did not happen."""
    return "\n".join([*(render_one(problem) for problem in problems), closing_line(problems)])


class SentenceError(ValueError):
    """A sentence is wrong from character ``start`` to ``end`` of its text."""

    def __init__(self, message: str, start: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.hint = message, start, end, hint


class Problems:
    """The mistakes found so far, and the lines of the files they stand in."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self._lines: dict[str, Sequence[str]] = {}

    def __len__(self) -> int:
        return len(self.found)

    def read(self, file: str, lines: Sequence[str]) -> None:
        """Remember the lines of a file, to draw them."""
        self._lines[file] = lines

    def add(self, where: Where, message: str, hint: str = "") -> None:
        """One more mistake."""
        lines = self._lines.get(where.file, ())
        text = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
        self.found.append(Problem(where, message, hint, text=text))

    def word(self, where: Where, word: str) -> Where:
        """Where a word stands in the line of ``where``: from there on, else before it; ``where`` itself if it does not."""
        lines = self._lines.get(where.file, ())
        line = lines[where.line - 1].lower() if 0 < where.line <= len(lines) else ""
        index = line.find(word.lower(), where.column - 1)
        if index < 0:
            index = line.rfind(word.lower(), 0, max(where.column - 1, 0))
        return where if index < 0 or not word else where.model_copy(update={"column": index + 1, "length": len(word)})

    def raise_if_any(self) -> None:
        """Raise ConfigError with all of them."""
        if self.found:
            raise ConfigError(self.found)


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """``did you mean `curent`?``, or nothing where nothing is near."""
    known = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean `{known[near[0]]}`?" if near else ""
