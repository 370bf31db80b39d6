"""The words of a line: cut, and read from left to right. Pure.

Columns are where the offending token starts, from 1 (inferred from one published reply).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.methodscript.interpreter.language import Code, ScriptError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>f?"[^"]*")
    | (?P<compare>==|!=|<=|>=|<|>)
    | (?P<logic>[&|])
    | (?P<bracket>[()])
    | (?P<word>[+-]?\w+:?)(?P<index>\[[^\]]*\])?
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a line: its text, the index in brackets, what kind it is and the column it starts in."""

    text: str
    kind: str
    column: int
    index: str = ""


def tokens(line: str, number: int, column: int = 1) -> list[Token]:
    """Words of one line (that starts in ``column``) without its comment; raises 4004 where a character belongs nowhere."""
    found: list[Token] = []
    place = 0
    while place < len(line):
        rest = line[place:].lstrip()
        if not rest or rest.startswith("#"):
            break
        match = _TOKEN.match(line, place)
        start = len(line) - len(rest)
        if match is None:
            raise ScriptError(Code.UNEXPECTED_CHARACTER, number, start + column)
        kind = str(match.lastgroup if match.lastgroup != "index" else "word")
        found.append(Token(match[kind], kind, start + column, (match["index"] or "")[1:-1]))
        place = match.end()
    return found


class Words:
    """The tokens of one line, read from left to right."""

    def __init__(self, found: list[Token], number: int, length: int) -> None:
        self.found, self.number, self.length, self.place = found, number, length, 0

    def peek(self) -> Token | None:
        """The next one, if there is one."""
        return self.found[self.place] if self.place < len(self.found) else None

    def take(self) -> Token:
        """The next one. Raises ScriptError at the end of the line."""
        token = self.peek()
        if token is None:
            raise ScriptError(Code.UNEXPECTED_CHARACTER, self.number, self.length + 1)
        self.place += 1
        return token

    def expect(self, text: str) -> None:
        """The next one must be this. Raises ScriptError."""
        token = self.take()
        if token.text != text:
            raise self.error(Code.UNEXPECTED_CHARACTER, token)

    def error(self, code: Code, token: Token) -> ScriptError:
        """What is wrong with a word."""
        return ScriptError(code, self.number, token.column)
