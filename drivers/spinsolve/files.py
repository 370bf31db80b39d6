"""Spinsolve's files: ``data.1d`` (binary) and ``acqu.par`` (text). Pure: bytes and text in, values out; nothing is written.

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
AXIS_AND_COMPLEX = 504
"""``dataType`` of a file with a float32 axis before its complex float32 values."""
BYTES_PER_POINT = 12
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
        return HEADER.size + BYTES_PER_POINT * self.x


def parse_header(data: bytes) -> DataHeader:
    """Of a one-dimensional file. Raises ValueError."""
    if len(data) < HEADER.size:
        raise ValueError(f"a data.1d of {len(data)} bytes")
    *magic, data_type, x, y, z, q = HEADER.unpack_from(data)
    if tuple(magic) != MAGIC:
        raise ValueError(f"not a Prospa file: it begins with {bytes(data[:12])!r}")
    if data_type != AXIS_AND_COMPLEX or x < 1 or max(y, z, q) > 1:
        raise ValueError(f"not one row of complex points with an axis: type {data_type}, {x} x {y} x {z} x {q}")
    return DataHeader(data_type, x, y, z, q)


def parse_data(data: bytes) -> NDArray[np.complex64]:
    """complex64 (points,), as stored. Raises ValueError."""
    import numpy as np

    header = parse_header(data)
    if len(data) != header.size:
        raise ValueError(f"a data.1d of {len(data)} bytes whose header says {header.size}")
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
