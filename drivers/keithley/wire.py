"""SCPI of the 2450, 2460 and 2461: what is said to the instrument, and what its replies mean. Pure.

Every text that reaches the instrument is made here, from numbers and from a few fixed words; ``safe`` looks at it once more.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

END = b"\n"
BUFFER = '"defbuffer1"'
ELEMENTS = "READ,SOUR,STAT,SOURSTAT,SEC,FRAC"
"""Of one reading, in this order; the instrument's own time as seconds of UTC and their fraction."""
MOST_ROWS = 200
LATEST_S = 1 << 33
"""No instrument lives so long: seconds of UTC, in nanoseconds, fit 64 bits."""
NO_NUMBER = 9.8e37
"""Readings from here on are the instrument's words for overflow (9.9E37) and for not a number (9.91E37)."""

QUESTIONABLE = 1
OVER_VOLTAGE, OVER_TEMPERATURE, LIMITED = 4, 16, 32
POWER_ON = 128
ACTIVE_STATES = frozenset({"RUNNING", "WAITING", "BUILDING", "ABORTING"})
HIGH_IMPEDANCE = "HIMP"

_SAFE = re.compile(r'[*:][A-Z][A-Z0-9:]*\??(?: [A-Za-z0-9+\-.,:"_ ]+)?')
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,80}")


def safe(command: str) -> str:
    """The only way a text gets onto the wire. Raises ValueError."""
    if not _SAFE.fullmatch(command):
        raise ValueError(f"{command!r} cannot be said to the instrument")
    return command


def is_name(text: str) -> bool:
    """May a step's key stand in a block of the trigger model?"""
    return _NAME.fullmatch(text) is not None


def encode(command: str) -> bytes:
    """One line. Raises ValueError."""
    return safe(command).encode("ascii") + END


def number(value: float) -> str:
    """A number as the instrument reads it, nine digits. Raises ValueError for what is no number."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be set")
    return f"{value:.9g}".replace("e", "E")


def rows_query(first: int, last: int) -> str:
    """Ask for readings of the buffer by their numbers, the last included."""
    return f":TRAC:DATA? {first:d},{last:d},{BUFFER},{ELEMENTS}"


# ------------------------------------------------------------------------------------------------------------- replies


class Identification(NamedTuple):
    """The reply to ``*IDN?``."""

    maker: str
    model: str
    serial: str
    firmware: str


def parse_identification(text: str) -> Identification:
    """``KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.7.12b``. Raises ValueError."""
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 4 or not fields[1].upper().startswith("MODEL "):
        raise ValueError(f"not an identification: {text!r}")
    return Identification(fields[0], fields[1][6:].strip(), fields[2], fields[3])


def parse_integer(text: str) -> int:
    """A whole number, as ``5`` or ``+5.000000E+00``. Raises ValueError."""
    value = parse_number(text)
    if value != int(value):
        raise ValueError(f"not a whole number: {text!r}")
    return int(value)


def parse_number(text: str) -> float:
    """A number. Raises ValueError."""
    value = float(text.strip())
    if not math.isfinite(value):
        raise ValueError(f"not a number: {text!r}")
    return value


def parse_switch(text: str) -> bool:
    """``0`` or ``1``. Raises ValueError."""
    word = text.strip()
    if word not in {"0", "1"}:
        raise ValueError(f"neither 0 nor 1: {text!r}")
    return word == "1"


def parse_word(text: str) -> str:
    """One word, without quotes: ``HIMP``, ``VOLT``, ``VOLT:DC``. Raises ValueError."""
    word = text.strip().strip("\"'").upper()
    if not re.fullmatch(r"[A-Z][A-Z0-9:]*", word):
        raise ValueError(f"not a word: {text!r}")
    return word


class Complaint(NamedTuple):
    """One entry of the error queue; code 0 = there is none."""

    code: int
    text: str


_COMPLAINT = re.compile(r'\s*([+-]?\d+)\s*,\s*"?(.*?)"?\s*')


def parse_error(text: str) -> Complaint:
    """Only the leading integer is sure: the rest differs from firmware to firmware. Raises ValueError."""
    found = _COMPLAINT.fullmatch(text)
    if found is None:
        raise ValueError(f"not an error message: {text!r}")
    return Complaint(int(found[1]), found[2].split(";")[0])


class TriggerState(NamedTuple):
    """The reply to ``:TRIG:STAT?``: word and last block."""

    word: str
    block: int

    @property
    def active(self) -> bool:
        """It does something, or is just ending to."""
        return self.word in ACTIVE_STATES

    @property
    def waits(self) -> bool:
        """For the console's line: none of our blocks waits for anything else."""
        return self.word == "WAITING"


def parse_trigger_state(text: str) -> TriggerState:
    """``RUNNING;RUNNING;4``. Raises ValueError."""
    words = [word.strip().upper() for word in text.split(";")]
    if len(words) != 3 or not re.fullmatch(r"[A-Z]+", words[0]):
        raise ValueError(f"not a state of the trigger model: {text!r}")
    return TriggerState(words[0], parse_integer(words[2]))


class Row(NamedTuple):
    """One reading: of the measure function, of the source, two status words, the instrument's own time. NaN = overflow."""

    read: float
    source: float
    status: int
    source_status: int
    device_ns: int


def reading(text: str) -> float:
    """A reading; the instrument's words for overflow become NaN. Raises ValueError."""
    value = parse_number(text)
    return math.nan if abs(value) >= NO_NUMBER else value


def parse_rows(text: str, count: int) -> tuple[Row, ...]:
    """The flat list that answers ``rows_query``. Raises ValueError."""
    fields = text.split(",")
    width = len(ELEMENTS.split(","))
    if len(fields) != width * count:
        raise ValueError(f"{len(fields)} elements, not {width * count}: {text[:80]!r}")
    return tuple(_row(fields[at : at + width]) for at in range(0, len(fields), width))


def _row(fields: list[str]) -> Row:
    read, source, status, source_status, seconds, fraction = fields
    device_s, part_s = parse_integer(seconds), parse_number(fraction)
    if not (0 <= device_s < LATEST_S and 0.0 <= part_s <= 1.0):
        raise ValueError(f"not a time: {seconds!r} and {fraction!r}")
    device_ns = device_s * 1_000_000_000 + round(part_s * 1e9)
    return Row(reading(read), reading(source), parse_integer(status), parse_integer(source_status), device_ns)


# ------------------------------------------------------------------------------------------- blocks of the trigger model


@dataclass(frozen=True, slots=True)
class Tag:
    """What a trigger model says of itself in its first block, so that a later host knows whose it is."""

    key: str
    mode: str
    topology: str
    interval_ms: int
    duration_ms: int

    def text(self) -> str:
        """``operando KEY GALVANOSTATIC CURR 1000 60000``."""
        return f"operando {self.key} {self.mode} {self.topology} {self.interval_ms:d} {self.duration_ms:d}"


_TAG = re.compile(r"operando (\S+) ([A-Z]+) (CURR|VOLT) (\d{1,12}) (\d{1,12})(?!\d)")
_WINDOW = re.compile(r"LIM:CONS\s+(ABOV\w*|BEL\w*|INS\w*|OUT\w*|IN|OUT)\s*,\s*([^,\s]+)\s*,\s*([^,\s]+)", re.IGNORECASE)


def parse_tag(listing: str) -> Tag | None:
    """The tag in a listing of blocks, None where there is none (inferred: a listing shows the text of a log block)."""
    found = _TAG.search(listing)
    return Tag(found[1], found[2], found[3], int(found[4]), int(found[5])) if found else None


def parse_window(listing: str) -> tuple[str, float, float] | None:
    """Kind, low and high of the first limit test in a listing of blocks, None where none can be read (inferred: the layout)."""
    found = _WINDOW.search(listing)
    try:
        return (found[1].upper()[:3], float(found[2]), float(found[3])) if found else None
    except ValueError:
        return None
