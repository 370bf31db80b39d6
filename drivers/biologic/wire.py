"""The DLL's data, messages and return codes as ours. Pure."""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

from drivers.biologic import eclib
from drivers.errors import BadReply
from drivers.stream.rows import Point, Row


class Family(Enum):
    """Whose rows have which columns. The value: the suffix of the technique files."""

    VMP3 = ""
    VMP300 = "4"
    PREMIUM = "5"


SINGLES: Mapping[tuple[str, int], tuple[int, ...]] = {
    ("ocv", 0): (2, 3),
    ("limit", 0): (2, 3),
    ("sweep", 0): (2, 3),
    ("sweep", 1): (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14),
}
"""Which columns hold singles."""
_COLUMNS: Mapping[tuple[str, int], tuple[int, int]] = {
    ("ocv", 0): (4, 3),
    ("limit", 0): (5, 5),
    ("sweep", 0): (4, 4),
    ("sweep", 1): (15, 14),
}
"""How many there are: VMP3, and all others."""
_KINDS = {eclib.OCV: "ocv", eclib.CPLIMIT: "limit", eclib.CALIMIT: "limit", eclib.PEIS: "sweep", eclib.GEIS: "sweep"}
SILENT = frozenset({eclib.TI, eclib.TO, eclib.TOS, eclib.LOOP})


def as_single(word: int) -> float:
    """The IEEE-754 number whose bits a word is."""
    return float(struct.unpack("<f", struct.pack("<I", word & 0xFFFFFFFF))[0])


def kind_of(infos: eclib.DataInfos, family: Family) -> tuple[str, int]:
    """Which columns an answer has. Raises BadReply for a technique or a number of columns that we do not know."""
    kind = (_KINDS.get(infos.TechniqueID, ""), infos.ProcessIndex)
    if kind not in _COLUMNS:
        raise BadReply(f"data of technique {infos.TechniqueID}, process {infos.ProcessIndex}: none of ours")
    columns = _COLUMNS[kind][family is not Family.VMP3]
    if infos.NbCols != columns:
        raise BadReply(f"{infos.NbCols} columns from technique {infos.TechniqueID}, not {columns}: another family of boards?")
    return kind


def words_to_convert(words: tuple[int, ...], infos: eclib.DataInfos, family: Family) -> frozenset[int]:
    """The words that are singles; of a family whose singles are not plain IEEE-754 the DLL says what they mean. Raises BadReply."""
    if not infos.NbRows or infos.TechniqueID in SILENT:
        return frozenset()
    rows = _rows(words, infos)
    singles = SINGLES[kind_of(infos, family)]
    return frozenset(row[column] for row in rows for column in singles if column < len(row))


def _rows(words: tuple[int, ...], infos: eclib.DataInfos) -> list[tuple[int, ...]]:
    rows, columns = infos.NbRows, infos.NbCols
    if rows < 0 or columns <= 0 or rows * columns > min(len(words), eclib.WORDS):
        raise BadReply(f"{rows} rows of {columns} columns in {len(words)} words")
    if not all(isinstance(word, int) for word in words):
        raise BadReply("words that are no whole numbers")
    return [tuple(words[row * columns : (row + 1) * columns]) for row in range(rows)]


def decode(
    words: tuple[int, ...],
    infos: eclib.DataInfos,
    values: eclib.CurrentValues,
    family: Family = Family.VMP3,
    singles: Mapping[int, float] | None = None,
    *,
    counter: bool = False,
) -> tuple[Row, ...]:
    """What an answer of ``BL_GetData`` holds; ``singles``: what its words mean, where the DLL was asked. Raises BadReply.

    ``counter``: Ref is on a third electrode, so that Ece says something.
    """
    if not infos.NbRows or infos.TechniqueID in SILENT:
        return ()
    kind = kind_of(infos, family)
    if not 0 < values.TimeBase < 1:
        raise BadReply(f"a time base of {values.TimeBase} s")

    def number(word: int) -> float:
        return as_single(word) if singles is None else singles[word]

    rows = _rows(words, infos)
    if kind == ("sweep", 1):
        return tuple(_point(row, number) for row in rows)
    made = tuple(_row(row, kind[0], values.TimeBase, number) for row in rows)
    if not counter:
        return made
    recorded = kind[0] == "ocv" and infos.NbCols > ECE
    return (
        tuple(replace(one, ce_V=number(row[ECE])) for one, row in zip(made, rows, strict=True)) if recorded else _with_counter(made, values)
    )


ECE = 3
"""Its column in the rows of a rest (VMP3 family)."""
COUNTER_AGE_S = 0.5
"""Rows that were measured so long before the channel's current values have no Ece; a rest of the VMP3 family records its own."""


def _with_counter(rows: tuple[Row, ...], values: eclib.CurrentValues) -> tuple[Row, ...]:
    """With Ece as the same answer shows it, where it still is that of the row; after the end it is that of the open circuit."""
    runs = values.State == eclib.STATE_RUN
    fresh = (runs and abs(values.ElapsedTime - row.time_s) <= COUNTER_AGE_S for row in rows)
    return tuple(replace(row, ce_V=values.Ece if so else math.nan) for row, so in zip(rows, fresh, strict=True))


def _row(row: tuple[int, ...], kind: str, base_s: float, number: Callable[[int], float]) -> Row:
    ticks = ((row[0] & 0xFFFFFFFF) << 32) + (row[1] & 0xFFFFFFFF)
    current_A = 0.0 if kind == "ocv" else number(row[3])
    return Row(ticks * base_s, number(row[2]), current_A)


def _point(row: tuple[int, ...], number: Callable[[int], float]) -> Point:
    volts, amps, phase_rad = number(row[1]), number(row[2]), number(row[3])
    known = amps > 0 and math.isfinite(volts) and math.isfinite(phase_rad)
    impedance_ohm = cmath.rect(volts / amps, phase_rad) if known else complex(math.nan, math.nan)
    return Point(number(row[13]), number(row[4]), number(row[5]), frequency_Hz=number(row[0]), impedance_ohm=impedance_ohm)


# ------------------------------------------------------------------------------------------------- messages and codes


def message(raw: bytes) -> str:
    """A message of the firmware as one line of text."""
    text = raw.split(b"\0", 1)[0].decode("cp1252", "replace")
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def refuses(text: str) -> bool:
    """Does a message say that the list was not taken, although the call answered 0?"""
    said = text.lower()
    return any(word in said for word in ("cannot", "can't", "error", "fail", "invalid", "not allowed"))


def meaning(code: int) -> str:
    """A return code in words."""
    return f"{code}, {eclib.CODES[code]}" if code in eclib.CODES else str(code)


LINK = frozenset({-1, -6, -7, -200, -201, -207})
"""Nobody answers, or not us."""
NO_KERNEL = frozenset({-308, -309})
EC_LAB = -9
IN_PROGRESS = -12
