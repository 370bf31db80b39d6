"""Rows into HDF5 datasets through h5py's low-level calls: a publication writes some sixty columns, a few rows each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from orchestrator.recorder.appends import Column

BLOCK_BYTES = 4 << 20


def opened(group: h5py.Group, name: str) -> Any:
    """The low-level dataset of that name; None where there is none."""
    raw = name.encode()
    return h5py.h5d.open(group.id, raw) if group.id.links.exists(raw) else None


def set_rows(dataset: Any, rows: int) -> None:
    """The dataset's first axis gets this length."""
    dataset.set_extent((rows, *dataset.shape[1:]))


def write_rows(dataset: Any, start: int, values: Column) -> None:
    """Values (n, …) into rows ``start`` to ``start + n - 1``."""
    values = np.ascontiguousarray(values)
    memory, place = _spaces(dataset, start, values.shape)
    dataset.write(memory, place, values, _memory_type(dataset, values))


def read_rows(dataset: Any, start: int, n: int) -> Column:
    """(n, …): rows from ``start`` on, as they are stored."""
    values = np.empty((n, *dataset.shape[1:]), dataset.dtype)
    memory, place = _spaces(dataset, start, values.shape)
    dataset.read(memory, place, values, _memory_type(dataset, values))
    return values


def change_rows(dataset: Any, changes: Mapping[int, Any]) -> None:
    """New values by row: one reading and one writing for all of them."""
    first = min(changes)
    values = read_rows(dataset, first, max(changes) - first + 1)
    for row, value in changes.items():
        values[row - first] = value
    write_rows(dataset, first, values)


def blocks(dataset: Any) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each block of about ``BLOCK_BYTES``."""
    rows = dataset.shape[0]
    row_bytes = dataset.dtype.itemsize
    for length in dataset.shape[1:]:
        row_bytes *= length
    most = max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, rows, most):
        yield start, min(most, rows - start)


def _spaces(dataset: Any, start: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    place = dataset.get_space()
    place.select_hyperslab((start, *(0 for _ in shape[1:])), shape)
    return h5py.h5s.create_simple(shape), place


def _memory_type(dataset: Any, values: Column) -> Any:
    """HDF5 does not convert plain bytes to UTF-8 text, so texts are written as the very type they have in the file."""
    if values.dtype.kind != "S":
        return h5py.h5t.py_create(values.dtype)
    stored = dataset.get_type()
    if stored.get_size() != values.dtype.itemsize:
        raise ValueError(f"texts of {values.dtype.itemsize} bytes do not fit a column of {stored.get_size()}")
    return stored
