"""One group of ``run.h5`` as an xarray Dataset (extra [notebook]): values stay in the file until they are used.

Nothing here needs h5netcdf or dask: an array knows its place in the file and reads the rows that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from orchestrator.recorder.layout import STRUCTURAL

HIDDEN = STRUCTURAL | {"CLASS", "NAME", "calendar", "unknown"}
Node = Callable[[], Any]


class InFile(BackendArray):
    """One dataset of the open run file. ``node`` gives the group as it is open now: it changes when the run is refreshed."""

    def __init__(self, node: Node, name: str) -> None:
        stored = node()[name]
        self._node, self._name = node, name
        self.shape = stored.shape
        self.dtype = _dtype(stored)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        # By number, not "all": after a refresh there may be more rows than this array has.
        key = tuple(slice(*part.indices(length)) if isinstance(part, slice) else part for part, length in zip(key, self.shape, strict=True))
        values = np.asarray(self._node()[self._name][key])
        if values.dtype.kind == "S":
            return np.char.decode(values, "utf-8").astype(self.dtype)
        return values.view("M8[ns]") if self.dtype.kind == "M" else values


def _dtype(stored: h5py.Dataset) -> np.dtype[Any]:
    if stored.dtype.kind == "S":
        return np.dtype(f"U{stored.dtype.itemsize}")
    is_utc = str(stored.attrs.get("units", "")).startswith("nanoseconds since 1970")
    return np.dtype("M8[ns]") if is_utc else np.dtype(stored.dtype.newbyteorder("="))


def attributes(name: str, stored: h5py.Dataset) -> dict[str, Any]:
    """``units`` and ``long_name`` always (text and times have no unit), and whatever else the file says of the dataset."""
    told = {key: value for key, value in stored.attrs.items() if key not in HIDDEN}
    unit = str(told.pop("units", "")) or "1"
    if _dtype(stored).kind not in "UM":
        told["units"] = unit
    return told | {"long_name": long_name(name, str(told.get("long_name", "")), unit)}


def long_name(name: str, told: str, unit: str) -> str:
    """Without the unit that the file's long names end with: xarray puts it behind in brackets."""
    return told.replace(f" / {unit}", "").removesuffix(" / ").strip() or name.replace("_", " ")


def dataset(node: Node, dims: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """The group as a Dataset; ``dims``: the axes of its datasets by name, for what is not a column of rows."""
    group = node()
    variables = {}
    for name in group:
        stored = group[name]
        if isinstance(stored, h5py.Dataset) and stored.shape:
            axes = dims.get(name, ("time", *(f"{name}_{axis}" for axis in range(1, stored.ndim))))
            if len(axes) == stored.ndim:
                data = indexing.LazilyIndexedArray(InFile(node, name))
                variables[name] = xr.Variable(axes, data, attributes(name, stored))
    used = {axis for variable in variables.values() for axis in variable.dims}
    coordinates = [name for name in variables if name in used or name.startswith(("t_", "time_"))]
    about = {key: value for key, value in group.attrs.items() if key not in HIDDEN | {"axes", "signal"} and not key.endswith("_indices")}
    return xr.Dataset(variables, attrs=about).set_coords(coordinates)
