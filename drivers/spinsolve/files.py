"""Spinsolve's files: ``data.1d`` and ``data.2d`` (binary) and ``acqu.par`` (text). Pure: bytes and text in, values out; nothing is written.

nmrglue reads the same files; here the bytes that are read are the bytes that are hashed, and what does not fit is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER = struct.Struct("<4s4s4s5I")
MAGIC = (b"SORP", b"ATAD", b"1.1V")
AXIS_AND_COMPLEX, COMPLEX = 504, 501
"""``dataType`` of a file with a float32 axis before its complex float32 values, and of one that holds only those, row by row."""
BYTES_PER_POINT = {AXIS_AND_COMPLEX: 12, COMPLEX: 8}
RAW_DTYPE = "<f4"

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataHeader:
    """The first 32 bytes: what lies in the file, and how many points along each axis."""

    data_type: int
    x: int
    y: int
    z: int
    q: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER.size + BYTES_PER_POINT[self.data_type] * self.x * self.y

    @property
    def rows(self) -> int:
        """Of an array; 0 of a single spectrum."""
        return self.y if self.data_type == COMPLEX else 0


def parse_header(data: bytes) -> DataHeader:
    """Of a spectrum with its axis, or of rows without one. Raises ValueError."""
    if len(data) < HEADER.size:
        raise ValueError(f"a data file of {len(data)} bytes")
    *magic, data_type, x, y, z, q = HEADER.unpack_from(data)
    if tuple(magic) != MAGIC:
        raise ValueError(f"not a Prospa file: it begins with {bytes(data[:12])!r}")
    if data_type not in BYTES_PER_POINT or x < 1 or max(z, q) > 1 or (y > 1 and data_type == AXIS_AND_COMPLEX):
        raise ValueError(f"not one row of complex points with an axis, nor rows without: type {data_type}, {x} x {y} x {z} x {q}")
    return DataHeader(data_type, x, max(1, y), z, q)


def parse_data(data: bytes) -> NDArray[np.complex64]:
    """complex64 (points,), of an array (rows, points), as stored. Raises ValueError."""
    import numpy as np

    header = parse_header(data)
    if len(data) != header.size:
        raise ValueError(f"a data file of {len(data)} bytes whose header says {header.size}")
    if header.rows:
        values = np.frombuffer(data, "<c8", header.rows * header.x, HEADER.size)
        return values.astype(np.complex64).reshape(header.rows, header.x)
    pairs = np.frombuffer(data, RAW_DTYPE, 2 * header.x, HEADER.size + 4 * header.x)
    return pairs.view("<c8").astype(np.complex64)


def parse_axis(data: bytes) -> NDArray[np.float32]:
    """float32 (points,): milliseconds in ``data.1d``. Raises ValueError."""
    import numpy as np

    header = parse_header(data)
    return np.frombuffer(data, RAW_DTYPE, header.x, HEADER.size).astype(np.float32)


def parse_parameters(text: str) -> Parameters:
    """``name = value`` lines: a text in quotes, an integer, a number, or whatever stands there; other lines are left out."""
    found: Parameters = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip():
            found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def user_data(parameters: Mapping[str, Any]) -> dict[str, str]:
    """``userData = "k=v;k=v"``, the keys stamped into the data."""
    pairs = (pair.partition("=") for pair in str(parameters.get("userData", "")).split(";"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def number(parameters: Mapping[str, Any], name: str) -> float:
    """Raises ValueError where it is missing or no number."""
    value = parameters.get(name)
    if isinstance(value, int | float):
        return float(value)
    raise ValueError(f"acqu.par says {name} = {value!r}")
