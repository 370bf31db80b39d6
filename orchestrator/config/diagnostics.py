"""Mistakes in configuration files: where, what, and what to write instead.

    ConfigError                    every mistake of the files that were read, at once; nothing was started
    └── (problems)                 one Problem each: file, line, column, message, hint
    SentenceError                  a sentence that does not parse, before it is known where it stands (internal)

``render`` draws them as a person reads them: file:line:column, the line, a caret, "did you mean", and how many there are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.model.experiment import Where


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where it stands (1-based; 0 = the file as a whole), what it is, and a hint. ``text``: the source line."""

    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str = ""
    text: str = ""

    @property
    def place(self) -> str:
        """``file:line:column``, as editors make it clickable."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ConfigError(Exception):
    """All mistakes of the files read, in file order. ``str()`` is what a person should see."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems)))
        super().__init__(render(self.problems))


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
        self.found.append(Problem(where.file, where.line, where.column, max(where.length, 1), message, hint, text))

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


def render(problems: Sequence[Problem]) -> str:
    """All problems and a last line that says what did not happen."""
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    return "\n".join([*(_drawn(problem) for problem in problems), f"{count}; nothing was started."])


def _drawn(problem: Problem) -> str:
    head = f"{problem.place}: {problem.message}"
    if not problem.line:
        return f"{head}\n     | {problem.hint}" if problem.hint else head
    indent = "".join("\t" if character == "\t" else " " for character in problem.text[: problem.column - 1])
    caret = f"{indent}{'^' * problem.length} {problem.hint}".rstrip()
    return f"{head}\n     |\n{problem.line:4} | {problem.text}\n     | {caret}"


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``did you mean `curent`?``, or nothing where nothing is near."""
    known = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean `{known[near[0]]}`?" if near else ""
