"""Our own check of a NeXus file of a run: what the validators of others do not look at (units, NXlog), and what they split among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

from orchestrator.export.nxdl import CATEGORIES, groups_with_units


def problems(path: Path) -> list[str]:
    """Sentences about what is wrong, in order of path; empty: nothing."""
    with h5py.File(path, "r") as file:
        entry = file["entry"]
        found = [*_entry(entry)]
        for name, node in sorted(_groups(entry)):
            found += _group(name, node)
        return found


def _groups(entry: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    entry.visititems(lambda name, node: found.append((name, node)) if isinstance(node, h5py.Group) else None)
    return found


def _entry(entry: Any) -> Iterator[str]:
    if (default := _text(entry.attrs.get("default", ""))) not in entry:
        yield f"/entry: @default names `{default}`, which is not there"
    for name in ("start_time", "end_time"):
        if name in entry and not _is_iso(_text(entry[name][()])):
            yield f"/entry/{name} is no ISO 8601 time"


def _group(name: str, node: Any) -> Iterator[str]:
    kind = _text(node.attrs.get("NX_class", ""))
    if kind == "NXlog":
        yield from (f"/entry/{name}: an NXlog without `{one}`" for one in ("time", "value") if one not in node)
    if kind == "NXdata":
        yield from _plotted(name, node)
    for one, category in _categories(name).items():
        if one in node:
            units = _text(node[one].attrs.get("units", ""))
            if category != "NX_ANY" and CATEGORIES.get(units) != category:
                yield f"/entry/{name}/{one}: units `{units}` are no {category}"
            if category == "NX_ANY" and not units:
                yield f"/entry/{name}/{one} has no units"
            if one == "time" and not _is_iso(_text(node[one].attrs.get("start", ""))):
                yield f"/entry/{name}/time: @start is no ISO 8601 time"


def _plotted(name: str, node: Any) -> Iterator[str]:
    """Signal and axes are there, and as long as each other."""
    signal, axes = _text(node.attrs.get("signal", "")), [_text(one) for one in node.attrs.get("axes", ())]
    missing = [one for one in (signal, *axes) if one != "." and one not in node]
    yield from (f"/entry/{name}: `{one}` is to be plotted and is not there" for one in missing)
    if missing:
        return
    shape = node[signal].shape
    if len(axes) != len(shape):
        yield f"/entry/{name}: {len(axes)} axes for a `{signal}` of {len(shape)} dimensions"
        return
    for axis, length in zip(axes, shape, strict=True):
        if axis != "." and node[axis].shape[0] != length:
            yield f"/entry/{name}: `{axis}` has {node[axis].shape[0]} values for {length} of `{signal}`"


def _categories(name: str) -> Mapping[str, str]:
    """Of every dataset that the definition knows in this group."""
    parts = name.split("/")
    for group, categories in groups_with_units():
        known = group.path.split("/")
        if len(known) == len(parts) and all(here in {"*", there} for here, there in zip(known, parts, strict=True)):
            return categories
    return {}


def _is_iso(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
