"""Bluesky-style documents: start, descriptors, pages of events, stop, one JSON pair ``["name", {…}]`` a line.

Columns stand in the documents; FIDs and spectra stay in ``run.h5``, which a stream resource names. Times are seconds since 1970.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.export.source import file_name
from orchestrator.recorder.layout import UNKNOWN_NS
from orchestrator.recorder.reader import Columns, Run

Document = tuple[str, dict[str, Any]]
CELL = ("voltage", "current", "charge_step", "charge_net", "charge_throughput", "x", "step", "cycle", "status")
ELECTRODES = ("voltage_we", "voltage_ce")
"""Against the reference, where measured."""
BESIDE = (
    *("key", "t_start", "t_mid", "t_end", "charge_start", "charge_end", "voltage_start", "voltage_end", "scans_done", "scans_asked"),
    *("reasons", "state", "flags"),
)
FOUND = ("value", "error", "spectrum_key")
KINDS = {"f": "number", "i": "integer", "u": "integer", "U": "string", "S": "string"}
ENDS = {"finished": "success", "aborted": "abort", "failed": "fail"}
PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One stream of events: columns of a group, and what of it stays in the file (``external``: name → path)."""

    name: str
    columns: Columns
    names: Sequence[str]
    time_s: Any
    utc_ns: Any
    external: Mapping[str, str]


def write_bluesky(run: Run, folder: Path) -> list[Path]:
    """``<experiment>.jsonl``."""
    path = folder / f"{file_name(run)}.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, document in documents(run):
            file.write(json.dumps([name, document], allow_nan=False) + "\n")
    return [path]


def documents(run: Run) -> Iterator[Document]:
    """All documents of a run, in an order that a reader of a stream may rely on."""
    identity = _text(run.entry["entry_identifier"][()]) if "entry_identifier" in run.entry else file_name(run)
    begins_s = _begins_s(run)
    start = _uid(identity, "start")
    yield "start", _start(run, start, identity, begins_s)
    counts: dict[str, int] = {}
    for stream in _streams(run):
        descriptor = _uid(identity, "descriptor", stream.name)
        yield "descriptor", _descriptor(stream, run, descriptor, start, begins_s)
        yield from _external(stream, run, identity, descriptor, start)
        yield from _pages(stream, identity, descriptor, begins_s)
        counts[stream.name] = len(stream.time_s)
    yield "stop", _stop(run, _uid(identity, "stop"), start, begins_s, counts)


def _start(run: Run, uid: str, identity: str, begins_s: float) -> dict[str, Any]:
    cell = json.loads(run.text("cell") or "{}")
    about = {name: _plain(run.attributes[name]) for name in ("seed", "simulated", "speed", "zone") if name in run.attributes}
    return {
        "uid": uid,
        "time": begins_s,
        "scan_id": 1,
        "run_id": identity,
        "experiment": _text(run.entry["title"][()]),
        "sample": {"name": str(cell.get("id", "")), **{key: value for key, value in cell.items() if key != "id"}},
        "sign_of_current": _text(run.attributes["sign_of_current"]),
        "versions": json.loads(run.text("versions") or "{}"),
        "operando": about,
    }


def _stop(run: Run, uid: str, start: str, begins_s: float, counts: Mapping[str, int]) -> dict[str, Any]:
    state = _text(run.attributes.get("state", ""))
    last_s = max((float(np.nanmax(one)) for one in (run.electrochemistry["time"],) if one.size), default=0.0)
    reason = _text(run.attributes.get("reason", "")) or _text(run.attributes.get("outcome", "still going on"))
    return {
        "uid": uid,
        "run_start": start,
        "time": begins_s + last_s,
        "exit_status": ENDS.get(state, "fail"),
        "reason": reason,
        "num_events": dict(counts),
    }


def _streams(run: Run) -> Iterator[Stream]:
    cell = run.electrochemistry
    names = (*CELL, *(name for name in ELECTRODES if name in cell))
    yield Stream("electrochemistry", cell, names, cell["time"], cell["time_utc"], {})
    for name, fid in run.fid.items():
        external = {"fid": f"/entry/fid/{name}/fid"} | ({"intensity": f"/entry/spectra/{name}/intensity"} if name in run.spectra else {})
        yield Stream(f"fid_{name}", fid, BESIDE, fid["time"], fid["t_mid_utc"], external)
    for name, found in run.observables.items():
        yield Stream(name, found, FOUND, found["time"], np.full(len(found["time"]), UNKNOWN_NS), {})


def _descriptor(stream: Stream, run: Run, uid: str, start: str, begins_s: float) -> dict[str, Any]:
    keys = {name: _key(stream, name) for name in stream.names}
    for name, path in stream.external.items():
        node = run.entry.file[path]
        kind = {"dtype": "array", "dtype_numpy": node.dtype.newbyteorder("<").str, "shape": [1, *node.shape[1:]]}
        keys[name] = {**kind, "source": f"run.h5:{path}", "external": "STREAM:", "units": _text(node.attrs.get("units", "")) or None}
    return {"uid": uid, "run_start": start, "time": begins_s, "name": stream.name, "data_keys": keys, "hints": {}}


def _key(stream: Stream, name: str) -> dict[str, Any]:
    kind = stream.columns.part(name, slice(0, 0)).dtype
    return {"dtype": KINDS[kind.kind], "shape": [], "source": f"run.h5:{stream.name}/{name}", "units": stream.columns.units.get(name)}


def _external(stream: Stream, run: Run, identity: str, descriptor: str, start: str) -> Iterator[Document]:
    """Where the arrays of the whole stream are, and that all of their rows belong to it."""
    n = len(stream.time_s)
    for name, path in stream.external.items():
        resource = _uid(identity, "resource", stream.name, name)
        yield (
            "stream_resource",
            {
                "uid": resource,
                "run_start": start,
                "data_key": name,
                "mimetype": "application/x-hdf5",
                "uri": run.path.absolute().as_uri(),
                "parameters": {"dataset": path, "chunk_shape": [1, *run.entry.file[path].shape[1:]]},
            },
        )
        if n:
            yield (
                "stream_datum",
                {
                    "uid": f"{resource}/0",
                    "stream_resource": resource,
                    "descriptor": descriptor,
                    "indices": {"start": 0, "stop": n},
                    "seq_nums": {"start": 1, "stop": n + 1},
                },
            )


def _pages(stream: Stream, identity: str, descriptor: str, begins_s: float) -> Iterator[Document]:
    for start, n in _stretches(len(stream.time_s)):
        rows = slice(start, start + n)
        times = _unix(stream.time_s[rows], stream.utc_ns[rows], begins_s)
        data = {name: [_plain(value) for value in stream.columns.part(name, rows).tolist()] for name in stream.names}
        numbers = list(range(start + 1, start + n + 1))
        yield (
            "event_page",
            {
                "uid": [_uid(identity, stream.name, str(number)) for number in numbers],
                "descriptor": descriptor,
                "seq_num": numbers,
                "time": times,
                "data": data,
                "timestamps": dict.fromkeys(data, times),
            },
        )


def _stretches(n: int) -> Iterator[tuple[int, int]]:
    yield from ((start, min(PAGE_ROWS, n - start)) for start in range(0, n, PAGE_ROWS))


def _unix(time_s: Any, utc_ns: Any, begins_s: float) -> list[float]:
    """Seconds since 1970: the row's own UTC, else its time on the run's clock."""
    own = np.where(utc_ns == UNKNOWN_NS, begins_s + np.nan_to_num(time_s), utc_ns / 1e9)
    return [float(one) for one in own.tolist()]


def _begins_s(run: Run) -> float:
    return datetime.fromisoformat(_text(run.entry["start_time"][()])).timestamp()


def _uid(*parts: str) -> str:
    """The same for the same run: exported twice, it is the same documents."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("operando-nmr", *parts))))


def _plain(value: Any) -> Any:
    """As JSON has it; what is not known is null."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.decode() if isinstance(value, bytes) else value


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
