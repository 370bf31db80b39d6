"""One number for the content of a run file: SHA-256 over all datasets and attributes in path order.

Left out: what ``layout`` marks volatile (when and by what the file was written), structural references of HDF5 (they are
addresses), and derived datasets (their ``@derived``; transforms may differ in the last bit between processors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o, h5s, h5t

from orchestrator.recorder.layout import STRUCTURAL, VOLATILE, VOLATILE_PATHS
from orchestrator.recorder.rowio import blocks, read_rows

TEXTS = {
    h5t.CSET_ASCII: h5t.py_create(h5py.string_dtype("ascii")),
    h5t.CSET_UTF8: h5t.py_create(h5py.string_dtype("utf-8")),
}
"""In memory, by how they are encoded in the file."""


def digest(path: Path) -> str:
    """The digest of a run file, 64 hexadecimal digits."""
    with h5py.File(path, "r") as file:
        return digest_of(file)


def digest_of(file: h5py.File, *, derived: bool = False) -> str:
    """The digest of an open run file; with ``derived`` of every dataset, to prove a copy."""
    total = hashlib.sha256()
    for name, node in _nodes("", file.id, file["/"]._lapl):  # noqa: SLF001 how h5py itself follows the links between files
        total.update(f"{name}\n".encode())
        names = _attributes(node)
        for attribute in sorted(names - VOLATILE - STRUCTURAL):
            total.update(b"@%b %b\n" % (attribute.encode(), _described(node, attribute)))
        if isinstance(node, h5d.DatasetID) and (derived or "derived" not in names):
            _take_dataset(total, node)
    return total.hexdigest()


def _nodes(name: str, group: Any, links: Any) -> Iterator[tuple[str, Any]]:
    """Every group and dataset, low-level, under its path, in path order; hard links under each of their names."""
    yield name or "/", group
    for child in sorted(group):
        path = f"{name}/{child.decode()}"
        if path in VOLATILE_PATHS:
            continue
        node = h5o.open(group, child, lapl=links)
        if isinstance(node, h5g.GroupID):
            yield from _nodes(path, node, links)
        else:
            yield path, node


def _attributes(node: Any) -> set[str]:
    names: set[str] = set()
    h5a.iterate(node, lambda name: names.add(name.decode()))
    return names


def _described(node: Any, name: str) -> bytes:
    """An attribute as text that does not depend on how its string was stored."""
    attribute = h5a.open(node, name.encode())
    kind = attribute.get_type()
    if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str() and attribute.shape == ():  # most are single texts
        text = np.empty((), object)
        attribute.read(text, mtype=TEXTS[kind.get_cset()])
        return bytes(text[()])
    array = np.asarray(h5py.AttributeManager(_Of(node))[name])
    if array.dtype.kind in "OSU":
        return "|".join(item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1)).encode()
    return f"{array.dtype.str} {array.shape} {array.tobytes().hex()}".encode()


class _Of(NamedTuple):
    """All that h5py's attributes ask of their owner."""

    id: Any


def _take_dataset(total: Any, dataset: Any) -> None:
    dtype, shape = dataset.dtype, dataset.shape
    total.update(f"{dtype.str} {shape}\n".encode())
    if not shape:
        value = np.empty((), dtype)
        dataset.read(h5s.ALL, h5s.ALL, value, dataset.get_type() if dtype.kind == "S" else None)
        total.update(np.asarray(value[()]).tobytes())
    elif 0 not in shape:
        for start, n in blocks(dataset):
            total.update(read_rows(dataset, start, n))
