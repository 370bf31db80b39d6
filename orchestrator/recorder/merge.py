"""Makes one file of a chaptered run: what ``run.h5`` shows of all chapters, as datasets of its own. Memory: one block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
from h5py import h5d, h5p

from orchestrator.recorder import layout
from orchestrator.recorder.h5file import create_whole
from orchestrator.recorder.rowio import blocks, opened, read_rows, set_rows, write_rows
from orchestrator.recorder.structure import Structure


def merge(master: Path, folder: Path, target: Path, structure: Structure) -> None:
    """Write the rows of a master file, whose chapters lie in ``folder``, into a new file."""
    create_whole(target, structure)
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_virtual_prefix(str(folder.absolute()).encode())
    with h5py.File(master, "r") as source, h5py.File(target, "r+", libver=layout.LIBVER) as whole:
        for path in structure.makes:
            for dataset in structure.growing(path):
                view = h5d.open(source["entry"][path].id, dataset.name.encode(), access)
                copy_rows(view, opened(whole["entry"][path], dataset.name))


def copy_rows(source: Any, target: Any) -> None:
    """All rows of one low-level dataset into another, a block at a time."""
    rows = source.shape[0]
    set_rows(target, rows)
    for start, n in blocks(source):
        write_rows(target, start, read_rows(source, start, n))
