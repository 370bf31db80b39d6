"""Acquisitions as rows: what was asked for and what became of it, every FID exact, its spectrum beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from orchestrator.model.events import Event
from orchestrator.model.kinds import AXES
from orchestrator.recorder.appends import Append, Change, Rows, column, table_row
from orchestrator.recorder.electrochemistry import Horizon, Samples
from orchestrator.recorder.fids import Stream, Streams, fid_rows, fourier_settings, spectrum_rows
from orchestrator.recorder.images import ImageStream, ImageStreams, is_image
from orchestrator.recorder.layout import ACQUISITIONS, FID, KSPACE, TUNING_FLAGS, UNKNOWN_NS
from orchestrator.recorder.runtime import RunTime
from orchestrator.recorder.vendor import Vendor

__all__ = ["Acquisitions", "Record", "fid_rows", "fourier_settings"]

Span = tuple[int | None, int | None]
"""Start and end in ns of the run; None: not known."""
UNKNOWN = (math.nan, math.nan)
LEAD_NS = 600_000_000_000
"""What the vendor's files say of a start may be so much earlier than when it was heard."""
ENDS = frozenset({"verified", "missed", "rejected", "lost"})


class Heard(NamedTuple):
    """When something happened on the console, by the run's monotonic clock, and how well that is known."""

    mono_ns: int
    half_width_s: float = math.nan


@dataclass(slots=True, eq=False)
class Record:
    """One acquisition that was asked for. ``rows``: where its FIDs lie, as (stream, row, block)."""

    key: str
    row: int
    name: str
    state: str = "requested"
    reasons: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    scans_asked: int = -1
    requested_at_s: float = math.nan
    latency_s: float = math.nan
    started: dict[int, Heard] = field(default_factory=dict)
    acquired: dict[int, Heard] = field(default_factory=dict)
    rows: list[tuple[Stream | ImageStream, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pending:
    """A FID's row that waits for samples later than its end."""

    path: str
    row: int
    start_ns: int | None
    end_ns: int | None

    def settled(self, by_ns: int) -> bool:
        """Are the samples around both instants known?"""
        return all(at is None or at <= by_ns for at in (self.start_ns, self.end_ns))


class Acquisitions:
    """Follows ``acquisition.*`` and ``fid.block`` events. Feed it in order; ask ``complete`` when samples have come."""

    def __init__(self, time: RunTime, horizon: Horizon) -> None:
        self._time = time
        self._horizon = horizon
        self._live: dict[tuple[str, int], int] = {}
        self._records: dict[str, Record] = {}
        self._streams = Streams(time)
        self._images = ImageStreams(time)
        self._pending: list[Pending] = []
        self._middles: dict[str, float] = {}
        self._vendor = Vendor()

    def feed(self, event: Event) -> Iterator[Append]:
        """What one event means for the file."""
        data = event.data
        if event.kind == "raw.archived":
            yield from self._archived(data)
            return
        known = self._records.get(data["key"])
        record = known or Record(data["key"], len(self._records), str(data.get("name", "")))
        if known is None:
            yield self._entered(event, record)
        match event.kind:
            case "acquisition.requested" if known is not None:
                yield from self._coalesced(record, data)
            case "acquisition.requested":
                pass
            case "fid.block":
                yield from self._stored(event, record)
            case _:
                yield from self._moved(event, record)

    def flag(self, key: str, flags: Iterable[str]) -> Iterator[Change]:
        """What a rule says of a spectrum: ``flag rejected``."""
        record = self._records.get(key)
        if record is None or not (new := [flag for flag in flags if flag not in record.flags]):
            return
        record.flags += new
        yield from self._changed(record, {"flags": ",".join(record.flags)})

    def complete(self, samples: Samples, *, ended: bool = False) -> Iterator[Change]:
        """Charge and voltage of rows whose end the samples have now passed; ``ended``: none will come any more."""
        by_ns = samples.newest_ns if ended else samples.settled_ns
        if by_ns is None or not self._pending:
            return
        for pending in (each for each in self._pending if each.settled(by_ns)):
            start, end = (UNKNOWN if at is None else samples.at(at) for at in (pending.start_ns, pending.end_ns))
            yield Change(pending.path, pending.row, _charge_values(start, end))
        self._pending = [pending for pending in self._pending if not pending.settled(by_ns)]

    @property
    def needs_from_ns(self) -> int | None:
        """The earliest instant whose charge may still be asked for; None: any."""
        if self._horizon.from_ns is None:
            return None
        waiting = (at for pending in self._pending for at in (pending.start_ns, pending.end_ns) if at is not None)
        return min((self._horizon.from_ns, *self._live.values(), *waiting))

    def middle_s(self, key: str) -> float | None:
        """The middle of an acquisition's first FID, in seconds of the run."""
        return self._middles.get(key)

    # ------------------------------------------------------------------------------------------------------ the record

    def _entered(self, event: Event, record: Record) -> Rows:
        """A new record; also for one that was missed before it could be asked for."""
        data = event.data
        self._records[record.key] = record
        asked = event.kind == "acquisition.requested"
        record.reasons = list(map(str, data.get("reasons", ()))) if asked else []
        record.scans_asked = _count(data.get("scans")) if asked else -1
        record.requested_at_s = self._time.seconds(event.mono_ns)
        values = {
            "time": record.requested_at_s,
            "time_utc": event.utc_ns,
            "key": record.key,
            "name": record.name,
            "nucleus": str(data.get("nucleus") or ""),
            "state": record.state,
            "why": "",
            "reasons": ", ".join(record.reasons),
            "step": str(data.get("step_key") or ""),
            "latency": math.nan,
            "scans_asked": record.scans_asked,
            "scans_done": -1,
            "flags": "",
            "data": "",
            "row": -1,
        }
        return table_row("acquisitions", ACQUISITIONS, record.row, values)

    def _coalesced(self, record: Record, data: Mapping[str, Any]) -> Iterator[Change]:
        record.reasons += [str(reason) for reason in data["reasons"]]
        _flag(record, "coalesced")
        yield from self._changed(record, {"reasons": ", ".join(record.reasons), "flags": ",".join(record.flags)})

    def _moved(self, event: Event, record: Record) -> Iterator[Change]:
        """The next state, and what came to be known with it."""
        data, word = event.data, event.kind.removeprefix("acquisition.")
        record.state = "acquiring" if word == "started" else word
        values: dict[str, Any] = {"state": record.state}
        if word in {"started", "acquired"} and data.get("heard", True):
            heard = record.started if word == "started" else record.acquired
            heard[data["block"]] = Heard(event.mono_ns, _half_width_s(data.get("half_width_ns")))
            if word == "started":
                start_ns = self._time.run_ns(event.mono_ns) - LEAD_NS
                from_ns = self._horizon.from_ns
                self._live[record.key, data["block"]] = start_ns if from_ns is None else max(start_ns, from_ns)
        if word in ENDS:
            self._live = {live: at for live, at in self._live.items() if live[0] != record.key}
        if word == "started" and math.isnan(record.latency_s) and data["latency_s"] is not None:
            record.latency_s = values["latency"] = float(data["latency_s"])
        for flag in [flag for flag in TUNING_FLAGS if data.get(flag)]:
            _flag(record, flag)
        if data.get("deviations") or data.get("partial"):
            _flag(record, "partial" if data.get("partial") else "deviating")
        if {*TUNING_FLAGS, "deviations", "partial"} & data.keys():
            values["flags"] = ",".join(record.flags)
        yield from self._changed(record, values, data.get("block"))
        if word == "acquired" and data["scans_done"] is not None:
            yield Change("acquisitions", record.row, {"scans_done": _count(data["scans_done"])})
        if data.get("why"):
            yield Change("acquisitions", record.row, {"why": column(ACQUISITIONS, "why", (str(data["why"]),))[0]})

    @staticmethod
    def _changed(record: Record, values: Mapping[str, Any], block: int | None = None) -> Iterator[Change]:
        """The same change in the table of records and beside every FID of the record (or of one block)."""
        yield Change("acquisitions", record.row, {name: _cell(ACQUISITIONS, name, value) for name, value in values.items()})
        beside = {name: _cell(FID, name, value) for name, value in values.items()}
        for stream, row, of_block in record.rows:
            if block is None or block == of_block:
                yield Change(stream.path, row, beside)

    # -------------------------------------------------------------------------------------------------------- the data

    def _stored(self, event: Event, record: Record) -> Iterator[Append]:
        data = event.data
        fids = fid_rows(event)
        image = is_image(data, fids)
        stream, made = self._images.of(data, fids) if image else self._streams.of(data, fids)
        record.name = record.name or str(data["name"])
        yield from made
        if data.get("partial"):
            _flag(record, "partial")
        start_ns, end_ns = self._interval(event, record)
        if start_ns is None or end_ns is None:
            _flag(record, "times unknown")
        spans = [(start_ns, end_ns)] if image else row_spans(data, start_ns, end_ns, len(fids))
        first, n = stream.size, len(spans)
        stream.size += n
        rows = fids[None].astype(stream.dtype, copy=False) if image else fids.astype(stream.dtype, copy=False)
        columns = {**self._beside(event, record, (start_ns, end_ns), spans), **swept(data, n), **self._vendor.columns(data, rows)}
        if isinstance(stream, ImageStream):
            row_start = np.full((1, len(fids)), math.nan)
            if start_ns is not None and data.get("row_s"):
                row_start[0] = [(at - start_ns) / 1e9 for at, _ in row_spans(data, start_ns, end_ns, len(fids)) if at is not None]
            yield Rows(stream.path, KSPACE, first, {"data": rows, **columns, "row_start": row_start})
            yield from self._images.derived(stream, data, fids, columns["time"][0], first)
        else:
            yield Rows(stream.path, FID, first, {"fid": rows, **columns})
            yield from self._vendor.parameters(data, stream.path)
            yield from spectrum_rows(stream, data, fids, first)
        if not record.rows:
            where = {"data": _cell(ACQUISITIONS, "data", stream.path), "row": first}
            yield Change("acquisitions", record.row, where)
        yield Change("acquisitions", record.row, {"flags": _cell(ACQUISITIONS, "flags", ",".join(record.flags))})
        record.rows += [(stream, first + n_row, data["block"]) for n_row in range(n)]
        instants = self._remembered(record.key, data["block"], *(at for span in spans for at in span))
        self._pending += [Pending(stream.path, first + row, *instants[2 * row : 2 * row + 2]) for row in range(n)]

    def _remembered(self, key: str, block: int, *instants: int | None) -> tuple[int | None, ...]:
        """The instants whose samples are still there: of the last KEPT_SAMPLES, and since the start of what was going on."""
        since_ns = self._live.pop((key, block), None)
        from_ns = self._horizon.from_ns
        if from_ns is None:
            return instants
        known_ns = from_ns if since_ns is None else min(from_ns, since_ns)
        return tuple(at if at is not None and at >= known_ns else None for at in instants)

    def _interval(self, event: Event, record: Record) -> tuple[int | None, int | None]:
        """First scan's start and last scan's end in ns of the run: as the runner heard them; None where nobody did."""
        data, block = event.data, event.data["block"]
        sides = (("t_start_mono_ns", record.started.get(block)), ("t_end_mono_ns", record.acquired.get(block)))
        told = [data.get(name, heard and heard.mono_ns) for name, heard in sides]
        start, end = (None if mono_ns is None else self._time.run_ns(mono_ns) for mono_ns in told)
        return start, end

    def _beside(self, event: Event, record: Record, whole: Span, spans: Sequence[Span]) -> dict[str, Any]:
        """All columns but the data; ``whole``: of the block, ``spans``: of its rows."""
        if (middle_ns := _middle_ns(whole)) is not None:
            self._middles.setdefault(record.key, middle_ns / 1e9)
        rows = [self._of_row(event, record, span) for span in spans]
        columns = {name: column(FID, name, [row[name] for row in rows]) for name in rows[0]}
        return {**columns, "row": np.arange(len(spans), dtype=np.int32)}

    def _of_row(self, event: Event, record: Record, span: Span) -> dict[str, Any]:
        data, block = event.data, event.data["block"]
        (start_ns, end_ns), middle_ns = span, _middle_ns(span)
        to_utc_ns = event.utc_ns - self._time.run_ns(event.mono_ns)
        instants = {"t_start": start_ns, "t_mid": middle_ns, "t_end": end_ns}
        heard = {"t_start": record.started.get(block), "t_end": record.acquired.get(block)}
        start_half_ns, both = data.get("t_half_width_ns"), "t_end_half_width_ns" in data
        halves_ns = (start_half_ns, data.get("t_end_half_width_ns", start_half_ns))
        return {
            "time": _seconds(middle_ns),
            "key": record.key,
            "block": block,
            **{name: _seconds(at) for name, at in instants.items()},
            **{f"{name}_utc": UNKNOWN_NS if at is None else at + to_utc_ns for name, at in instants.items()},
            **{
                f"{name}_half_width": _half_width_s(by_stamp) if at is None or both else at.half_width_s
                for (name, at), by_stamp in zip(heard.items(), halves_ns, strict=True)
            },
            **_charge_values(UNKNOWN, UNKNOWN),
            "scans_done": _count(data["scans"]),
            "scans_asked": record.scans_asked,
            "reasons": ", ".join(record.reasons),
            "requested_at": record.requested_at_s,
            "latency": record.latency_s,
            "state": record.state,
            "flags": ",".join(record.flags),
        }

    def _archived(self, data: Mapping[str, Any]) -> Iterator[Change]:
        """Where the vendor's files are now: known before the FIDs are stored, or told of rows that stand already."""
        key, block, folder = data["key"], data["block"], str(data["folder"])
        record = self._records.get(key)
        rows = [(stream, row) for stream, row, of_block in (record.rows if record else ()) if of_block == block]
        if not rows:
            self._vendor.folders[key, block] = folder
        for stream, row in rows:
            yield Change(stream.path, row, {"raw_folder": _cell(FID, "raw_folder", folder)})


def _middle_ns(span: Span) -> int | None:
    start_ns, end_ns = span
    return None if start_ns is None or end_ns is None else (start_ns + end_ns) // 2


def row_spans(data: Mapping[str, Any], start_ns: int | None, end_ns: int | None, n: int) -> list[Span]:
    """Start and end of each row: as the console counts them (``row_s``), laid onto the interval that was heard."""
    row_s = data.get("row_s")
    if start_ns is None or end_ns is None or not row_s or len(row_s) != n:
        return [(start_ns, end_ns)] * n
    whole_s = row_s[-1][1] - row_s[0][0]
    scale = (end_ns - start_ns) / whole_s if whole_s > 0 else 0.0
    return [(start_ns + round((began - row_s[0][0]) * scale), start_ns + round((ended - row_s[0][0]) * scale)) for began, ended in row_s]


def swept(data: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Columns of what the rows, and their block, were measured at."""
    found: dict[str, Any] = {}
    rows, value = data.get("rows") or {}, data.get("block_value") or {}
    if rows.get("name") in AXES and len(rows["values"]) == n:
        found[AXES[rows["name"]].column] = np.array(rows["values"], dtype="<f8")
    if value.get("name") in AXES:
        found[AXES[value["name"]].column] = np.full(n, float(value["value"]))
    return found


def _seconds(time_ns: int | None) -> float:
    return math.nan if time_ns is None else time_ns / 1e9


def _half_width_s(half_width_ns: int | None) -> float:
    return math.nan if half_width_ns is None else half_width_ns / 1e9


def _charge_values(start: tuple[float, float], end: tuple[float, float]) -> dict[str, Any]:
    return {
        "charge_start": start[0],
        "charge_end": end[0],
        "voltage_start": start[1],
        "voltage_end": end[1],
        "charge_valid": int(math.isfinite(start[0]) and math.isfinite(end[0])),
        "voltage_valid": int(math.isfinite(start[1]) and math.isfinite(end[1])),
    }


def _cell(group: Any, name: str, value: Any) -> Any:
    return column(group, name, (value,))[0]


def _flag(record: Record, flag: str) -> None:
    if flag not in record.flags:
        record.flags.append(flag)


def flags_of(fired: Mapping[str, Any]) -> list[str]:
    """The names that the actions of a rule's firing give (``flag NAME``)."""
    return [text.removeprefix("flag ").strip() for text in map(str, fired.get("actions") or ()) if text.startswith("flag ")]


def _count(value: Any) -> int:
    return -1 if value is None else int(value)
