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
from orchestrator.recorder.rowio import blocks


def digest(path: Path) -> str:
    """The digest of a run file, 64 hexadecimal digits."""
    with h5py.File(path, "r") as file:
        return digest_of(file)


def digest_of(file: h5py.File, *, derived: bool = False) -> str:
    """The digest of an open run file; with ``derived`` of every dataset, to prove a copy."""
    total = hashlib.sha256()
    for name, node in _nodes("", file):
        total.update(f"{name}\n".encode())
        attributes = node.attrs
        names = set(attributes)
        for attribute in sorted(names - VOLATILE - STRUCTURAL):
            total.update(f"@{attribute} {_described(attributes[attribute])}\n".encode())
        if isinstance(node, h5py.Dataset) and (derived or "derived" not in names):
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
    for start, n in blocks(dataset):
        total.update(np.ascontiguousarray(dataset[start : start + n]).tobytes())
