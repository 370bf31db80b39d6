"""The run as a whole in a chaptered ``run.h5``: one virtual dataset for each that grows, over all chapters.

The last piece of each is the open chapter's own dataset without an end (HDF5's unlimited mapping), so that appending rows
touches no virtual dataset; the next chapter and a late change do.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s

from orchestrator.recorder.appends import Make
from orchestrator.recorder.chapters import HERE, TAIL, Chapters, Segment, late_rows
from orchestrator.recorder.datasets import Dataset, fill_value
from orchestrator.recorder.layout import STRUCTURAL

LEFT_OUT = STRUCTURAL | {"CLASS", "NAME"}


class View:
    """Makes the virtual datasets of one open master file."""

    def __init__(self, file: h5py.File, chapters: Chapters) -> None:
        self._file = file
        self._chapters = chapters

    def growing(self, group: h5py.Group, order: Make, dataset: Dataset, _: int) -> h5py.Dataset:
        """One dataset over all chapters; the open chapter's own must be there already."""
        return self._mapped(group, order.path, dataset.name, fill_value(order.dtypes.get(dataset.name, dataset.dtype)))

    def renew(self, path: str, name: str) -> None:
        """Map one column anew, after a row of a closed chapter has changed; its links and attributes stay."""
        group = self._file["entry"][path]
        old = group[name]
        attributes = {key: value for key, value in old.attrs.items() if key not in LEFT_OUT}
        links = [other for other in self._file["entry/spectra"].values() if name in other and other[name] == old]
        scales = list(old.dims[0].values())
        for scale in scales:
            old.dims[0].detach_scale(scale)
        fill = old.fillvalue
        for holder in (group, *links):
            del holder[name]
        new = self._mapped(group, path, name, fill)
        for key, value in attributes.items():
            new.attrs[key] = value
        for scale in scales:
            new.dims[0].attach_scale(scale)
        for holder in links:
            holder[name] = new

    def _mapped(self, group: h5py.Group, path: str, name: str, fill: Any) -> h5py.Dataset:
        own = self._file[f"{TAIL}/{path}/{name}"]
        row = own.shape[1:]
        base = self._chapters.base(path)
        space = h5s.create_simple((base, *row), (h5s.UNLIMITED, *row))
        plan = h5p.create(h5p.DATASET_CREATE)
        plan.set_fill_value(np.array([fill], own.dtype))
        for segment in self._chapters.segments(path, name, late_rows(self._file, path, name)):
            _map(plan, space, segment, row)
        _map(plan, space, Segment(HERE, own.name, base, h5s.UNLIMITED, 0), row)
        return h5py.Dataset(h5d.create(group.id, name.encode(), own.id.get_type(), space, plan))


def _map(plan: Any, space: Any, segment: Segment, row: tuple[int, ...]) -> None:
    endless = segment.rows == h5s.UNLIMITED
    source = h5s.create_simple((0 if endless else segment.at + segment.rows, *row), (h5s.UNLIMITED, *row))
    target = space.copy()
    for each, start in ((target, segment.start), (source, segment.at)):
        count, block = (h5s.UNLIMITED, 1) if endless else (1, segment.rows)
        each.select_hyperslab((start, *(0 for _ in row)), (count, *(1 for _ in row)), block=(block, *row))
    plan.set_virtual(target, segment.file.encode(), segment.dataset.encode(), source)
