"""How the table of ``layout`` declares a dataset and a group, and what a declared dtype is in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset. ``dtype``: numpy's, or ``text:N`` (N bytes). ``dims``: its axes by name; the first grows.

    ``optional``: made when first known, NaN in the rows before. ``link``: a hard link to the dataset of that path instead.
    """

    name: str
    dtype: str
    units: str = ""
    long_name: str = ""
    dims: tuple[str, ...] = ("time",)
    optional: bool = False
    derived: bool = False
    link: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """One group below ``/entry``. ``*`` in its path stands for the name of a sensor, acquisition, observable or instrument.

    ``grows``: the axis along which rows are added (another than its parent's: a tree of xarray lets children inherit axes).
    """

    path: str
    NX_class: str
    datasets: tuple[Dataset, ...] = ()
    signal: str = ""
    axes: tuple[str, ...] = ()
    static: bool = True
    chunk_rows: int = 256
    grows: str = "time"
    attributes: dict[str, str] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """The row of the table for one dataset. Raises KeyError."""
        for each in self.datasets:
            if each.name == name:
                return each
        raise KeyError(f"{self.path} has no dataset {name}")


@cache
def text_size(dtype: str) -> int | None:
    """N of ``text:N``; None for a numeric dtype."""
    return int(dtype.removeprefix("text:")) if dtype.startswith("text:") else None


def cut(text: str, size: int) -> bytes:
    """UTF-8 of at most ``size`` bytes, never half a character."""
    raw = text.encode("utf-8", "replace")
    return raw if len(raw) <= size else raw[:size].decode("utf-8", "ignore").encode()


@cache
def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """What rows of a dataset are made of in memory, little-endian."""
    size = text_size(dtype)
    return np.dtype(f"S{size}") if size else np.dtype(dtype).newbyteorder("<")


def fill_value(dtype: str) -> object:
    """What stands in rows from before an optional dataset was known: NaN; for integers the least."""
    kind = numpy_dtype(dtype)
    if kind.kind in "fc":
        return np.nan
    return b"" if kind.kind == "S" else np.iinfo(kind).min if kind.kind == "i" else 0


def group_name(name: str) -> str:
    """A name as one element of an HDF5 path."""
    return name.replace("/", "_").strip(".") or "_"
