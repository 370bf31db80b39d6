"""Tells a run's journal what vendors' files say, in the words of a run that this program drives. Nothing is invented.

What the files do not say is absent: a start that nobody knows is ``heard`` false, a step's text is the cycler's own number of it. All
events stand on one time axis, the console's UTC: ``mono_ns`` is that less a constant.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from drivers.base import Fetched, RawFile
from drivers.clock import Stamp
from drivers.follow.clocks import NS, Interval, interval_of, saved_ns
from drivers.follow.columns import MODES, REST, Rows
from orchestrator.imports.datasets import Found
from orchestrator.model.columns import pack
from orchestrator.runner.archive import archive
from orchestrator.runner.charge import Charge
from orchestrator.runner.storing import fid_block

LONGEST_BLOCK_ns = NS
NOT_SAID = "not said"
BY_CYCLER = "cycler"
"""Why a step ended, where all that is known is that the cycler ended it."""
CYCLER_KEY = "cycler"
COMPANIONS = frozenset({".mpl", ".mps", ".mpr", ".mpt", ".nda", ".ndax", ".csv"})
"""Files of a cycler that are kept with the run."""
SOURCE = "files"


class Puts(Protocol):
    """A journal that takes events."""

    def put(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        blob: bytes | None = None,
        source: str = "rig",
        cause: int | None = None,
        at: Stamp | None = None,
    ) -> int:
        """Number an event and queue it."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The run's time: ``mono_ns`` = UTC by the console's clock less ``utc_less_mono_ns``. ``zone``: of stamps that say none."""

    zone: tzinfo
    zone_name: str
    utc_less_mono_ns: int = 0

    def stamp(self, utc_ns: int) -> Stamp:
        """Of an instant in UTC."""
        return Stamp(utc_ns - self.utc_less_mono_ns, utc_ns)


@dataclass(frozen=True, slots=True)
class Watched:
    """One acquisition that somebody else made, as ``fid_block`` wants it."""

    key: str
    name: str
    partial: bool
    times: Mapping[int, list[int | None]]


def interval(found: Found, axis: Axis) -> Interval:
    """When a data set was measured, by its own files."""
    if found.fetched is None:
        return Interval(None, None, 0)
    times = found.fetched.times
    return interval_of(times.stamps, times.start_utc_ns, times.end_utc_ns, times.resolution_ns, axis.zone)


class HalfTold(NamedTuple):
    """How far a killed process came with one data set: the number of its FID where that was told, and whether *stored* was."""

    fid_seq: int | None = None
    stored: bool = False


class SpectrumTeller:
    """Tells of data sets. ``archive`` their files first (blocking); then ``tell``."""

    def __init__(self, journal: Puts, axis: Axis, raw: Path, root: Path) -> None:
        self._journal = journal
        self._axis = axis
        self._raw = raw
        self._root = root

    def archive(self, found: Found, attempt: int = 0) -> None:
        """Copy the vendor's files into the run, checked. Raises OSError (Damaged: they have changed meanwhile)."""
        if found.fetched is not None:
            archive(found.fetched.files, self._raw / found.key, attempt)

    def tell(self, found: Found, step_key: str, now_ns: int, half_told: Mapping[str, HalfTold] | None = None) -> int:
        """Everything that is known of it; returns the number of the last event. ``now_ns``: UTC, where its files say no time.

        ``half_told``: keys of which a killed process has told the beginning.
        """
        when = interval(found, self._axis)
        asked_ns = when.start_ns if when.start_ns is not None else when.end_ns if when.end_ns is not None else now_ns
        before = (half_told or {}).get(found.key)
        if before is not None and before.fid_seq is not None:
            return self._verified(found, before, asked_ns)
        seq = self._requested(found, step_key, asked_ns) if before is None else None
        fetched = found.fetched
        if fetched is None:
            return self._put("acquisition.lost", {"key": found.key, "name": found.name, "why": found.why, "fault": False}, asked_ns, seq)
        half_ns = {"half_width_ns": when.half_width_ns}
        ended_ns = when.end_ns if when.end_ns is not None else asked_ns
        start = {"key": found.key, "block": 0, "latency_s": None, "heard": when.start_ns is not None}
        self._put("acquisition.started", start | half_ns, asked_ns, seq)
        end = {"key": found.key, "block": 0, "scans_done": fetched.fid.scans, "heard": when.end_ns is not None}
        self._put("acquisition.acquired", end | half_ns, ended_ns, seq)
        written_ns = saved_ns(fetched.times.stamps, found.saved_stamps, self._axis.zone)
        written_ns = ended_ns if written_ns is None else max(written_ns, ended_ns)
        relative = found.folder.relative_to(self._root).as_posix()
        self._put("acquisition.filed", {"key": found.key, "block": 0, "path": relative, "vendor": found.vendor}, written_ns, seq)
        return self._stored(found, fetched, when, written_ns, seq)

    def _verified(self, found: Found, before: HalfTold, at_ns: int) -> int:
        """What is still to be told of a data set whose FID stands in the journal."""
        if not before.stored:
            self._put("acquisition.stored", {"key": found.key, "block": 0, "fid_seq": before.fid_seq}, at_ns, before.fid_seq)
        partial = found.fetched is not None and found.fetched.partial
        return self._put("acquisition.verified", {"key": found.key, "partial": partial}, at_ns)

    def _requested(self, found: Found, step_key: str, at_ns: int) -> int:
        fetched = found.fetched
        known = {} if fetched is None else {"nucleus": fetched.fid.nucleus}
        data = {"key": found.key, "name": found.name, **known, "reasons": [f"found: {found.vendor}"], "step_key": step_key}
        return self._put("acquisition.requested", data, at_ns)

    def _stored(self, found: Found, fetched: Fetched, when: Interval, at_ns: int, cause: int | None) -> int:
        files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in fetched.files]
        self._put("raw.archived", {"key": found.key, "block": 0, "folder": f"raw/{found.key}", "files": files}, at_ns, cause)
        zone = fetched.times.zone if fetched.times.start_utc_ns is not None else f"local; taken as {self._axis.zone_name}"
        times = replace(fetched.times, zone=zone, start_utc_ns=when.start_ns, end_utc_ns=when.end_ns)
        ends = [None if instant is None else self._axis.stamp(instant).mono_ns for instant in (when.start_ns, when.end_ns)]
        record = Watched(found.key, found.name, fetched.partial, {0: ends})
        data, blob = fid_block(record, 0, replace(fetched, times=times))
        seq = self._put("fid.block", data, at_ns, cause, blob)
        self._put("acquisition.stored", {"key": found.key, "block": 0, "fid_seq": seq}, at_ns, seq)
        return self._put("acquisition.verified", {"key": found.key, "partial": fetched.partial}, at_ns, cause)

    def _put(self, kind: str, data: dict[str, Any], utc_ns: int, cause: int | None = None, blob: bytes | None = None) -> int:
        return self._journal.put(kind, data, blob=blob, source=SOURCE, cause=cause, at=self._axis.stamp(utc_ns))


@dataclass(slots=True)
class Step:
    """The cycler's step that the last row belongs to."""

    key: str = ""
    index: int = -1
    cycle: int = 0
    mode: int = REST
    began_ns: int = 0
    mark: tuple[str, int, int] = ("", 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of one step, at most a second of them; ``utc_ns`` int64 (n,) on the run's axis, ``device_ns`` by the cycler's clock.

    ``last_row``: the number in its file of the row after the last. ``left_out``: rows before it that lie in the past.
    """

    rows: Rows
    utc_ns: np.ndarray[Any, np.dtype[np.int64]]
    device_ns: np.ndarray[Any, np.dtype[np.int64]]
    step: tuple[str, int, int]
    last_row: int
    left_out: int = 0


@dataclass(slots=True)
class CellTeller:
    """Tells of a cycler's rows: steps where the cycler changes its own, and samples with the charge counted over the whole run."""

    journal: Puts
    axis: Axis
    step: Step = field(default_factory=Step)
    charge: Charge = field(default_factory=lambda: Charge(math.nan, None))
    last_ns: int = 0
    """UTC of the last sample that was told."""
    late: int = 0
    """Rows that were left out, because they lie before the last that was told (files that overlap)."""
    step_charges_C: list[float] = field(default_factory=list)
    """Of the block that was told last, row by row."""
    _step_C: float = 0.0

    def tell(self, block: Block, file: str) -> int:
        """Journal one block, and before it what begins with it; returns the number of its event."""
        self.late += block.left_out
        if block.step != self.step.mark:
            self._begin(block)
        columns = self._counted(block)
        description, blob = pack(columns)
        self.last_ns = int(block.utc_ns[-1])
        data = {"step_key": self.step.key, "cycle": self.step.cycle, "index": self.step.index, "n": len(block.rows), "columns": description}
        return self._put("ec.block", data | {"file": file, "row": block.last_row}, self.last_ns, blob)

    def _begin(self, block: Block) -> None:
        at_ns = int(block.utc_ns[0])
        self.end()
        file, number, mode = block.step
        self.step = Step(f"w{self.step.index + 1:04d}", self.step.index + 1, int(block.rows.cycle[0]), mode, at_ns, block.step)
        text = f"{file}: step {number}" + (f", {MODES[mode]}" if MODES[mode] != NOT_SAID else "")
        data = {"key": self.step.key, "index": self.step.index, "cycle": self.step.cycle, "text": text, "mode": MODES[mode]}
        self._put("step.started", data | {"current_A": None, "voltage_V": None, "device_ns": int(block.device_ns[0])}, at_ns)
        self.charge.begin(self.axis.stamp(at_ns).mono_ns)
        self._step_C = 0.0

    def end(self) -> None:
        """The step is over by its last sample; why, the file does not say."""
        if not self.step.key:
            return
        data = {"key": self.step.key, "reason": BY_CYCLER, "detail": "", "duration_s": (self.last_ns - self.step.began_ns) / 1e9}
        charge = {"charge_C": self._step_C, "charge_complete": False, "charge_net_C": self.charge.net_C}
        self._put("step.ended", data | charge | {"charge_throughput_C": self.charge.throughput_C}, self.last_ns)
        self.step.key = ""

    def _counted(self, block: Block) -> dict[str, Any]:
        """The journal's columns; charge by the trapezoid between samples."""
        rows, n = block.rows, len(block.rows)
        mono_ns = block.utc_ns - self.axis.utc_less_mono_ns
        charges = np.empty((3, n))
        for i, (at_ns, current_A) in enumerate(zip(mono_ns.tolist(), rows.current_A.tolist(), strict=True)):
            self._step_C += self.charge.pass_to(at_ns, current_A)
            charges[:, i] = self._step_C, self.charge.net_C, self.charge.throughput_C
        if not np.isfinite(rows.current_A).any() and not self.charge.throughput_C:
            charges[:] = np.nan
        self.step_charges_C = charges[0].tolist()
        columns: dict[str, Any] = {"mono_ns": mono_ns.astype("<i8"), "voltage_V": rows.voltage_V, "current_A": rows.current_A}
        columns |= dict(zip(("charge_step_C", "charge_net_C", "charge_throughput_C"), charges, strict=True))
        columns |= {"x": np.full(n, np.nan), "status": np.zeros(n, "<u2"), "device_ns": block.device_ns.astype("<i8")}
        return columns | {name: getattr(rows, name) for name in ("voltage_we_V", "voltage_ce_V") if np.isfinite(getattr(rows, name)).any()}

    def _put(self, kind: str, data: dict[str, Any], utc_ns: int, blob: bytes | None = None) -> int:
        return self.journal.put(kind, data, blob=blob, source=SOURCE, at=self.axis.stamp(utc_ns))


def blocks(rows: Rows, first: int, file: str, zero_ns: int, offset_ns: int, after_ns: int) -> Iterator[Block]:
    """Rows of a file as blocks; those that go back behind ``after_ns`` or the row before are left out.

    ``zero_ns``: the file's time 0 in UTC by the cycler's clock; ``offset_ns``: what makes the run's time of it.
    """
    device_ns = zero_ns + np.rint(rows.time_s * 1e9).astype(np.int64)
    utc_ns = device_ns + offset_ns
    later = np.flatnonzero(utc_ns >= np.maximum.accumulate(np.concatenate([[after_ns], utc_ns[:-1]])))
    if not later.size:
        return
    left_out = len(rows) - later.size
    number, mode, at = rows.step[later], rows.mode[later], utc_ns[later]
    edge = np.flatnonzero((np.diff(number) != 0) | (np.diff(mode) != 0)) + 1
    for begin, end in zip([0, *edge.tolist()], [*edge.tolist(), later.size], strict=True):
        start = begin
        while start < end:
            stop = start + int(np.searchsorted(at[start:end], at[start] + LONGEST_BLOCK_ns))
            chosen = later[start:stop]
            own = Rows(*(getattr(rows, name)[chosen] for name in Rows.__slots__))
            step = (file, int(number[start]), int(mode[start]))
            yield Block(own, utc_ns[chosen], device_ns[chosen], step, first + int(chosen[-1]) + 1, left_out)
            start, left_out = stop, 0


def archive_cycler(source: Path, raw: Path, name: str) -> dict[str, Any] | None:
    """Copy a cycler's files, as they are now, into ``raw/NAME``; data of their ``raw.archived``. None: there is none. Raises OSError."""
    paths = [source] if source.is_file() else sorted(one for one in source.iterdir() if one.suffix.lower() in COMPANIONS and one.is_file())
    files = [RawFile(path, path.name, path.stat().st_size, sha256_of(path)) for path in paths]
    if not files:
        return None
    archive(files, raw / name)
    told = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]
    return {"key": CYCLER_KEY, "block": 0, "folder": f"raw/{name}", "files": told}


def log_notes(source: Path) -> list[str]:
    """What EC-Lab's logs (``.mpl``) say of the instrument and the start, a sentence each. Raises OSError."""
    paths = [] if source.is_file() else sorted(source.glob("*.mpl"))
    return [f"{path.name}: {words}" for path in paths if (words := _log_words(path.read_text("latin-1", "replace")))]


def _log_words(text: str) -> str:
    wanted = ("Run on channel", "Device", "Acquisition started on", "Electrode connection")
    lines = [" ".join(line.split()) for line in text.splitlines()[:40] if line.strip().startswith(wanted)]
    return "; ".join(lines)


def left_out(rows: int) -> str:
    """Of rows that are not told, in a sentence."""
    return f"{rows} rows of the cycler are left out: they lie before the row ahead of them (files that overlap, or a clock set back)"


def sha256_of(path: Path) -> str:
    """Hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
