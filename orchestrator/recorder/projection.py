"""From the journal's events to what stands in ``run.h5``: pure decisions, no file.

The same journal gives the same content whatever the batches it was fed in: rows depend only on events before them, and a
row's charge only on the two samples around its instant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.recorder.acquisitions import Acquisitions, flags_of
from orchestrator.recorder.appends import Append, Attributes, Make, Rows, Text, column, table_row
from orchestrator.recorder.datasets import Group, group_name, text_size
from orchestrator.recorder.electrochemistry import Electrochemistry, Horizon, stacked
from orchestrator.recorder.layout import AUX, CLOCK, EVENTS, GROUPS, IMPEDANCE, OBSERVABLE, STATIC
from orchestrator.recorder.runtime import RunTime, iso_utc

BLOCKS = frozenset({"ec.block", "aux.block"})
OWN_GROUP = BLOCKS | {"clock.sample"}
VERBATIM = ("experiment", "rig", "cell", "cell_record", "cell_ledger", "twin", "plan", "versions", "digests")
ELSEWHERE = {"run.started": VERBATIM, "fid.block": ("parameters",)}
"""What of an event stands in ``control/`` or ``fid/*/parameters``, and is not written a second time."""
OF_RUN = ("simulated", "fids_recorded", "ec_recorded", "seed", "speed", "zone", "station", "rung", "cannot")
INSTRUMENT = next(group for group in GROUPS if group.path == "instrument/*")


class Projection:
    """Feed it every event of a run once, in order; do what it returns to the file, in order."""

    def __init__(self) -> None:
        self.seq = 0
        self.ended = False
        self._time = RunTime()
        self._electrochemistry = Electrochemistry()
        self._horizon = Horizon()
        self._acquisitions = Acquisitions(self._time, self._horizon)
        self._sizes: dict[str, int] = {}
        self._impedance: dict[int, Group] = {}

    def feed(self, events: Iterable[Event]) -> list[Append]:
        """What these events add to the file. Raises ValueError where a number is missing or comes twice."""
        appends: list[Append] = []
        blocks: list[Event] = []
        for event in events:
            if event.seq != self.seq + 1:
                raise ValueError(f"event {event.seq} after {self.seq}")
            self.seq = event.seq
            origin_ns = self._time.origin_mono_ns
            if self._time.see(event) and blocks:
                appends += self._samples(blocks, origin_ns)
                blocks = []
            if event.kind in BLOCKS:
                blocks.append(event)
                if event.kind == "ec.block":
                    self._horizon.see(event.data["n"], self._time.run_ns(event.mono_ns))
                continue
            if event.kind == "run.ended" and blocks:
                appends += self._samples(blocks, self._time.origin_mono_ns)
                blocks = []
            appends += self._one(event)
        if blocks:
            appends += self._samples(blocks, self._time.origin_mono_ns)
        appends += self._acquisitions.complete(self._electrochemistry.samples)
        if (needed_ns := self._acquisitions.needs_from_ns) is not None:
            self._electrochemistry.samples.forget(needed_ns)
        return appends

    def _samples(self, blocks: Sequence[Event], origin_ns: int) -> Iterator[Append]:
        """All blocks of a batch: thousands of small ones, alike, are one look and one append."""
        yield from self._electrochemistry.feed([event for event in blocks if event.kind == "ec.block"], origin_ns)
        further = sorted((event for event in blocks if event.kind == "aux.block"), key=lambda event: str(event.data["sensor"]))
        for _, alike in groupby(further, key=lambda event: (event.data["sensor"], event.data["n"], event.data["columns"])):
            yield from self._aux(list(alike), origin_ns)

    def _one(self, event: Event) -> Iterator[Append]:
        """Everything but blocks of samples."""
        if event.kind not in OWN_GROUP:
            yield self._event_rows(event)
        match event.kind:
            case "run.started":
                yield from self._started(event)
            case "run.ended":
                self.ended = True
                yield Text("end_time", iso_utc(event.utc_ns))
                yield Attributes("", {name: event.data[name] for name in ("state", "outcome", "reason", "complete")})
                yield from self._acquisitions.complete(self._electrochemistry.samples, ended=True)
            case "run.state" if "continued" in event.data:
                self.ended = False
            case "eis":
                yield from self._eis(event)
            case "clock.sample":
                yield self._clock(event)
            case "observable":
                yield from self._observable(event)
            case "instrument":
                yield from self._instrument(event)
            case "rule.fired" if event.data.get("spectrum_key"):
                yield from self._acquisitions.flag(str(event.data["spectrum_key"]), flags_of(event.data))
            case kind if kind.startswith("acquisition.") or kind in {"fid.block", "raw.archived"}:
                yield from self._acquisitions.feed(event)
            case _:
                pass

    def _next(self, path: str, rows: int = 1) -> int:
        """Number of the first of so many further rows of a group."""
        first = self._sizes.get(path, 0)
        self._sizes[path] = first + rows
        return first

    def _first_time(self, path: str) -> bool:
        return path not in self._sizes

    # ------------------------------------------------------------------------------------------------ the run as a whole

    def _started(self, event: Event) -> Iterator[Append]:
        data = event.data
        for group in STATIC:
            if any(dataset.name == "time" and not dataset.link for dataset in group.datasets):
                yield Attributes(f"{group.path}/time", self._time.described)
        for name in VERBATIM:
            if name in data:
                yield Text(f"control/{'source_digests' if name == 'digests' else name}", _as_text(data[name]))
        plan = data.get("plan")
        self._electrochemistry.lead_ohm = float(plan.get("lead_ohm") or 0.0) if isinstance(plan, Mapping) else 0.0
        cell = data["cell"]
        named = (cell.get("id") or cell.get("name") or "") if isinstance(cell, Mapping) else cell
        versions = data["versions"] if isinstance(data["versions"], Mapping) else {}
        texts = {
            "title": data["name"],
            "start_time": iso_utc(self._time.start_utc_ns),
            "entry_identifier": data["run_id"],
            "sample/name": str(named).splitlines()[0] if named else "",
            "process/program": "operando-nmr",
            "process/version": str(versions.get("operando-nmr", "")),
        }
        for path, text in texts.items():
            yield Text(path, str(text))
        yield Attributes("", {name: data.get(name) for name in OF_RUN})

    def _event_rows(self, event: Event) -> Rows:
        elsewhere = ELSEWHERE.get(event.kind, ())
        data = {name: value for name, value in event.data.items() if name not in elsewhere}
        raw = json.dumps(data, separators=(",", ":"), sort_keys=False)
        size = text_size(EVENTS.dataset("data").dtype) or 1
        parts = [raw[at : at + size] for at in range(0, len(raw), size)]
        values = {
            "time": self._time.seconds(event.mono_ns),
            "time_utc": event.utc_ns,
            "seq": event.seq,
            "kind": event.kind,
            "source": event.source,
            "cause": -1 if event.cause is None else event.cause,
        }
        columns = {name: column(EVENTS, name, [value] * len(parts)) for name, value in values.items()}
        columns["part"] = np.arange(len(parts), dtype=np.int32)
        columns["data"] = column(EVENTS, "data", parts)
        return Rows("events", EVENTS, self._next("events", len(parts)), columns)

    def _instrument(self, event: Event) -> Iterator[Append]:
        data = event.data
        path = f"instrument/{group_name('potentiostat' if data['role'] == 'potentiostat' else data['id'])}"
        if path != "instrument/potentiostat":
            yield Make(path, INSTRUMENT)
        else:
            yield Text(f"{path}/measurement", "voltage")
            yield Text(f"{path}/model", f"{data['vendor']} {data['model']}".strip())
        yield Attributes(path, {name: _plain(value) for name, value in data.items()})

    # ---------------------------------------------------------------------------------------------- tables of one source

    def _aux(self, blocks: Sequence[Event], origin_ns: int) -> Iterator[Append]:
        data = blocks[0].data
        path = f"aux/{group_name(data['sensor'])}"
        if self._first_time(path):
            described = {"units": data["unit"], "long_name": f"{data['sensor']} / {data['unit']}"}
            named = {"sensor": data["sensor"]}
            yield Make(path, AUX, described={"": named, "value": described, "time": self._time.described})
        columns = stacked(blocks)
        time_s = (columns["mono_ns"].astype(np.int64) - origin_ns) / 1e9
        yield Rows(path, AUX, self._next(path, time_s.size), {"time": time_s, "value": columns["value"].astype("<f8")})

    def _eis(self, event: Event) -> Iterator[Append]:
        """Spectra of one length share a group; another length gets the next (``impedance_2``)."""
        n = event.data["n"]
        if n not in self._impedance:
            self._impedance[n] = IMPEDANCE
            yield Make(self._impedance_path(n), IMPEDANCE, width=n, described={"time": self._time.described})
        path = self._impedance_path(n)
        measured = unpack(event.data["columns"], event.blob or b"", n)
        columns = {
            "time": column(IMPEDANCE, "time", [self._time.seconds(event.mono_ns)]),
            "step": column(IMPEDANCE, "step", [str(event.data["step_key"])]),
            "frequency": measured["frequency_Hz"].astype("<f8").reshape(1, n),
            "z": measured["z"].astype("<c16").reshape(1, n),
        }
        yield Rows(path, IMPEDANCE, self._next(path), columns)

    def _impedance_path(self, n: int) -> str:
        number = list(self._impedance).index(n) + 1
        return "impedance" if number == 1 else f"impedance_{number}"

    def _clock(self, event: Event) -> Rows:
        data = event.data
        values = {
            "time": self._time.seconds(event.mono_ns),
            "time_utc": event.utc_ns,
            "mono_ns": event.mono_ns,
            "device_ns": _or(data.get("device_ns"), -1),
            "half_width_ns": data["half_width_ns"],
            "instrument": data["instrument"],
        }
        return table_row("clock", CLOCK, self._next("clock"), values)

    def _observable(self, event: Event) -> Iterator[Append]:
        data = event.data
        path = f"observables/{group_name(data['name'])}"
        unit = str(data["unit"] or "")
        if self._first_time(path):
            described = {"units": unit, "long_name": f"{data['name']} / {unit}"}
            named = {"title": data["name"], "algorithm": _plain(data.get("algorithm"))}
            yield Make(path, OBSERVABLE, described={"": named, "value": described, "error": {"units": unit}, "time": self._time.described})
        middle_s = self._acquisitions.middle_s(data["key"] or "")
        values = {
            "time": self._time.seconds(event.mono_ns) if middle_s is None else middle_s,
            "value": _number(data["value"]),
            "error": _number(data["error"]),
            "spectrum_key": str(data["key"] or ""),
        }
        yield table_row(path, OBSERVABLE, self._next(path), values)


def project(events: Sequence[Event]) -> list[Append]:
    """Everything a whole journal means for the file."""
    return Projection().feed(events)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as an attribute: numbers and texts as they are, the rest as JSON."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
