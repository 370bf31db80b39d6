"""Words of MethodSCRIPT: error codes, number grammar, package values. Pure.

Source: PalmSens' public communication protocol and script manual as collected in the project's dossier, sections 1.2
to 1.7. Never met an instrument.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass
from enum import IntEnum

OFFSET = 1 << 27
PREFIXES = ("a", "f", "p", "n", "u", "m", " ", "k", "M", "G", "T", "P", "E")
FACTOR = {prefix: 10.0 ** (3 * index - 18) for index, prefix in enumerate(PREFIXES)}
_SCALES = tuple(
    (prefix, 10.0 ** (18 - 3 * index) if index < 6 else 1.0 / 10.0 ** (3 * index - 18)) for index, prefix in enumerate(PREFIXES)
)
_FULL = [OFFSET / scale for _, scale in _SCALES]
ZERO = f"{OFFSET:07X} "
NAN = "     nan"
LINE_LIMIT = 255


class Code(IntEnum):
    """Error codes, as the instrument writes them (four hex digits)."""

    UNSPECIFIED = 0x0001
    INVALID_TYPE = 0x0002
    UNKNOWN_COMMAND = 0x0003
    UNKNOWN_REGISTER = 0x0004
    READ_ONLY_REGISTER = 0x0005
    NOT_NOW = 0x0006
    BAD_ARGUMENT = 0x0007
    TOO_LONG = 0x0008
    NO_SCRIPT = 0x000C
    POTENTIAL_RANGE = 0x000F
    NOT_A_NUMBER = 0x0010
    BAD_FREQUENCY = 0x0011
    BAD_AMPLITUDE = 0x0012
    OCP_CELL_ON = 0x0014
    UNSUPPORTED = 0x001B
    MODE_UNSUPPORTED = 0x0021
    INVALID_FOR_MODE = 0x0023
    DIVISION_BY_ZERO = 0x0028
    CRITICAL_OVERLOAD = 0x0032
    TIMING_NOT_MET = 0x0058
    TIMING_IMPOSSIBLE = 0x005A
    SCRIPT_UNKNOWN_COMMAND = 0x4001
    UNEXPECTED_CHARACTER = 0x4004
    SCRIPT_TOO_LARGE = 0x4005
    BAD_OPTIONAL = 0x4008
    NESTED_LOOP = 0x400B
    SCOPE_EFFECT = 0x400E
    ARRAY_BOUNDS = 0x400F
    SCRIPT_ENDED = 0x4018
    PACKET_SEQUENCE = 0x401B
    PACKET_FULL = 0x401C
    VARIABLE_EXISTS = 0x4026
    NEEDS_CELL_ON = 0x4027
    NEEDS_CELL_OFF = 0x4028
    NEEDS_ONE_STEP = 0x4029
    BAD_NAME = 0x402B
    NAME_TOO_LONG = 0x402C
    POTENTIAL_IN_LOOP = 0x4032
    CURRENT_IN_LOOP = 0x4033
    OVERFLOW = 0x4037
    BAD_ARRAY_ACCESS = 0x4038
    BAD_LITERAL = 0x4039
    BAD_OUTPUT_MODE = 0x403C
    BAD_COMPARISON = 0x4041
    NEGATIVE = 0x4200
    ZERO_ARGUMENT = 0x4202
    NOT_POSITIVE = 0x4204
    OUT_OF_BOUNDS = 0x4205
    WRONG_DATATYPE = 0x4207
    WRONG_TYPE = 0x4209
    EXTRA_ARGUMENT = 0x420A
    UNDECLARED = 0x420B
    IS_VARIABLE = 0x420C
    IS_LITERAL = 0x420D
    IS_ARRAY = 0x420E
    OPEN_BRACE = 0x4210
    FATAL = 0x7FFF


class ScriptError(Exception):
    """An error the instrument reports: code, line (1 = first line of the script) and, at load, the column."""

    def __init__(self, code: int, line: int = 0, column: int | None = None) -> None:
        super().__init__(f"!{code:04X}")
        self.code = code
        self.line = line
        self.column = column

    def text(self) -> str:
        """``!XXXX: Line L, Col C`` as it goes over the wire, without the command's echo."""
        column = "" if self.column is None else f", Col {self.column}"
        return f"!{self.code:04X}: Line {self.line}{column}"


@dataclass(slots=True)
class Variable:
    """One variable: number, two-letter type, whether it is an integer, and the metadata of a measured value."""

    number: float = 0.0
    kind: str = "ja"
    integer: bool = False
    status: int | None = None
    range_index: int | None = None

    def assign(self, other: Variable) -> None:
        """Take value, type and metadata of another."""
        self.number, self.kind, self.integer = other.number, other.kind, other.integer
        self.status, self.range_index = other.status, other.range_index

    def plain(self) -> list[object]:
        """As plain data."""
        number = self.number if math.isfinite(self.number) else repr(self.number)
        return [number, self.kind, self.integer, self.status, self.range_index]

    @classmethod
    def of(cls, data: list[object]) -> Variable:
        """From plain data."""
        number, kind, integer, status, range_index = data
        return cls(float(number), str(kind), bool(integer), status, range_index)  # type: ignore[arg-type]


def encode(number: float, *, integer: bool = False) -> str:
    """Eight characters of a package value: 7 hex digits offset by 2^27, and the smallest prefix that holds the number."""
    if integer:
        return f"{(int(number) + OFFSET) & 0xFFFFFFF:07X}i"
    if number == 0:
        return ZERO
    if not math.isfinite(number):
        return NAN
    for prefix, scale in _SCALES[bisect_left(_FULL, abs(number)) :]:
        raw = round(number * scale)
        if -OFFSET < raw < OFFSET:  # at the border rounding decides
            return f"{raw + OFFSET:07X}{prefix}"
    return NAN


def field(variable: Variable) -> str:
    """One variable of a package: type, value, then status and range where it was measured."""
    text = variable.kind + encode(variable.number, integer=variable.integer)
    if variable.status is None:
        return text
    text += f",1{variable.status:X}"
    return text if variable.range_index is None else f"{text},2{variable.range_index:02X}"


_DECIMAL = re.compile(r"([+-]?\d+)([afpnumkMGTPEi ]?)")
_HEX = re.compile(r"0x([0-9A-Fa-f]+)i?")
_BINARY = re.compile(r"0b([01]+)i?")


def parse_number(text: str) -> Variable | None:
    """A literal (``4200m``, ``-5i``, ``0x1F``, ``0b11``) as a variable; None when it is not one."""
    if found := _HEX.fullmatch(text):
        return Variable(float(int(found[1], 16)), integer=True)
    if found := _BINARY.fullmatch(text):
        return Variable(float(int(found[1], 2)), integer=True)
    if found := _DECIMAL.fullmatch(text):
        if found[2] == "i":
            return Variable(float(found[1]), integer=True)
        digits = int(found[1])
        power = 3 * PREFIXES.index(found[2] or " ") - 18
        return Variable(digits * 10.0**power if power >= 0 else digits / 10.0**-power)
    return None


def format_number(variable: Variable) -> str:
    """How an f-string shows a value (inferred: integers plain, numbers with six significant digits)."""
    return str(int(variable.number)) if variable.integer else f"{variable.number:.6g}"
