"""VnmrJ's files as the console writes them: procpar, fid, log, text, .talk. Pure.

Grammar and sizes: dossier ``consoles.md`` 3.5, checked there on 219 recorded spectra.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DATA, INT32, FLOAT, DDR = 0x1, 0x4, 0x8, 0x80
STATUS_INT32 = 0x45
FILE_HEADER = struct.Struct(">6l2hl")
BLOCK_HEADER = struct.Struct(">4hl4f")
REAL, STRING = 1, 2
DC_PART = 16
"""The DC offsets in the block header are means over the last sixteenth of the FID (inferred)."""


# ------------------------------------------------------------------------------------------------------------- procpar


@lru_cache(maxsize=64)
def _is_string(basictype: str) -> bool:
    return int(basictype) == STRING


@dataclass(slots=True)
class Parameter:
    """One parameter: the eleven words of its first line, its values, its allowed values.

    ``header``: subtype, basictype, max, min, step, Ggroup, Dgroup, protection, active, intptr as they stand in the file.
    """

    name: str
    header: tuple[str, ...]
    values: list[float | str]
    enumeration: list[str] = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        """True for strings."""
        return _is_string(self.header[1])

    @property
    def step(self) -> float:
        """Values are rounded to this (0 = not); 0 where the site's tables hold it."""
        return 0.0 if self._tabled else float(self.header[4])

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value; None where the site's tables hold them."""
        return None if self._tabled else (float(self.header[3]), float(self.header[2]))

    @property
    def _tabled(self) -> bool:
        return bool(int(self.header[7]) & 8192)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=1024)
def _head(name: str, header: tuple[str, ...]) -> str:
    return f"{name} {' '.join(header)}\n"


def _record(parameter: Parameter) -> str:
    if parameter.is_text:
        values = "\n".join([_quoted(str(value)) for value in parameter.values])
    else:
        values = "".join([f"{float(value):.12g} " for value in parameter.values])
    allowed = "".join([f'"{value}" ' for value in parameter.enumeration])
    head = _head(parameter.name, parameter.header)
    return f"{head}{len(parameter.values)} {values}\n{len(parameter.enumeration)} {allowed}\n"


def write_procpar(parameters: Iterable[Parameter]) -> str:
    """The text of a procpar: three records per parameter."""
    return "".join([_record(parameter) for parameter in parameters])


_STRING = re.compile(r'"((?:[^"\\]|\\.)*)" *\n?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_procpar(text: str) -> dict[str, Parameter]:
    """Parameters of a procpar by name, in file order; raises ValueError where the three records do not fit."""
    found: dict[str, Parameter] = {}
    place = 0
    while place < len(text):
        head, place = _line(text, place)
        if not head.strip():
            continue
        name, header = _first_line(head)
        values, place = _values(text, place, text_values=header[1] == "2")
        allowed, place = _line(text, place)
        found[name] = Parameter(name, header, values, list(_allowed(allowed)))
    return found


def _line(text: str, place: int) -> tuple[str, int]:
    end = text.find("\n", place)
    end = len(text) if end < 0 else end
    return text[place:end], end + 1


# A parameter set is read several times for each spectrum, and nearly all of its lines are those of the last time.


@lru_cache(maxsize=1024)
def _first_line(line: str) -> tuple[str, tuple[str, ...]]:
    """Name and header."""
    name, *header = line.split()
    if len(header) != 10:
        raise ValueError(f"not the first line of a parameter: {line[:60]!r}")
    return name, tuple(header)


@lru_cache(maxsize=1024)
def _allowed(line: str) -> tuple[str, ...]:
    return tuple([word.strip('"') for word in line.split()[1:]])


@lru_cache(maxsize=1024)
def _numbers(line: str) -> tuple[float, ...]:
    words = line.split()
    if not words:
        raise ValueError("a parameter without values")
    return tuple([float(word) for word in words[1 : 1 + int(words[0])]])


def _values(text: str, place: int, *, text_values: bool) -> tuple[list[float | str], int]:
    if not text_values:
        line, place = _line(text, place)
        return list(_numbers(line)), place
    count = text[place : text.find(" ", place)]
    place += len(count) + 1
    values: list[float | str] = []
    for _ in range(int(count)):
        match = _STRING.match(text, place)
        if match is None:
            raise ValueError(f"not a quoted string: {text[place : place + 40]!r}")
        values.append(_ESCAPED.sub(r"\1", match[1]) if "\\" in match[1] else match[1])
        place = match.end()
    return values, place


# ----------------------------------------------------------------------------------------------------------------- fid


def fid_size(points_2: int, blocks: int = 1) -> int:
    """Bytes of an int32 or float32 fid file with ``points_2`` (np: real and imaginary counted) values a trace."""
    return FILE_HEADER.size + blocks * (BLOCK_HEADER.size + 4 * points_2)


def write_fid(signal: NDArray[np.complex128], *scans: int) -> bytes:
    """An int32 fid file from a complex signal (points,) or (rows, points), rounded, one block a row; ``scans``: completed, of each."""
    rows = signal.reshape(len(scans), -1)
    trace_bytes = 8 * rows.shape[1]
    head = FILE_HEADER.pack(len(rows), 1, 2 * rows.shape[1], 4, trace_bytes, trace_bytes + BLOCK_HEADER.size, 0, STATUS_INT32, 1)
    return head + b"".join(_block(row, number + 1, done) for number, (row, done) in enumerate(zip(rows, scans, strict=True)))


def _block(row: NDArray[np.complex128], number: int, scans: int) -> bytes:
    values = np.empty(2 * row.size, dtype=">i4")
    rounded = np.clip(np.rint(np.stack((row.real, row.imag), axis=-1)), -(2**31), 2**31 - 1)
    values[:] = rounded.reshape(-1)
    tail = row[-max(1, row.size // DC_PART) :] if row.size else np.zeros(1, dtype=np.complex128)
    level = complex(np.mean(tail))
    return BLOCK_HEADER.pack(0, STATUS_INT32, number, 0, scans, 0.0, 0.0, level.real, level.imag) + values.tobytes()


# ---------------------------------------------------------------------------------------------------------- log, times


def log_line(when: datetime, what: str) -> str:
    """``Sat Nov 18 02:30:54 2023: Experiment started`` and a line end; the time is local, as everywhere in VnmrJ."""
    return f"{when:%a %b} {when.day:2d} {when:%H:%M:%S %Y}: {what}\n"


def stamp(when: datetime) -> str:
    """``20231118T023054``."""
    return f"{when:%Y%m%dT%H%M%S}"


def submitted_local(when: datetime) -> str:
    """``20231118T023054X02AMSatNov``."""
    return f"{when:%Y%m%dT%H%M%SX%I%p%a%b}"


def date(when: datetime) -> str:
    """``Nov 18 2023``."""
    return f"{when:%b} {when.day:2d} {when:%Y}"


# ----------------------------------------------------------------------------------------------------------------- talk


def swapped_port(port: int) -> int:
    """A TCP port as ``.talk`` shows it: the two bytes in network order read as this computer's integer."""
    return int.from_bytes(port.to_bytes(2, "big"), sys.byteorder)


def talk(host: str, port: int, pid: int) -> str:
    """The one line of ``.talk``; ``port`` as it shall stand there."""
    return f"{host} {port} {pid}\n"


def texts(parameters: Mapping[str, Parameter]) -> dict[str, float | str]:
    """First value of every parameter by name."""
    return {name: parameter.values[0] for name, parameter in parameters.items() if parameter.values}
