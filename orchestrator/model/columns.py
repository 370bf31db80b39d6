"""Columns of equal length ↔ one blob of bytes: little-endian, one column after the other, described by a plain list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]


def pack(columns: Mapping[str, Column]) -> tuple[list[list[str]], bytes]:
    """Description ``[[name, dtype], ...]`` and the bytes of 1-D columns of equal length."""
    arrays = {name: np.ascontiguousarray(values, dtype=np.asarray(values).dtype.newbyteorder("<")) for name, values in columns.items()}
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
        raise ValueError(f"columns must be 1-D and of equal length, not {lengths}")
    return [[name, array.dtype.str] for name, array in arrays.items()], b"".join(array.tobytes() for array in arrays.values())


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
