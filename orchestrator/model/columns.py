"""Columns of equal length ↔ one blob of bytes: little-endian, one column after the other, described by a plain list."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
CODES = {"<i8": "q", "<f8": "d", "<u2": "H"}
"""How ``struct`` writes a value of each dtype that samples have."""


def pack(columns: Mapping[str, Column]) -> tuple[list[list[str]], bytes]:
    """Description ``[[name, dtype], ...]`` and the bytes of 1-D columns of equal length."""
    arrays = {name: np.ascontiguousarray(values, dtype=np.asarray(values).dtype.newbyteorder("<")) for name, values in columns.items()}
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
        raise ValueError(f"columns must be 1-D and of equal length, not {lengths}")
    return [[name, array.dtype.str] for name, array in arrays.items()], b"".join(array.tobytes() for array in arrays.values())


def pack_rows(description: Sequence[Sequence[str]], rows: Sequence[Sequence[float]]) -> bytes:
    """The bytes of at least one row as columns of that description; ValueError where a row has another length."""
    codes = "".join(f"{len(rows)}{CODES[dtype]}" for _, dtype in description)
    try:
        return struct.pack("<" + codes, *chain.from_iterable(zip(*rows, strict=True)))
    except struct.error as error:
        raise ValueError(f"rows do not fit {description}: {error}") from error


def unpack(description: Sequence[Sequence[str]], blob: bytes, n: int) -> dict[str, Column]:
    """The columns that ``pack`` described; raises ValueError where the bytes do not fit the description."""
    columns: dict[str, Column] = {}
    at = 0
    for name, dtype in description:
        size = np.dtype(dtype).itemsize * n
        columns[name] = np.frombuffer(blob[at : at + size], dtype=dtype)
        at += size
    if at != len(blob):
        raise ValueError(f"{len(blob)} bytes do not hold {n} rows of {[name for name, _ in description]}")
    return columns
