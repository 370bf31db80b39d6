"""SCPI as these instruments hear it: one line → commands with canonical headers. Pure.

Long and short forms, any case, an optional leading colon, ``;`` with path memory, either quote (potentiostats.md 2.7).
``[SENSe[1]]``, ``[SOURce[1]]`` suffixes and ``[:LEVel][:IMMediate][:AMPLitude]`` may be left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORDS = """
ABORt ACCess ACTual ALWays AUTO BACK BLOCk BRANch BUFFer CAPacitance CCHeck CLEar CODE CONStant COUNt COUNter CURRent
DATA DATE DELay DELTa DIGital DYNamic EDGE END EVENt EVENTlog ERRor FETCh FILL FORMat FUNCtion HIGH IMMediate IN INITiate IO
LANGuage LEVel LIMit LINE LIST LOAD LOG MAKE MDIGitize MEASure MODE NEXT NOTify NOP NPLCycles OUTPut POINts PROTection
RANGe READ RESet RESistance RSENse ROUTe SENSe SMODe SOURce STARt STATe STIMulus SYSTem TERMinals TIME TIMer TRACe
TRIGger TRIPped VERSion VLIMit VOLTage WAIT ILIMit AMPLitude BORDer DC UNIT DIGits AZERo ONCE AVERage
"""
Answer = bytes | str | None
LEFT_OUT = frozenset({"IMM", "AMPL", "LEV"})
NUMBERED = frozenset({"DIG", "LINE", "TIM"})
SENSED = frozenset({"FUNC", "CURR", "VOLT", "RES", "COUN", "NPLC", "RSEN"})


class Complaint(Exception):
    """A SCPI error: ``code`` and its text; what follows on the same line is not executed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}, {text}")
        self.code, self.text = code, text


UNDEFINED = (-113, "Undefined header")
MISSING = (-109, "Missing parameter")
TOO_MANY = (-108, "Parameter not allowed")
OUT_OF_RANGE = (-222, "Parameter error data out of range")
ILLEGAL = (-224, "Illegal parameter value")
CONFLICT = (-221, "Settings conflict")
NUMERIC = (-104, "Data type error")


@dataclass(frozen=True, slots=True)
class Command:
    """``path``: short forms joined by colons, without what may be left out; ``number``: of a line or timer, else 0."""

    path: str
    query: bool
    arguments: tuple[str, ...]
    number: int = 0

    def text(self, n: int) -> str:
        """Argument ``n``, its quotes taken off. Raises Complaint."""
        if n >= len(self.arguments):
            raise Complaint(*MISSING)
        return unquoted(self.arguments[n])

    def value(self, n: int) -> float:
        """Argument ``n`` as a number; ``MIN`` and the like are refused here. Raises Complaint."""
        text = self.text(n)
        try:
            return float(text)
        except ValueError:
            raise Complaint(*NUMERIC) from None

    def whole(self, n: int, otherwise: int | None = None) -> int:
        """Argument ``n`` as a whole number. Raises Complaint."""
        if otherwise is not None and n >= len(self.arguments):
            return otherwise
        value = self.value(n)
        if not value.is_integer():
            raise Complaint(*NUMERIC)
        return int(value)

    def switch(self, n: int = 0) -> bool:
        """Argument ``n`` as on or off. Raises Complaint."""
        text = self.text(n).upper()
        if text not in {"ON", "1", "OFF", "0"}:
            raise Complaint(*ILLEGAL)
        return text in {"ON", "1"}

    def word(self, n: int, *words: str) -> str:
        """Argument ``n`` as one of these words (``ABOVe``), in either form; the short form is returned. Raises Complaint."""
        text = self.text(n).upper()
        for word in words:
            if text in {word.upper(), _short(word)}:
                return _short(word)
        raise Complaint(*ILLEGAL)


def _short(word: str) -> str:
    return "".join(letter for letter in word if not letter.islower())


_SHORT = {form: _short(word) for word in WORDS.split() for form in (word.upper(), _short(word))}


def unquoted(text: str) -> str:
    """Without the quotes around it."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def commands(line: str) -> list[str]:
    """The commands of one line; a ``;`` inside quotes does not divide."""
    return [part.strip() for part in _divided(line, ";") if part.strip()]


def _divided(text: str, mark: str) -> list[str]:
    parts, begin, quote = [], 0, ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == mark:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def parse(text: str, path: tuple[str, ...]) -> tuple[Command, tuple[str, ...]]:
    """One command after others on its line (``path``: theirs); the command, and the path for the next. Raises Complaint."""
    header, _, rest = text.partition(" ")
    query = header.endswith("?")
    header = header.removesuffix("?")
    arguments = tuple(part.strip() for part in _divided(rest, ",")) if rest.strip() else ()
    if header.startswith("*"):
        return Command(header.upper(), query, arguments), path
    nodes = header.removeprefix(":").split(":")
    if not header.startswith(":"):
        nodes = [*path, *nodes]
    canonical, number = _canonical(nodes)
    return Command(canonical, query, arguments, number), tuple(nodes[:-1])


def _canonical(nodes: list[str]) -> tuple[str, int]:
    found, number = [], 0
    for node in nodes:
        match = re.fullmatch(r"([A-Za-z]+)(\d*)", node)
        short = _SHORT.get(match[1].upper()) if match else None
        if match is None or short is None:
            raise Complaint(*UNDEFINED)
        if match[2]:
            number = int(match[2]) if short in NUMBERED else number
            if short not in NUMBERED and match[2] != "1":
                raise Complaint(*UNDEFINED)
        found.append(short)
    while len(found) > 1 and found[-1] in LEFT_OUT:
        found.pop()
    found = [node for n, node in enumerate(found) if not (node in LEFT_OUT and n > 0 and found[0] == "SOUR")]
    if found[0] in SENSED:
        found.insert(0, "SENS")
    return ":".join(found), number
