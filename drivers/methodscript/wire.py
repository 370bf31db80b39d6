"""MethodSCRIPT on the wire: bytes ↔ values. Pure: no I/O, no clock.

Numbers, packages, kinds of line, error codes and replies as the vendor's manuals and shipped clients have them. Built to
the document, not yet met an instrument.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

OFFSET = 0x8000000
FULL_SCALE = 1 << 27
NAN = "     nan"
PREFIX_POWER = {"a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "m": -3, " ": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
VALUE_WIDTH = 8
LONGEST_LINE = 4096
CONTROL = bytes((*range(0x20), 0x7F))

TECHNIQUES = {
    0x0000: "LSV",
    0x0001: "DPV",
    0x0002: "SWV",
    0x0003: "NPV",
    0x0004: "ACV",
    0x0005: "CV",
    0x0006: "SCP",
    0x0007: "CA",
    0x0008: "PAD",
    0x0009: "FCA",
    0x000A: "CP",
    0x000B: "OCP",
    0x000D: "EIS",
    0x000E: "GEIS",
    0x000F: "LSP",
    0x0010: "FCV",
    0x0014: "dual EIS",
}

TIMING, OVERLOAD, UNDERLOAD, OVERLOAD_WARNING = 1, 2, 4, 8

NOT_NOW, CELL_IS_ON = 0x0006, 0x0014
MEANINGS = {
    0x0003: "unknown command",
    0x0006: "not valid now",
    0x0007: "bad argument",
    0x000C: "no script loaded",
    0x000F: "potential out of range",
    0x0010: "a value became NaN or infinite",
    0x0014: "open-circuit measurement with the cell on",
    0x001B: "not supported by this instrument",
    0x001F: "technique not licensed",
    0x0021: "mode not supported",
    0x0023: "not valid in this mode",
    0x0028: "division by zero",
    0x002B: "line checksum wrong",
    0x002C: "line number not the expected one",
    0x002D: "line too short for its header",
    0x0032: "critical cell overload, measurement aborted",
    0x0052: "communication overrun",
    0x0058: "timing not met",
    0x005A: "timing cannot be met",
    0x0080: "counter electrode oscillating",
    0x4001: "unknown script command",
    0x4004: "unexpected character",
    0x4005: "script too large",
    0x400B: "measurement loops cannot be nested",
    0x4018: "script ended unexpectedly",
    0x4026: "variable exists already",
    0x4027: "needs the cell on",
    0x4028: "needs the cell off",
    0x4032: "set-point changed inside a measurement loop",
    0x4033: "set-point changed inside a measurement loop",
    0x420B: "variable not declared",
    0x7FFF: "fatal, the instrument restarts",
}

# Bits of the reply to CM (what scripts may use).
CA, OCP, EIS, ABORT, CP, SET_I, GEIS = 28, 30, 31, 62, 67, 68, 70


def meaning(code: int) -> str:
    """What an error code says, in words."""
    if code in MEANINGS:
        return MEANINGS[code]
    return "argument error" if 0x4200 <= code <= 0x4215 else "meaning not known here"


# ------------------------------------------------------------------------------------------------------------- numbers


_VALUE = re.compile(r"[0-9A-F]{7}[afpnum kMGTPEi]")
_SCALE: dict[str, tuple[int, int, float]] = {"i": (1, 1, 0.0)} | {
    prefix: (10 ** max(0, power), 10 ** max(0, -power), 10.0**power) for prefix, power in PREFIX_POWER.items()
}
"""By prefix: what the whole number is multiplied and divided by, and one count of it."""


def decode_value(field: str) -> float:
    """The number of an 8-character value field; a trailing blank that a serial layer ate is put back. Raises ValueError."""
    field = field.ljust(VALUE_WIDTH)
    if not _VALUE.fullmatch(field):
        if field == NAN:
            return math.nan
        raise ValueError(f"not a MethodSCRIPT value: {field!r}")
    times, over, _ = _SCALE[field[7]]
    return (int(field[:7], 16) - OFFSET) * times / over  # whole numbers up to here: one rounding


def resolution_of(field: str) -> float:
    """One count of a value field, in its unit (0 for nan)."""
    scale = _SCALE.get(field.ljust(VALUE_WIDTH)[7])
    return 0.0 if scale is None else scale[2]


def encode_value(value: float) -> str:
    """The 8-character field: smallest prefix for which |raw| < 2^27. Raises ValueError."""
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        raise ValueError(f"{value} does not fit any prefix")
    if value == 0:
        return f"{OFFSET:07X} "
    for prefix, power in PREFIX_POWER.items():
        raw = round(Fraction(value) / Fraction(10) ** power)
        if abs(raw) < FULL_SCALE:
            return f"{raw + OFFSET:07X}{prefix}"
    raise ValueError(f"{value} does not fit any prefix")


def encode_integer(value: int) -> str:
    """The 8-character field of a plain integer. Raises ValueError."""
    if abs(value) >= FULL_SCALE:
        raise ValueError(f"{value} does not fit 28 bits")
    return f"{value + OFFSET:07X}i"


# ------------------------------------------------------------------------------------------------------ kinds of line


class Variable(NamedTuple):
    """One value of a package; ``status`` bits and ``range_index`` where the meta fields say them."""

    kind: str
    value: float
    status: int = 0
    range_index: int | None = None
    noise: int | None = None
    resolution: float = 0.0


class Package(NamedTuple):
    """A data package."""

    variables: tuple[Variable, ...]

    def first(self, *kinds: str) -> Variable | None:
        """The first variable of the first kind that is there."""
        for kind in kinds:
            for variable in self.variables:
                if variable.kind == kind:
                    return variable
        return None

    def by_kind(self) -> dict[str, Variable]:
        """The first variable of each kind."""
        found: dict[str, Variable] = {}
        for variable in self.variables:
            found.setdefault(variable[0], variable)
        return found

    @property
    def status(self) -> int:
        """Status bits of all variables together."""
        bits = 0
        for variable in self.variables:
            bits |= variable.status
        return bits


@dataclass(frozen=True, slots=True)
class Echo:
    """A command was accepted."""

    command: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was refused; line and column of the script where it says them."""

    command: str
    code: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeFault:
    """A running script broke; its ``on_finished:`` is not executed: the cell may still be on."""

    code: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a query, less the command itself."""

    command: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a script sent by ``send_string``."""

    text: str


@dataclass(frozen=True, slots=True)
class LoopStart:
    """A measurement loop starts."""

    technique: int


@dataclass(frozen=True, slots=True)
class LoopEnd:
    """A measurement loop ended."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """Start or end of a plain loop (``L`` ``+``) or of a scan (``C0001`` ``-``)."""

    text: str


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty line: the script has finished, the instrument is idle."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """What the protocol does not allow."""

    text: str


Line = Package | Echo | Refused | RuntimeFault | Reply | Text | LoopStart | LoopEnd | Bracket | Empty | Garbage

_REFUSED = re.compile(r"([A-Za-z]?[A-Za-z]?)!([0-9A-F]{4})(?::\s*(.*))?")
_LOOP = re.compile(r"M([0-9A-F]{4})")
_GLUED_ECHO = re.compile(r"([er])(M[0-9A-F]{4})")
_BRACKET = re.compile(r"L|\+|-|C\d{4}")
_ECHO = re.compile(r"[elrhHYZRS]")
_REPLY = re.compile(r"(CC|CM|[tivGFL])(.+)")
_KIND = re.compile(r"[a-z]{2}")
_USUAL = re.compile(r"(?<![^;])([a-z]{2})([0-9A-F]{7})([afpnum kMGTPEi])(?:,([^;]*))?(?![^;])")
_META = re.compile(r"[124][0-9A-F]+")


@lru_cache(maxsize=1024)
def _meta(fields: str) -> tuple[int, int | None, int | None]:
    """Status, range and noise; a night has few different ones."""
    values = {field[0]: int(field[1:], 16) for field in fields.split(",") if _META.fullmatch(field)}
    return values.get("1", 0), values.get("2"), values.get("4")


def _usual(kind: str, digits: str, prefix: str, meta: str) -> Variable:
    """A variable of the usual form."""
    times, over, resolution = _SCALE[prefix]
    return Variable(kind, (int(digits, 16) - OFFSET) * times / over, *_meta(meta), resolution)


def parse_variable(text: str) -> Variable:
    """One variable of a package, however it is written. Raises ValueError."""
    head, _, meta = text.partition(",")
    kind, field = head[:2], head[2:]
    if not field or not _KIND.fullmatch(kind):
        raise ValueError(f"not a MethodSCRIPT variable: {text!r}")
    return Variable(kind, decode_value(field), *_meta(meta), resolution_of(field))


def parse_package(text: str) -> Package:
    """A ``P…`` line. Raises ValueError."""
    body = text.removeprefix("P")
    usual = _USUAL.findall(body)
    if len(usual) == body.count(";") + 1:  # all of them, found in one go
        return Package(tuple([_usual(*one) for one in usual]))
    return Package(tuple([parse_variable(part) for part in body.split(";")]))


def _parse_rare(text: str) -> Line:
    if refused := _REFUSED.fullmatch(text):
        command, code, where = refused[1], int(refused[2], 16), refused[3] or ""
        return Refused(command, code, where) if command else RuntimeFault(code, where)
    if loop := _LOOP.fullmatch(text):
        return LoopStart(int(loop[1], 16))
    if text == "*":
        return LoopEnd()
    if _BRACKET.fullmatch(text):
        return Bracket(text)
    if _ECHO.fullmatch(text):
        return Echo(text)
    if text in ("R*", "B*"):
        return Reply("*", text)  # the second line of the answer to t
    if reply := _REPLY.fullmatch(text):
        return Reply(reply[1], reply[2])
    return Garbage(text)


def parse_line(text: str) -> tuple[Line, ...]:
    """What one line says; two things where documents glue the echo to the loop's start (``eM0007``)."""
    if text.startswith("P"):
        try:
            return (parse_package(text),)
        except ValueError:
            return (Garbage(text),)
    if text.startswith("T"):
        return (Text(text[1:]),)
    if glued := _GLUED_ECHO.fullmatch(text.rstrip(" ")):
        return Echo(glued[1]), LoopStart(int(glued[2][1:], 16))
    stripped = text.strip(" ")
    return (_parse_rare(stripped) if stripped else Empty(),)


class LineSplitter:
    """Bytes in any chunks → whole lines; control characters (XON, CR) vanish, trailing blanks stay."""

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def rest(self) -> str:
        """What has come of a line that is not yet ended."""
        return self._rest.decode("latin-1")

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete; an endless line is cut so that it cannot fill the memory."""
        self._rest += data
        *whole, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > LONGEST_LINE:
            whole.append(rest)
            self._rest.clear()
        return [_printable(line) for line in whole]


def _printable(line: bytes | bytearray) -> str:
    return line.translate(None, CONTROL).decode("latin-1")


# ------------------------------------------------------------------------------------------------------------- replies


@dataclass(frozen=True, slots=True)
class Firmware:
    """Answer to ``t``: device code, version, build date, release or beta."""

    device: str
    version: str
    built: str = ""
    beta: bool = False


_FIRMWARE = re.compile(r"(espbl|\w{6})(\d{2,4})#([^#*]*?)\s*([RB])?\*?")


def parse_firmware(text: str) -> Firmware:
    """The reply to ``t`` less its ``t``, both lines joined. Raises ValueError."""
    match = _FIRMWARE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a firmware reply: {text!r}")
    digits = match[2]
    version = f"{digits[0]}.{digits[1]}" + (f".{digits[2:]}" if len(digits) > 2 else "")
    return Firmware(match[1], version, match[3].strip(), match[4] == "B")


def parse_bits(text: str) -> frozenset[int]:
    """The set bits of a capability reply (hexadecimal, bit 0 last). Raises ValueError."""
    value = int(text.strip(), 16)
    return frozenset(bit for bit in range(value.bit_length()) if value >> bit & 1)


def encode_bits(bits: frozenset[int]) -> str:
    """Hexadecimal text of a capability reply, 32 digits."""
    return f"{sum(1 << bit for bit in bits):032X}"
