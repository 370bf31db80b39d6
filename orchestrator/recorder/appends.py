"""What the projection decides and the file then does: five plain kinds of change to ``run.h5``, paths relative to ``/entry``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.datasets import Group, cut, fill_value, numpy_dtype, text_size

Column = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Make:
    """A group of the table, under its real name, with what the table leaves open (``*``).

    ``fixed``: axes that do not grow. ``dtypes``: of datasets whose dtype is open. ``width``: length of the second axis;
    ``shapes``: of one row of datasets that have further ones.
    ``described``: attributes of datasets by name; the key "" is the group itself. ``source``: path that ``*`` of a link stands for.
    """

    path: str
    group: Group
    fixed: Mapping[str, Column] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    width: int = 0
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows at the end of a group's datasets, the first of them number ``start``. Columns (n, …); optional ones may be missing."""

    path: str
    group: Group
    start: int
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Change:
    """New values in one row."""

    path: str
    row: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a group or dataset."""

    path: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """One text as a dataset of its own."""

    path: str
    text: str


Append = Make | Rows | Change | Attributes | Text
APPEND_BYTES = 500
"""What an append costs in memory besides its columns, about."""


def size_bytes(appends: Sequence[Append]) -> int:
    """What they hold in memory, about."""
    columns = [values.nbytes for append in appends if isinstance(append, Rows) for values in append.columns.values()]
    return APPEND_BYTES * len(appends) + sum(columns)


def joined(rows: Sequence[Rows]) -> Rows:
    """Consecutive rows of one group as one; an optional column that some lack is filled there. Raises ValueError at a gap."""
    first = rows[0]
    if len(rows) == 1:
        return first
    at = first.start
    for each in rows:
        if each.start != at:
            raise ValueError(f"{each.path}: row {at} is missing before {each.start}")
        at += len(each)
    names = list(dict.fromkeys(name for each in rows for name in each.columns))
    columns: dict[str, Column] = {}
    for name in names:
        declared = first.group.dataset(name).dtype
        parts = [
            each.columns[name] if name in each.columns else np.full(len(each), fill_value(declared), numpy_dtype(declared)) for each in rows
        ]
        columns[name] = np.concatenate(parts)
    return Rows(first.path, first.group, first.start, columns)


def column(group: Group, name: str, values: Iterable[Any]) -> Column:
    """The values of one dataset as rows, in the dtype that the table gives it; texts are cut to its size."""
    dtype = group.dataset(name).dtype
    size = text_size(dtype)
    return np.array([cut(value, size) for value in values] if size else list(values), dtype=numpy_dtype(dtype))


def text_parts(text: str, size: int) -> list[str]:
    """A text in pieces of at most ``size`` bytes of UTF-8, never half a character; at least one."""
    parts, raw = [], text.encode("utf-8", "replace")
    while len(raw) > size:
        parts.append(raw[:size].decode("utf-8", "ignore"))
        raw = raw[len(parts[-1].encode()) :]
    return [*parts, raw.decode()]


def table_row(path: str, group: Group, start: int, values: Mapping[str, Any]) -> Rows:
    """One row, from plain values."""
    return Rows(path, group, start, {name: column(group, name, (value,)) for name, value in values.items()})
