"""The h5py side of ``run.h5``: makes the empty file by the table, and does what the projection decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orchestrator.recorder import layout
from orchestrator.recorder.appends import Append, Attributes, Change, Make, Rows, Text, joined
from orchestrator.recorder.chapters import TAIL, Chapters, late_path
from orchestrator.recorder.datasets import Dataset, Group, fill_value, numpy_dtype, text_size
from orchestrator.recorder.rowio import change_rows, opened, set_rows, write_rows
from orchestrator.recorder.structure import Structure
from orchestrator.recorder.view import View

STAMP_BYTES = 32
LATE_CHUNK_ROWS = 64
Grow = Callable[[h5py.Group, Make, Dataset, int], h5py.Dataset]


def create_file(path: Path) -> None:
    """A valid run file without a single row, closed again."""
    with h5py.File(path, "w", libver=layout.LIBVER) as file:
        lay_out(file)


def create_master(path: Path, chapters: Chapters, structure: Structure) -> None:
    """A run file that begins a chapter: everything of the closed ones seen through it, its own part without a row, closed again."""
    with h5py.File(path, "w", libver=layout.LIBVER) as file:
        file.create_group(TAIL)
        lay_out(file, chapters, structure)
        file["entry"].attrs["chapters"] = np.array(chapters.files, dtype=h5py.string_dtype())


def create_whole(path: Path, structure: Structure) -> None:
    """A run file with all groups, texts and attributes and without a single row, closed again."""
    with h5py.File(path, "w", libver=layout.LIBVER) as file:
        lay_out(file, Chapters(), structure)


def lay_out(file: h5py.File, chapters: Chapters | None = None, structure: Structure | None = None) -> None:
    """Everything of the table that does not wait for a name, and what the structure knows beyond it."""
    _describe(file, layout.ROOT_ATTRIBUTES)
    _describe(file, {"HDF5_Version": h5py.version.hdf5_version, "h5py_version": h5py.version.version})
    structure = structure or Structure()
    file.create_group("entry")
    for root in ("entry", TAIL) if TAIL in file else ("entry",):
        _describe(file[root], layout.ENTRY_ATTRIBUTES)
    appender = Appender(file, chapters)
    for path, order in structure.makes.items():
        appender.make(order)
        for dataset in structure.optional(path):
            appender.make_optional(order, dataset, 0)
    appender.apply(structure.described())


def stamp(file: h5py.File, published_utc: str, journal_seq: int) -> None:
    """When the file was published and what it covers; in place, so that publishing for days does not grow the file."""
    text = np.array(published_utc.encode(), dtype=h5py.string_dtype("utf-8", STAMP_BYTES))
    entry = file["entry"]
    for name, value in (("published_utc", text), ("journal_seq", np.int64(journal_seq))):
        if name in entry.attrs:
            entry.attrs.modify(name, value)
        else:
            entry.attrs.create(name, value)


class Outline:
    """Groups, datasets, attributes and texts below one root; how a dataset that grows is made is given."""

    def __init__(self, root: h5py.Group, grow: Grow) -> None:
        self._root = root
        self._grow = grow

    def make(self, order: Make) -> None:
        """A group with its datasets, axes and attributes."""
        group = self._root.require_group(order.path)
        described: dict[str, Any] = {"NX_class": order.group.NX_class, **order.group.attributes}
        if order.group.signal:
            described["signal"] = order.group.signal
            described["axes"] = np.array(order.group.axes, dtype=h5py.string_dtype())
            described |= {f"{axis}_indices": np.int32(n) for n, axis in enumerate(order.group.axes)}
        _describe(group, {**described, **order.described.get("", {})})
        made: dict[str, h5py.Dataset] = dict(group.items()) if len(group) else {}
        for dataset in order.group.datasets:
            if dataset.name in made:
                continue
            if dataset.link:
                made[dataset.name] = group[dataset.name] = self._root[dataset.link.replace("fid/*", order.source)]
            elif not dataset.optional:
                made[dataset.name] = self._make_dataset(group, order, dataset, 0)
        _attach_scales(made, order.group)

    def make_optional(self, order: Make, dataset: Dataset, length: int) -> None:
        """A dataset that is known only now, after so many rows."""
        group = self._root[order.path]
        made = self._make_dataset(group, order, dataset, length)
        made.dims[0].attach_scale(group[order.group.grows])

    def _make_dataset(self, group: h5py.Group, order: Make, dataset: Dataset, length: int) -> h5py.Dataset:
        fixed = order.fixed.get(dataset.name)
        made = self._grow(group, order, dataset, length) if fixed is None else group.create_dataset(dataset.name, data=fixed)
        units = {"units": dataset.units} if dataset.units not in {"", "*"} else {}
        long_name = {"long_name": dataset.long_name} if dataset.long_name not in {"", "*"} else {}
        derived = {"derived": np.uint8(1)} if dataset.derived else {}
        _describe(made, {**units, **long_name, **derived, **dataset.attributes, **order.described.get(dataset.name, {})})
        return made

    def describe(self, order: Attributes) -> None:
        """Attributes of a group or dataset."""
        _describe(self._root[order.path] if order.path else self._root, order.values)

    def write_text(self, order: Text) -> None:
        """One text as a dataset of its own, anew if it is there."""
        raw = order.text.encode("utf-8", "replace")
        if order.path in self._root:
            del self._root[order.path]
        self._root.create_dataset(order.path, data=np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw)))))


class Appender:
    """Does to one open file what the projection decided; in a chaptered one to its open chapter and to the view of the whole."""

    def __init__(self, file: h5py.File, chapters: Chapters | None = None) -> None:
        self._file = file
        self._chapters = chapters or Chapters()
        chaptered = TAIL in file
        self._rows: h5py.Group = file[TAIL if chaptered else "entry"]
        self._view = View(file, self._chapters) if chaptered else None
        self._outlines = [Outline(self._rows, _growing)]
        if self._view is not None:
            self._outlines.append(Outline(file["entry"], self._view.growing))

    def apply(self, appends: Iterable[Append]) -> None:
        """Groups first, then all rows of a group at once, then changes in their order: the content is the same as one by one."""
        rows: dict[str, list[Rows]] = {}
        changes: dict[tuple[str, str], dict[int, Any]] = {}
        later: list[Attributes | Text] = []
        for append in appends:
            match append:
                case Make():
                    self.make(append)
                case Rows():
                    rows.setdefault(append.path, []).append(append)
                case Change():
                    for name, value in append.values.items():
                        changes.setdefault((append.path, name), {})[append.row] = value
                case _:
                    later.append(append)
        for each in rows.values():
            self._extend(joined(each))
        for (path, name), values in changes.items():
            self._change(path, name, values)
        for change in later:
            for outline in self._outlines:
                outline.write_text(change) if isinstance(change, Text) else outline.describe(change)

    def make(self, order: Make) -> None:
        """A group with its datasets, axes and attributes."""
        for outline in self._outlines:
            outline.make(order)

    def make_optional(self, order: Make, dataset: Dataset, length: int) -> None:
        """A dataset that is known only now, after so many rows of this chapter."""
        for outline in self._outlines:
            outline.make_optional(order, dataset, length)

    def _extend(self, rows: Rows) -> None:
        group = self._rows[rows.path]
        start = rows.start - self._chapters.base(rows.path)
        growing = [each for each in rows.group.datasets if not each.link and each.dims[0] == rows.group.grows]
        there = opened(group, growing[0].name).shape[0]
        if there != start:
            raise ValueError(f"{rows.path} has {there} rows, not {start}")
        for dataset in growing:
            column = rows.columns.get(dataset.name)
            if dataset.optional and column is not None and dataset.name not in group:
                self.make_optional(Make(rows.path, rows.group), dataset, start)
            target = opened(group, dataset.name)
            if target is not None:
                set_rows(target, start + len(rows))
                if column is not None:
                    write_rows(target, start, column)

    def _change(self, path: str, name: str, values: Mapping[int, Any]) -> None:
        base = self._chapters.base(path) if self._view is not None else 0
        if own := {row - base: value for row, value in values.items() if row >= base}:
            change_rows(opened(self._rows[path], name), own)
        if late := {row: value for row, value in values.items() if row < base}:
            self._change_late(path, name, late)

    def _change_late(self, path: str, name: str, values: Mapping[int, Any]) -> None:
        """New values in rows of closed chapters: kept in this one, and shown from here."""
        kept = self._file.require_group(late_path(path, name))
        if "rows" not in kept:
            like = self._rows[path][name]
            growing = {"shape": (0,), "maxshape": (None,), "chunks": (LATE_CHUNK_ROWS,)}
            kept.create_dataset("rows", dtype="<i8", **growing)
            text = h5py.string_dtype("utf-8", like.dtype.itemsize)
            kept.create_dataset("values", dtype=text if like.dtype.kind == "S" else like.dtype, **growing)
        rows, stored = opened(kept, "rows"), opened(kept, "values")
        places = {int(row): at for at, row in enumerate(kept["rows"][()])}
        if new := [row for row in values if row not in places]:
            first = len(places)
            places |= {row: first + n for n, row in enumerate(new)}
            for target in (rows, stored):
                set_rows(target, len(places))
            write_rows(rows, first, np.array(new, "<i8"))
        change_rows(stored, {places[row]: value for row, value in values.items()})
        if new and self._view is not None:
            self._view.renew(path, name)


def _attach_scales(made: Mapping[str, h5py.Dataset], declared: Group) -> None:
    """Each axis is a dimension scale too: that is what lets xarray open the group in one line."""
    own = [dataset for dataset in declared.datasets if not dataset.link and dataset.name in made]
    axes = {axis for dataset in own for axis in dataset.dims if axis in made}
    for axis in sorted(axes):
        if not made[axis].is_scale:
            made[axis].make_scale(axis)
    for dataset in own:
        for n, axis in enumerate(dataset.dims):
            if axis in axes and dataset.name != axis:
                made[dataset.name].dims[n].attach_scale(made[axis])


def _growing(group: h5py.Group, order: Make, dataset: Dataset, length: int) -> h5py.Dataset:
    dtype = order.dtypes.get(dataset.name, dataset.dtype)
    size = text_size(dtype)
    row = order.shapes.get(dataset.name, (order.width,)) if len(dataset.dims) > 1 else ()
    return group.create_dataset(
        dataset.name,
        shape=(length, *row),
        maxshape=(None, *row),
        chunks=(1, *(max(1, length) for length in row)) if row else (order.group.chunk_rows,),
        dtype=h5py.string_dtype("utf-8", size) if size else numpy_dtype(dtype),
        fillvalue=fill_value(dtype) if dataset.optional else None,
    )


def _describe(target: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value is not None:
            target.attrs[name] = np.uint8(value) if isinstance(value, bool) else value
