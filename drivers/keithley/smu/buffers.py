"""Reading buffers: circular or filled once; rows of what was measured, sourced, and when."""

from __future__ import annotations

import math
import struct
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from drivers.keithley.smu.language import CONFLICT, ILLEGAL, Complaint

DEFAULTS = ("defbuffer1", "defbuffer2")
DEFAULT_SIZE = 100_000
NO_NUMBER = 9.91e37
ELEMENTS = ("READ", "SOUR", "REL", "STAT", "SOURSTAT", "SEC", "FRAC", "EXTR", "UNIT", "SOURUNIT")
BINARY = frozenset({"READ", "SOUR", "REL", "EXTR"})
LONG = {"READING": "READ", "SOURCE": "SOUR", "RELATIVE": "REL", "STATUS": "STAT", "SOURSTATUS": "SOURSTAT", "SECONDS": "SEC"}
LONG |= {"FRACTIONAL": "FRAC", "EXTRA": "EXTR", "SOURCESTATUS": "SOURSTAT"}
MOST_ELEMENTS = 14


@dataclass(frozen=True, slots=True)
class Row:
    """One reading. ``utc_ns``: of the instrument's own clock; ``rel_s``: since the first of its buffer."""

    reading: float
    source: float
    rel_s: float
    utc_ns: int
    status: int
    source_status: int
    unit: str

    def element(self, name: str) -> str:
        """As text."""
        match name:
            case "READ":
                return number(self.reading)
            case "SOUR":
                return number(self.source)
            case "REL":
                return number(self.rel_s)
            case "SEC":
                return str(self.utc_ns // 10**9)
            case "FRAC":
                return number(self.utc_ns % 10**9 / 1e9)
            case "STAT":
                return str(self.status)
            case "SOURSTAT":
                return str(self.source_status)
            case "UNIT":
                return f"{self.unit} DC"
            case "SOURUNIT":
                return "Amp DC" if self.unit == "Volt" else "Volt DC"
            case _:
                return number(0.0)


def number(value: float) -> str:
    """As these instruments write it."""
    return f"{NO_NUMBER if math.isnan(value) else value:+.6E}"


def elements(names: list[str]) -> list[str]:
    """Canonical names of buffer elements. Raises Complaint."""
    found = [LONG.get(name.upper(), name.upper()) for name in names] or ["READ"]
    if any(name not in ELEMENTS for name in found) or len(found) > MOST_ELEMENTS:
        raise Complaint(1133, "Parameter 4, Syntax error, expected valid name parameters")
    return found


class Buffer:
    """Rows are numbered from 1; when a circular one is full the oldest go and ``first`` moves on."""

    def __init__(self, size: int = DEFAULT_SIZE, *, circular: bool = True) -> None:
        self.size, self.circular = size, circular
        self.rows: deque[Row] = deque()
        self.written = 0
        self.began_ns: int | None = None

    @property
    def first(self) -> int:
        """Index of the oldest row, 0 when empty."""
        if not self.rows:
            return 0
        return (self.written - len(self.rows)) % self.size + 1

    @property
    def last(self) -> int:
        """Index of the newest row, 0 when empty."""
        return (self.written - 1) % self.size + 1 if self.rows else 0

    def clear(self) -> None:
        """Forget all."""
        self.rows.clear()
        self.written, self.began_ns = 0, None

    def since_s(self, utc_ns: int) -> float:
        """Seconds since its first row."""
        if self.began_ns is None:
            self.began_ns = utc_ns
        return (utc_ns - self.began_ns) / 1e9

    def add(self, row: Row) -> None:
        """A full one that is filled once discards silently."""
        if len(self.rows) >= self.size:
            if not self.circular:
                return
            self.rows.popleft()
        self.rows.append(row)
        self.written += 1

    def between(self, start: int, end: int) -> list[Row]:
        """Rows of indices ``start`` to ``end``; across the seam of a circular one where ``end`` < ``start``. Raises Complaint."""
        wanted = end - start + 1 if start <= end else self.size - start + 1 + end
        first = (start - 1 - (self.written - len(self.rows))) % self.size
        full = len(self.rows) == self.size
        if not (1 <= start <= self.size and 1 <= end <= self.size) or (first + wanted > len(self.rows) and not full):
            raise Complaint(1114, "Buffer index out of range")
        return [self.rows[(first + n) % self.size] for n in range(wanted)]

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        rows = [list(asdict(row).values()) for row in self.rows]
        return {"size": self.size, "circular": self.circular, "rows": rows, "written": self.written, "began_ns": self.began_ns}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Buffer:
        """From plain data."""
        found = cls(state["size"], circular=state["circular"])
        found.rows.extend(Row(*row) for row in state["rows"])
        found.written, found.began_ns = state["written"], state["began_ns"]
        return found


class Buffers:
    """By name."""

    def __init__(self) -> None:
        self.named = {name: Buffer() for name in DEFAULTS}

    def __getitem__(self, name: str) -> Buffer:
        if name not in self.named:
            raise Complaint(*ILLEGAL)
        return self.named[name]

    def make(self, name: str, size: int) -> None:
        """``TRAC:MAKE``: filled once unless told otherwise. Raises Complaint."""
        if name in self.named:
            raise Complaint(1115, "Parameter error, TRACe:MAKE cannot take an existing reading buffer name")
        if size < 10:
            raise Complaint(*CONFLICT)
        self.named[name] = Buffer(size, circular=False)


def written(rows: list[Row], names: list[str], form: str) -> bytes:
    """Rows as ``FORM:DATA`` says: text, or a block of floats (little end first, inferred). Raises Complaint."""
    if form == "ASC":
        return ",".join(row.element(name) for row in rows for name in names).encode()
    if not BINARY.issuperset(names):
        raise Complaint(1133, "Binary data: only READ, SOUR, REL and EXTR are allowed")
    values = [float(row.element(name)) for row in rows for name in names]
    return b"#0" + struct.pack(f"<{len(values)}{'d' if form == 'REAL' else 'f'}", *values)
