"""OpenVnmrJ's files: ``fid`` (binary), ``procpar``, ``log``. Pure: bytes and text in, values out; nothing is written."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_HEADER = struct.Struct(">6l2hl")
BLOCK_HEADER = struct.Struct(">4hl4f")
HAS_DATA, IS_INT32, IS_FLOAT = 0x1, 0x4, 0x8
EXACT_IN_FLOAT32 = 1 << 24

Parameters = dict[str, Any]


# ----------------------------------------------------------------------------------------------------------------- fid


@dataclass(frozen=True, slots=True)
class FidHeader:
    """The file header: counts and sizes in bytes, as stored."""

    blocks: int
    traces: int
    points: int
    bytes_per_number: int
    bytes_per_trace: int
    bytes_per_block: int
    version: int
    status: int
    block_headers: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return FILE_HEADER.size + self.blocks * self.bytes_per_block

    @property
    def dtype(self) -> str:
        """How numbers are stored, as numpy names it; always big-endian."""
        if self.status & IS_FLOAT:
            return ">f4"
        return ">i4" if self.status & IS_INT32 or self.bytes_per_number == 4 else ">i2"

    def check(self) -> None:
        """Raises ValueError where the sizes contradict each other."""
        traces = self.bytes_per_trace * self.traces
        consistent = (
            min(self.blocks, self.traces, self.points, self.block_headers) > 0
            and self.bytes_per_number == int(self.dtype[-1])
            and self.bytes_per_trace == self.points * self.bytes_per_number
            and self.bytes_per_block == traces + BLOCK_HEADER.size * self.block_headers
        )
        if not consistent:
            raise ValueError(f"a fid whose sizes contradict each other: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class StoredFid:
    """``data`` complex64 or complex128 (points,) or (rows, points), unscaled; ``scans`` int64 (blocks,); ``raw_dtype``."""

    data: NDArray[np.complexfloating[Any, Any]]
    scans: NDArray[np.int64]
    raw_dtype: str
    header: FidHeader


def parse_header(data: bytes) -> FidHeader:
    """The first 32 bytes. Raises ValueError."""
    if len(data) < FILE_HEADER.size:
        raise ValueError(f"a fid of {len(data)} bytes")
    header = FidHeader(*FILE_HEADER.unpack_from(data))
    header.check()
    return header


def parse_fid(data: bytes) -> StoredFid:
    """The whole file, bit for bit: re + 1j*im as stored. Raises ValueError."""
    import numpy as np

    header = parse_header(data)
    if len(data) != header.size:
        raise ValueError(f"a fid of {len(data)} bytes whose header says {header.size}")
    start = BLOCK_HEADER.size * header.block_headers
    rows, scans = [], []
    for block in range(header.blocks):
        at = FILE_HEADER.size + block * header.bytes_per_block
        scans.append(BLOCK_HEADER.unpack_from(data, at)[4])
        count = header.points * header.traces
        rows.append(np.frombuffer(data, header.dtype, count, at + start).reshape(header.traces, header.points))
    stored = np.concatenate(rows)
    complex_rows = _complex(stored)
    return StoredFid(complex_rows[0] if len(complex_rows) == 1 else complex_rows, np.array(scans, np.int64), header.dtype, header)


def _complex(stored: NDArray[Any]) -> NDArray[np.complexfloating[Any, Any]]:
    """(rows, numbers) interleaved re, im → (rows, points), in the smaller type that holds every number exactly."""
    import numpy as np

    exact = stored.dtype.kind == "f" or stored.size == 0 or max(int(stored.max()), -int(stored.min())) < EXACT_IN_FLOAT32
    result = np.empty((stored.shape[0], stored.shape[1] // 2), np.complex64 if exact else np.complex128)
    result.real, result.imag = stored[:, 0::2], stored[:, 1::2]
    return result


# ------------------------------------------------------------------------------------------------------------- procpar

_ESCAPED = re.compile(r'\\(["\\])')
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)


def parse_procpar(text: str) -> Parameters:
    """All parameters: a number, a text, or a list of them for arrays. Raises ValueError."""
    return dict(_parsed(text))


@lru_cache(maxsize=4)
def _parsed(text: str) -> Parameters:
    """Whether the files are complete is asked several times before they are fetched."""
    tokens = _TOKEN.findall(text)
    parameters: Parameters = {}
    at = 0
    try:
        while at < len(tokens):
            name, subtype, kind = tokens[at][1], tokens[at + 1][1], tokens[at + 2][1]
            first_value = at + 12
            allowed = first_value + _count(tokens[first_value - 1][1])
            values = [_value(token, is_text=kind == "2", is_integer=subtype == "7") for token in tokens[first_value:allowed]]
            at = allowed + 1 + _count(tokens[allowed][1])
            parameters[name] = values[0] if len(values) == 1 else values
    except IndexError as end:
        raise ValueError("a procpar that ends inside a parameter") from end
    if at > len(tokens):
        raise ValueError("a procpar that ends inside a parameter")
    return parameters


def _count(text: str) -> int:
    """How many values follow; fewer than none would be read again and again."""
    count = int(text)
    if count < 0:
        raise ValueError(f"a procpar with {count} values of a parameter")
    return count


def _value(token: tuple[str, str], *, is_text: bool, is_integer: bool) -> float | int | str:
    """A token: what stands between quotes, or else what stands without."""
    quoted, bare = token
    if is_text:
        if bare:
            raise ValueError(f"a procpar whose text {bare!r} is not quoted")
        return _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
    value = float(bare)
    return int(value) if is_integer and value.is_integer() else value


def first(parameters: Parameters, name: str, default: Any = None) -> Any:
    """The value of a parameter; of an array its first element."""
    value = parameters.get(name, default)
    return value[0] if isinstance(value, list) and value else value


def zero_ppm_MHz(parameters: Parameters) -> float:
    """Frequency of 0 ppm: ``reffrq``, else ``sfrq - sw/2 + rfl - rfp``. Raises KeyError."""
    if first(parameters, "reffrq"):
        return float(first(parameters, "reffrq"))
    sw, rfl, rfp = (float(first(parameters, name, 0.0)) for name in ("sw", "rfl", "rfp"))
    return float(first(parameters, "sfrq")) + (-sw / 2 + rfl - rfp) * 1e-6


def time_stamps(parameters: Parameters) -> dict[str, str]:
    """Every ``time_…`` that happened, verbatim: local time of the console, no zone."""
    return {
        name: value
        for name, value in parameters.items()
        if name.startswith("time_") and isinstance(value, str) and re.fullmatch(r"\d{8}T\d{6}", value)
    }


def parse_time(text: str) -> datetime:
    """``20231118T023054`` without zone. Raises ValueError."""
    return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007  the console says no zone


# ----------------------------------------------------------------------------------------------------------------- log


def parse_log(text: str) -> list[tuple[datetime, str]]:
    """``Sat Nov 18 02:30:54 2023: Experiment started`` → time without zone, what happened; other lines are left out."""
    found = []
    for line in text.splitlines():
        when, colon, what = line.partition(": ")
        try:
            found.append((datetime.strptime(when, "%a %b %d %H:%M:%S %Y"), what.strip()))  # noqa: DTZ007
        except ValueError:
            continue
        assert colon
    return found
