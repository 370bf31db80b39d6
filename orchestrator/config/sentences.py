"""One sentence in, its parse tree out; or a SentenceError that says which word, and what was expected there."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from orchestrator.config.diagnostics import SentenceError, suggestion
from orchestrator.config.quantities import UNITS, canonical_name

STARTS = (
    "step",
    "repeat_until",
    "wait_for_nmr",
    "sample_key",
    "trigger",
    "prepare",
    "at_end_nmr",
    "at_end_cell",
    "action",
    "when",
    "observable",
    "armed_after",
    "for_count",
    "confidence",
    "track",
    "host_lost",
    "missed",
    "retune",
    "electrode",
    "x_now",
    "cycles",
    "duration",
    "scalar",
)

# Every sign stands for exactly one other, so that positions stay.
FOLDED = str.maketrans(ascii_uppercase + "−–‐‑⁻µμ·⋅×²\u00a0\u2009\u202f\u2007", ascii_lowercase + "-----uu  *2    ")
PLAIN = str.maketrans("−–‐‑⁻µμ·⋅×²\u00a0\u2009\u202f\u2007", "-----uu  *2    ")
ORDINARY = {
    "NUMBER": "a number",
    "UNIT": "a unit",
    "WORD": "a name",
    "TEXT": "a name",
    "C_RATE": "a C-rate (C/5)",
    "RANGE": "a range (a..b)",
    "SPAN": "cycles (2-4)",
    "$END": "the end of the sentence",
    "COMMA": "a comma",
    "BELOW": "`<`",
    "ABOVE": "`>`",
}
CASED = {
    "E": "E",
    "E_CELL": "E_cell",
    "E_WE": "E_we",
    "E_CE": "E_ce",
    "I": "I",
    "RE": "Re",
    "Z": "Z",
    "R_EIS": "R_eis",
    "R_CELL": "R_cell",
    "R_LEAD": "R_lead",
    "SE": "SE",
}


ADVICE = {
    r"^(hold|potentiostatic) at open circuit": "*hold* is potentiostatic and nothing else; a cell at open circuit rests: `Rest for …`",
    r"^(hold|wait) for": "to let the console finish, write `wait_for_nmr: at open circuit` beside the step; to rest, `Rest for …`",
    r"^pause( cell)?$": "a rule may `pause nmr` (the current goes on) or set the cell to `open circuit`",
    r"^(cc|constant current|galvanostatic charge)\b": "write `Charge at C/10 until …`, or {current_mA: 0.4, until: {…}}",
    r"^(cv|constant voltage)\b": "write `Hold at 4.2 V until …`",
}


class _WholeWords:
    """Tells the lexer to try WORD in every state, so that a keyword never matches the beginning of a longer word."""

    always_accept = ("WORD",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Let the tokens pass."""
        return stream


@cache
def _parser() -> Lark:
    grammar = resources.files("orchestrator.config").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        start=list(STARTS),
        parser="lalr",
        maybe_placeholders=False,
        propagate_positions=True,
        postlex=_WholeWords(),
        cache=_tables(),
    )


def _tables() -> str | bool:
    """Where the parser's tables are kept beside Python's own byte code, on Python's own terms; False where nothing can be kept."""
    if sys.dont_write_bytecode:
        return False
    tables = Path(importlib.util.cache_from_source(str(Path(__file__).with_name("grammar.py")))).with_suffix(".lalr")
    try:
        tables.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return str(tables) if os.access(tables.parent, os.W_OK) else False


def parse(text: str, start: str) -> Tree[Any]:
    """The parse tree of a sentence at a place (``start``, one of STARTS). Raises SentenceError."""
    try:
        return _parser().parse(text.translate(FOLDED), start=start)
    except UnexpectedInput as error:
        raise _explained(text, start, error) from None


def plain(text: str) -> str:
    """The text with typographic signs made plain, letters as typed."""
    return text.translate(PLAIN)


def first_words(start: str) -> tuple[str, ...]:
    """The keywords that a sentence at a place may begin with."""
    accepted: set[str] = _parser().parse_interactive("", start=start).accepts()  # type: ignore[no-untyped-call]
    return tuple(sorted(shown.strip("`") for name in accepted if (shown := _shown(name)).startswith("`")))


def _explained(text: str, start: str, error: UnexpectedInput) -> SentenceError:
    expected = _expected(error)
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return SentenceError(f"the sentence ends too early: {_listed(expected)} should follow", len(text), len(text) + 1)
    at = error.pos_in_stream or 0
    end = _end_of_word(text, at)
    word = text[at:end]
    return SentenceError(_message(word, expected), at, end, _advice(text) or _hint(word, expected) or _first_word(text, start, expected))


def _advice(text: str) -> str:
    """A hint for words of habit."""
    folded = text.translate(FOLDED)
    return next((hint for pattern, hint in ADVICE.items() if re.search(pattern, folded)), "")


def _first_word(text: str, start: str, expected: tuple[str, ...]) -> str:
    """A first word that was taken for a name, though a keyword was meant."""
    return suggestion(text.split(maxsplit=1)[0], first_words(start)) if expected == (ORDINARY["$END"],) else ""


def _end_of_word(text: str, start: int) -> int:
    end = start + 1
    while end < len(text) and not text[end].isspace() and text[end] not in "(),<>":
        end += 1
    return end


def _expected(error: UnexpectedInput) -> tuple[str, ...]:
    names = error.allowed if isinstance(error, UnexpectedCharacters) else getattr(error, "accepts", None) or getattr(error, "expected", ())
    return tuple(sorted({_shown(name) for name in names or ()}))


def _shown(terminal: str) -> str:
    """What a terminal of the grammar looks like to a person."""
    if terminal in ORDINARY:
        return ORDINARY[terminal]
    pattern = next((known.pattern for known in _parser().terminals if known.name == terminal), None)
    return f"`{CASED.get(terminal, pattern.value)}`" if pattern is not None else terminal.lower()


def _listed(expected: tuple[str, ...]) -> str:
    shown = [name for name in expected if name != ORDINARY["$END"]]
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _message(word: str, expected: tuple[str, ...]) -> str:
    if expected == (ORDINARY["UNIT"],):
        return f"`{word}` is not a unit"
    if len(expected) > 8:
        return f"`{word}` is not understood here"
    return f"`{word}` is not understood here: expected {_listed(expected) or ORDINARY['$END']}"


def _hint(word: str, expected: tuple[str, ...]) -> str:
    keywords = [name.strip("`") for name in expected if name.startswith("`")]
    units = list(UNITS) if ORDINARY["UNIT"] in expected else []
    return suggestion(canonical_name(word), [*keywords, *units])
