"""Compresses a finished run's ``run.h5`` with the filters that every HDF5 has built in; proves it equal before it takes the place.

gzip at level 4, with the bytes shuffled, but not where decimal steps stand in floating-point numbers (voltage, current, sensors):
there shuffling halves what gzip finds. Chunks of about 128 kB. Plugin filters would halve the file again and lock others out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5o

from drivers.durable import replace_durably, sync_file
from orchestrator.recorder.chapters import chapter_files
from orchestrator.recorder.closeout import Finding, read_closeout
from orchestrator.recorder.digest import digest_of
from orchestrator.recorder.layout import LIBVER, STRUCTURAL
from orchestrator.recorder.merge import copy_rows
from orchestrator.recorder.publisher import PUBLIC, RING, remove_chapters
from orchestrator.recorder.recover import Refused, owned

CHUNK_BYTES = 128 << 10
LEVEL = 4
DECIMAL = frozenset({"voltage", "voltage_we", "voltage_ce", "current", "value"})
PACKED = "packed"


def pack(folder: Path) -> Finding:
    """Put a compressed ``run.h5`` of the same content in place; nothing changes where it would not be equal.

    Raises ObserverRuns, Refused where the run has no passed close-out, OSError where the disk is full: ``run.h5`` is as it was.
    """
    with owned(folder):
        written = read_closeout(folder)
        if written is None or not written.ok:
            raise Refused(f"{folder}: no close-out that passed, so {PUBLIC} is not packed; `operando verify` says what is wrong")
        remove_chapters(folder)
        ring = folder / RING
        shutil.rmtree(ring, ignore_errors=True)
        ring.mkdir()
        try:
            return _packed(folder / PUBLIC, ring / "packed.h5", written.digest)
        finally:
            shutil.rmtree(ring, ignore_errors=True)


def _packed(public: Path, new: Path, expected: str) -> Finding:
    with h5py.File(public, "r") as source:
        if PACKED in source["entry"].attrs:
            return Finding(True, (f"{PUBLIC} is packed already",), expected)
        if chapter_files(source):
            raise Refused(f"{PUBLIC} is still in chapters; `operando recover` makes one file of it. Nothing was packed.")
        if digest_of(source) != expected:
            raise Refused(f"{PUBLIC} is not what it was at close-out; `operando recover` makes it anew. Nothing was packed.")
        everything = digest_of(source, derived=True)
        with h5py.File(new, "w", libver=LIBVER) as target:
            repack(source, target)
            target["entry"].attrs[PACKED] = f"gzip-{LEVEL}"
    sync_file(new)
    with h5py.File(new, "r") as target:
        if digest_of(target, derived=True) != everything:
            raise Refused(f"the packed {PUBLIC} read back other than it was written; the unpacked one stays")
    before, after = public.stat().st_size, new.stat().st_size
    replace_durably(new, public)
    saved = f"{PUBLIC} packed: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now, {100 * (1 - after / before):.0f} % saved"
    return Finding(True, (saved, f"read back: digest as at close-out, {expected}"), expected)


# ------------------------------------------------------------------------------------------------------------- any HDF5 file


def repack(source: h5py.File, target: h5py.File) -> None:
    """Everything of one file into an empty one, compressed: groups, datasets, hard links, attributes, dimension scales."""
    made: dict[int, h5py.Dataset] = {}
    _copy_attributes(source, target)
    for path, node in _nodes("", source):
        if isinstance(node, h5py.Group):
            _copy_attributes(node, target.create_group(path))
        elif _address(node) in made:
            target[path] = made[_address(node)]
        else:
            made[_address(node)] = _copied(node, target, path)
    for path, node in _nodes("", source):
        if isinstance(node, h5py.Dataset):
            _attach(node, target[path], made)


def _nodes(path: str, group: h5py.Group) -> Iterator[tuple[str, Any]]:
    for name in sorted(group):
        node = group[name]
        yield f"{path}/{name}", node
        if isinstance(node, h5py.Group):
            yield from _nodes(f"{path}/{name}", node)


def _address(node: h5py.Dataset) -> int:
    return int(h5o.get_info(node.id).addr)


def _copied(node: h5py.Dataset, target: h5py.File, path: str) -> h5py.Dataset:
    if node.chunks is None:
        node.file.copy(node, target, path, without_attrs=True)
    else:
        row_bytes = max(1, node.dtype.itemsize * int(np.prod(node.shape[1:])))
        rows = min(max(1, CHUNK_BYTES // row_bytes), max(1, node.shape[0]))
        text = h5py.check_string_dtype(node.dtype)
        made = target.create_dataset(
            path,
            shape=(0, *node.shape[1:]),
            maxshape=node.maxshape,
            dtype=h5py.string_dtype("utf-8", node.dtype.itemsize) if text else node.dtype,
            chunks=(rows, *node.shape[1:]),
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=text is None and node.name.rpartition("/")[2] not in DECIMAL,
            fillvalue=node.fillvalue,
        )
        copy_rows(node.id, made.id)
    _copy_attributes(node, target[path])
    return target[path]


def _copy_attributes(node: Any, target: Any) -> None:
    """As they are stored, type for type, less the references that dimension scales make anew."""
    for name in node.attrs:
        if name not in STRUCTURAL and name not in {"CLASS", "NAME"}:
            old = h5a.open(node.id, name.encode())
            values = np.empty(old.shape, old.dtype)
            old.read(values)
            h5a.create(target.id, name.encode(), old.get_type(), old.get_space()).write(values)


def _attach(node: h5py.Dataset, target: h5py.Dataset, made: dict[int, h5py.Dataset]) -> None:
    for n, axis in enumerate(node.dims):
        for scale in axis.values():
            new = made[_address(scale)]
            if not new.is_scale:
                new.make_scale(scale.name.rpartition("/")[2])
            if new != target:
                target.dims[n].attach_scale(new)
    if node.is_scale and not target.is_scale:
        target.make_scale(node.name.rpartition("/")[2])
