"""One number for the content of a run file: SHA-256 over all datasets and attributes in path order.

Left out: what ``layout`` marks volatile (when and by what the file was written), structural references of HDF5 (they are
addresses), and derived datasets (their ``@derived``; transforms may differ in the last bit between processors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orchestrator.recorder.layout import STRUCTURAL, VOLATILE, VOLATILE_PATHS

BLOCK_BYTES = 4 << 20


def digest(path: Path) -> str:
    """The digest of a run file, 64 hexadecimal digits."""
    with h5py.File(path, "r") as file:
        return digest_of(file)


def digest_of(file: h5py.File) -> str:
    """The digest of an open run file."""
    total = hashlib.sha256()
    for name, node in _nodes("", file):
        total.update(f"{name}\n".encode())
        for attribute in sorted(set(node.attrs) - VOLATILE - STRUCTURAL):
            total.update(f"@{attribute} {_described(node.attrs[attribute])}\n".encode())
        if isinstance(node, h5py.Dataset) and "derived" not in node.attrs:
            _take_dataset(total, node)
    return total.hexdigest()


def _nodes(name: str, group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Every group and dataset under its path, in path order; hard links under each of their names."""
    yield name or "/", group
    for child in sorted(group):
        path = f"{name}/{child}"
        if path in VOLATILE_PATHS:
            continue
        node = group[child]
        if isinstance(node, h5py.Group):
            yield from _nodes(path, node)
        else:
            yield path, node


def _described(value: Any) -> str:
    """An attribute as text that does not depend on how its string was stored."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        return "|".join(item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1))
    return f"{array.dtype.str} {array.shape} {array.tobytes().hex()}"


def _take_dataset(total: Any, dataset: h5py.Dataset) -> None:
    total.update(f"{dataset.dtype.str} {dataset.shape}\n".encode())
    if dataset.ndim == 0 or dataset.size == 0:
        total.update(np.asarray(dataset[()]).tobytes() if dataset.size else b"")
        return
    rows = max(1, BLOCK_BYTES // max(1, dataset.dtype.itemsize * (dataset.size // dataset.shape[0])))
    for at in range(0, dataset.shape[0], rows):
        total.update(np.ascontiguousarray(dataset[at : at + rows]).tobytes())
