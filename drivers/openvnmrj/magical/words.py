"""MAGICAL's text as words. Pure.

Lexical rules from OpenVnmrJ's ``magic.lex.l``: strings in single quotes or back quotes, where a backslash makes b f n r t
control characters and leaves any other character as it is; longer than 499 characters a string counts as unclosed;
comments in double quotes, behind ``//`` and between ``/*`` and ``*/``; statements end at a space or a line end.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

Value = float | str
Expression = tuple[Any, ...]
STRING_LIMIT = 499
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\n": " "}
KEYWORDS = frozenset(
    {"abort", "and", "break", "do", "else", "elseif", "endif", "endwhile", "if", "mod", "not", "or", "repeat", "return", "size", "sqrt",
     "then", "trunc", "typeof", "until", "while"}
)  # fmt: skip
FUNCTIONS = frozenset({"size", "sqrt", "trunc", "typeof"})
UNITS = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class MagicalError(Exception):
    """What VnmrJ writes on its error line; the rest of the command line is not executed."""


class Incomplete(MagicalError):
    """An ``if`` or loop that the next line may end."""


class Token(NamedTuple):
    """One word: kind (name, key, number, string, operator, end of line), text and its number."""

    kind: str
    text: str
    number: float = 0.0


_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][-+]?\d+)?")
_NAME = re.compile(r"[$A-Za-z_][$A-Za-z0-9_#]*")
_OPERATOR = re.compile(r"<>|<=|>=|[<>=+\-*/%(),:\[\]?{}]")
_PLAIN_STRING = re.compile(r"(['`])([^'`\\\x00-\x1f]{0,497})\1")
_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def tokens(text: str) -> list[Token]:
    """The words of a text; raises MagicalError."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        character = text[place]
        if character == "\n":
            found.append(Token("line", "\n"))
            place += 1
        elif character in " \t\r" or text.startswith("\\\n", place):
            place += 2 if character == "\\" else 1
        elif character in '"/' and (match := _COMMENT.match(text, place)):
            place = match.end()
        elif character in "'`":
            string, place = _string(text, place)
            found.append(Token("string", string))
        else:
            token, place = _word(text, place)
            found.append(token)
    return found


def _string(text: str, start: int) -> tuple[str, int]:
    if plain := _PLAIN_STRING.match(text, start):
        return plain[2], plain.end()
    quote, parts, place = text[start], [], start + 1
    while place < len(text) and text[place] != quote:
        character = text[place]
        if character == "\\":
            place += 1
            character = ESCAPES.get(text[place : place + 1], text[place : place + 1])
        elif character < " " and character not in "\t\n\r":
            raise MagicalError("unclosed string")
        parts.append(character)
        place += 1
    if place >= len(text) or len(parts) + 2 > STRING_LIMIT:
        raise MagicalError("unclosed string")
    return "".join(parts), place + 1


def _word(text: str, place: int) -> tuple[Token, int]:
    if match := _NUMBER.match(text, place):
        unit = _NAME.match(text, match.end())
        if unit is None:
            return Token("number", match[0], float(match[0])), match.end()
        if unit[0] not in UNITS:
            raise MagicalError(f"unknown unit '{unit[0]}'")
        return Token("number", match[0], float(match[0]) * UNITS[unit[0]]), unit.end()
    if match := _NAME.match(text, place):
        lower = match[0].lower()
        kind = "key" if lower in KEYWORDS and match[0] in {lower, lower.upper()} else "name"
        return Token(kind, lower if kind == "key" else match[0]), match.end()
    if match := _OPERATOR.match(text, place):
        return Token("operator", match[0]), match.end()
    raise MagicalError(f"syntax error at '{text[place : place + 10].strip()}'")
