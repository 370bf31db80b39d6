"""The h5py side of ``run.h5``: makes the empty file by the table, and does what the projection decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orchestrator.recorder import layout
from orchestrator.recorder.appends import Append, Attributes, Change, Make, Rows, Text, joined
from orchestrator.recorder.layout import Dataset, Group
from orchestrator.recorder.rowio import change_rows, opened, set_rows, write_rows

STAMP_BYTES = 32


def create_file(path: Path) -> None:
    """A valid run file without a single row, closed again."""
    with h5py.File(path, "w", libver=layout.LIBVER) as file:
        lay_out(file)


def lay_out(file: h5py.File) -> None:
    """Everything of the table that does not wait for a name."""
    _describe(file, layout.ROOT_ATTRIBUTES)
    _describe(file, {"HDF5_Version": h5py.version.hdf5_version, "h5py_version": h5py.version.version})
    entry = file.create_group("entry")
    _describe(entry, layout.ENTRY_ATTRIBUTES)
    appender = Appender(file)
    for group in layout.STATIC:
        appender.make(Make(group.path, group))


def stamp(file: h5py.File, published_utc: str, journal_seq: int) -> None:
    """When the file was published and what it covers; in place, so that publishing for days does not grow the file."""
    text = np.array(published_utc.encode(), dtype=h5py.string_dtype("utf-8", STAMP_BYTES))
    entry = file["entry"]
    for name, value in (("published_utc", text), ("journal_seq", np.int64(journal_seq))):
        if name in entry.attrs:
            entry.attrs.modify(name, value)
        else:
            entry.attrs.create(name, value)


class Appender:
    """Does to one open file what the projection decided."""

    def __init__(self, file: h5py.File) -> None:
        self._entry = file["entry"]

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
            change_rows(opened(self._entry[path], name), values)
        for change in later:
            if isinstance(change, Text):
                self._write_text(change)
            else:
                _describe(self._entry[change.path] if change.path else self._entry, change.values)

    def make(self, order: Make) -> None:
        """A group with its datasets, axes and attributes."""
        group = self._entry.require_group(order.path)
        described: dict[str, Any] = {"NX_class": order.group.NX_class, **order.group.attributes}
        if order.group.signal:
            described["signal"] = order.group.signal
            described["axes"] = np.array(order.group.axes, dtype=h5py.string_dtype())
            described |= {f"{axis}_indices": np.int32(n) for n, axis in enumerate(order.group.axes)}
        _describe(group, {**described, **order.described.get("", {})})
        for dataset in order.group.datasets:
            if dataset.link:
                group[dataset.name] = self._entry[dataset.link.replace("fid/*", order.source)]
            elif not dataset.optional:
                self._make_dataset(group, order, dataset, 0)
        self._attach_scales(group, order.group)

    def _make_dataset(self, group: h5py.Group, order: Make, dataset: Dataset, length: int) -> h5py.Dataset:
        fixed = order.fixed.get(dataset.name)
        made = _growing(group, order, dataset, length) if fixed is None else group.create_dataset(dataset.name, data=fixed)
        units = {"units": dataset.units} if dataset.units not in {"", "*"} else {}
        long_name = {"long_name": dataset.long_name} if dataset.long_name not in {"", "*"} else {}
        derived = {"derived": np.uint8(1)} if dataset.derived else {}
        _describe(made, {**units, **long_name, **derived, **dataset.attributes, **order.described.get(dataset.name, {})})
        return made

    @staticmethod
    def _attach_scales(group: h5py.Group, declared: Group) -> None:
        """Each axis is a dimension scale too: that is what lets xarray open the group in one line."""
        own = [dataset for dataset in declared.datasets if not dataset.link and dataset.name in group]
        axes = {axis for dataset in own for axis in dataset.dims if axis in group}
        for axis in sorted(axes):
            if not group[axis].is_scale:
                group[axis].make_scale(axis)
        for dataset in own:
            for n, axis in enumerate(dataset.dims):
                if axis in axes and dataset.name != axis:
                    group[dataset.name].dims[n].attach_scale(group[axis])

    def _extend(self, rows: Rows) -> None:
        group = self._entry[rows.path]
        growing = [each for each in rows.group.datasets if not each.link and each.dims[0] == rows.group.grows]
        there = opened(group, growing[0].name).shape[0]
        if there != rows.start:
            raise ValueError(f"{rows.path} has {there} rows, not {rows.start}")
        for dataset in growing:
            column = rows.columns.get(dataset.name)
            if dataset.optional and column is not None and dataset.name not in group:
                self._make_optional(group, rows, dataset)
            target = opened(group, dataset.name)
            if target is not None:
                set_rows(target, rows.start + len(rows))
                if column is not None:
                    write_rows(target, rows.start, column)

    def _make_optional(self, group: h5py.Group, rows: Rows, dataset: Dataset) -> None:
        made = self._make_dataset(group, Make(rows.path, rows.group), dataset, rows.start)
        made.dims[0].attach_scale(group[rows.group.grows])

    def _write_text(self, order: Text) -> None:
        raw = order.text.encode("utf-8", "replace")
        if order.path in self._entry:
            del self._entry[order.path]
        self._entry.create_dataset(order.path, data=np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw)))))


def _growing(group: h5py.Group, order: Make, dataset: Dataset, length: int) -> h5py.Dataset:
    dtype = order.dtypes.get(dataset.name, dataset.dtype)
    size = layout.text_size(dtype)
    row = (order.width,) if len(dataset.dims) > 1 else ()
    return group.create_dataset(
        dataset.name,
        shape=(length, *row),
        maxshape=(None, *row),
        chunks=(1, max(1, order.width)) if row else (order.group.chunk_rows,),
        dtype=h5py.string_dtype("utf-8", size) if size else layout.numpy_dtype(dtype),
        fillvalue=layout.fill_value(dtype) if dataset.optional else None,
    )


def _describe(target: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value is not None:
            target.attrs[name] = np.uint8(value) if isinstance(value, bool) else value
