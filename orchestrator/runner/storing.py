"""From *filed* to *verified*: fetch, raw files into ``raw/``, the FID into the journal, a commit, a second look."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.base import IMAGES, ONE_PULSE, Fetched, RawFile
from drivers.errors import InstrumentError
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.archive import Damaged, archive, check
from orchestrator.runner.calibrating import Calibrating
from orchestrator.runner.paperwork import RecordLeft
from orchestrator.runner.records import Record, Records
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.vendor_clock import aged, placed
from orchestrator.runner.wire import within

FETCH_WITHIN_S = 300.0
CLOCK_WITHIN_S = 10.0
ARCHIVE_WITHIN_S = 300.0
"""A share that hangs while its files are copied is given up, as one that says no."""
PAUSES_S = (1.0, 10.0, 60.0)
MOST_WAITING = 256
NOTHING: Mapping[str, int] = MappingProxyType({})

T = TypeVar("T")
Learn = Callable[[Record, dict[str, Any], bytes], None]
"""Who wants to know of a FID as it is stored."""
S = AcquisitionState


class FidSeen(Protocol):
    """Who looks at each FID besides: the interlocks. Never waits."""

    def fid(self, key: str, data: NDArray[np.complexfloating[Any, Any]], raw_dtype: str, limit: float | None, mono_ns: int) -> None:
        """A FID as the console stored it; ``limit``: of its converter, where the console says it."""


class Storing:
    """One task stores what the console has filed, in order. ``last_seq``: the newest ``acquisition.stored``; 0 before the first."""

    def __init__(
        self, surroundings: Surroundings, records: Records, alarms: Alarms, seen: FidSeen, learn: Learn, calibrating: Calibrating
    ) -> None:
        self._s = surroundings
        self._records = records
        self._alarms = alarms
        self._seen = seen
        self._learn = learn
        self._calibrating = calibrating
        self._waiting: deque[tuple[Record, int]] = deque()
        self._more = asyncio.Event()
        self._fid_seqs: dict[tuple[str, int], int] = {}
        self._archived: dict[str, list[tuple[Path, tuple[RawFile, ...]]]] = {}
        self.last_seq = 0

    @property
    def behind(self) -> bool:
        """So much waits that no new acquisition may start."""
        return len(self._waiting) >= MOST_WAITING

    def restore(self, record: Record, left: RecordLeft) -> None:
        """Go on with a record of a run that was broken off: what is in the journal or in ``raw/`` is not put there again."""
        for block, seq in left.fid_seqs.items():
            if block in left.stored:
                record.fid_seqs[block] = seq
            else:
                self._fid_seqs[record.key, block] = seq
        for folder, files in left.archived.values():
            raw = tuple(RawFile(Path(file["name"]), str(file["name"]), int(file["size"]), str(file["sha256"])) for file in files)
            self._archived.setdefault(record.key, []).append((self._s.folder / folder, raw))
        for block in sorted(left.filed - left.stored):
            self.add(record, block)
        if record.state is S.STORED:
            self.add(record, 0)

    def add(self, record: Record, block: int) -> None:
        """A block is filed."""
        self._waiting.append((record, block))
        self._more.set()

    async def run(self) -> None:
        """Store, until cancelled. What was being stored when it failed is tried again."""
        while True:
            while self._waiting:
                record, block = self._waiting[0]
                if not record.over:
                    await self._store(record, block)
                self._waiting.popleft()
            self._more.clear()
            await self._more.wait()

    async def adopt(
        self, record: Record, files: tuple[RawFile, ...], changed_utc_ns: Mapping[str, int], seq: int, fetched: Fetched | None = None
    ) -> None:
        """What somebody else has measured: its files into ``raw/``, then *stored* and *verified*.

        ``seq``: what says so without files. ``fetched``: what was read in them; its FID goes into the journal.
        """
        try:
            folder = await self._archive(record, 0, files, changed_utc_ns)
        except (TimeoutError, OSError) as error:
            self._records.end(record, S.LOST, f"not adopted: {error}")
            return
        if folder is not None:
            self._archived.setdefault(record.key, []).append((folder, files))
        if fetched is not None:
            data, blob = fid_block(record, 0, fetched)
            seq = record.fid_seqs[0] = self._s.journal.put("fid.block", data, blob=blob, cause=record.seq)
        await self._s.durable(seq)
        self._s.put("acquisition.stored", record.seq, key=record.key, block=0, fid_seq=seq)
        self._records.move(record, S.STORED)
        await self._verify(record)

    async def _store(self, record: Record, block: int) -> None:
        """What is in the journal already, and only its commit failed, is not put there again."""
        if record.state is S.STORED:
            await self._verify(record)
            return
        if (record.key, block) not in self._fid_seqs and not await self._take(record, block):
            return
        seq = self._fid_seqs[record.key, block]
        await self._s.durable(seq)
        self.last_seq = self._s.put("acquisition.stored", record.seq, key=record.key, block=block, fid_seq=seq)
        record.fid_seqs[block] = self._fid_seqs.pop((record.key, block))
        if len(record.fid_seqs) == record.planned.blocks or record.partial:
            self._records.move(record, S.STORED)
            await self._verify(record)

    async def _take(self, record: Record, block: int) -> bool:
        """Files into ``raw/``, the FID into the journal; False where they cannot be had."""
        try:
            fetched = await self._fetch(record, block)
            folder = await self._archive(record, block, fetched.files)
        except (InstrumentError, TimeoutError, OSError) as error:
            self._records.end(record, S.LOST, f"not fetched: {error}" if not isinstance(error, Damaged) else str(error))
            return False
        fetched = replace(fetched, partial=False) if record.enough else fetched
        record.partial = record.partial or fetched.partial
        self._fid_seqs[record.key, block] = self._put_fid(record, block, fetched, await self._placed(record, block, fetched))
        if folder is not None:
            self._archived.setdefault(record.key, []).append((folder, fetched.files))
        await self._calibrating.take(record.key, record.planned, fetched, record.seq)
        return True

    async def _placed(self, record: Record, block: int, fetched: Fetched) -> dict[str, Any]:
        """When it was, where nobody heard it in time: the console is asked for its clock now, beside what its files say."""
        heard, widths_ns = record.times.get(block, [None, None]), record.widths_ns.get(block, [0, 0])
        if (None not in heard and not any(widths_ns)) or fetched.times.start_utc_ns is None:
            return {}
        console, now_ns = self._s.station.console, self._s.clock.mono_ns()
        sample = last = self._s.measured_clocks.get(self._s.station.console_settings.instrument)
        with suppress(InstrumentError, TimeoutError):
            sample = await within(CLOCK_WITHIN_S, console.read_clock()) or last
        if sample is not None and sample is last:
            sample = aged(sample, now_ns)
        return placed(heard, widths_ns, fetched.times, sample, console.capabilities.overhead_s, (record.fired_ns, self._s.clock.mono_ns()))

    async def _fetch(self, record: Record, block: int) -> Fetched:
        for pause_s in PAUSES_S:
            try:
                return await within(FETCH_WITHIN_S, self._s.station.console.fetch(record.key, block))
            except (InstrumentError, TimeoutError) as error:
                self._s.put("note", record.seq, text=f"{record.key}: fetching failed and is tried again: {error}", who="rig")
                await self._s.clock.sleep(pause_s)
        return await within(FETCH_WITHIN_S, self._s.station.console.fetch(record.key, block))

    async def _archive(
        self, record: Record, block: int, announced: tuple[RawFile, ...], changed_utc_ns: Mapping[str, int] = NOTHING
    ) -> Path | None:
        """The folder that the raw files are in now; a full disk is waited for a while."""
        if not announced:
            return None
        folder = self._s.station.raw_folder / record.key / (str(block) if record.planned.blocks > 1 else "")
        copied = partial(archive, synced=self._s.clock.virtual is None)
        for attempt, pause_s in enumerate((*PAUSES_S, None)):
            try:
                await within(ARCHIVE_WITHIN_S, self._s.clock.in_thread(copied, announced, folder, attempt, lane="raw"))
                break
            except OSError as error:
                if pause_s is None or isinstance(error, Damaged):
                    raise
                text = f"{record.key} cannot be copied into raw/: {error}"
                self._alarms.sound("raw-files", "alarm", "Raw files are not archived", text, advice="free space on the disk of the run")
                await self._s.clock.sleep(pause_s)
        self._alarms.clear("raw-files")
        files: list[dict[str, Any]] = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in announced]
        for one in files:
            one.update({"modified_utc_ns": changed_utc_ns[one["name"]]} if one["name"] in changed_utc_ns else {})
        relative = folder.relative_to(self._s.folder).as_posix()
        self._s.put("raw.archived", record.seq, key=record.key, block=block, folder=relative, files=files)
        return folder

    def _put_fid(self, record: Record, block: int, fetched: Fetched, when: Mapping[str, Any]) -> int:
        limit = fetched.parameters.get("adc_limit_counts")
        known = float(limit) if isinstance(limit, int | float) else None
        self._seen.fid(record.key, fetched.fid.data, fetched.fid.raw_dtype, known, self._s.clock.mono_ns())
        data, blob = fid_block(record, block, fetched)
        data |= when
        self._learn(record, data, blob)
        data |= _swept(record.planned, block, fetched)
        return self._s.journal.put("fid.block", data, blob=blob, cause=record.seq)

    async def _verify(self, record: Record) -> None:
        """Read the archived files again: only then is it *verified*."""
        try:
            for folder, files in self._archived.pop(record.key, []):
                await within(ARCHIVE_WITHIN_S, self._s.clock.in_thread(check, files, folder, lane="raw"))
        except OSError as error:
            self._records.end(record, S.LOST, f"the archived raw files do not agree: {error}")
            return
        self._s.put("acquisition.verified", record.seq, key=record.key, partial=record.partial)
        self._records.move(record, S.VERIFIED)


class Measured(Protocol):
    """What of an acquisition stands beside its FID. ``times``: block → (started, acquired) in mono_ns; None: not known."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def name(self) -> str:
        """Of the acquisition."""

    @property
    def partial(self) -> bool:
        """Fewer scans than asked."""

    @property
    def times(self) -> Mapping[int, Sequence[int | None]]:
        """By block."""


def fid_block(record: Measured, block: int, fetched: Fetched) -> tuple[dict[str, Any], bytes]:
    """Data and blob of a ``fid.block``: the FID in the byte order of this computer's files, little-endian."""
    fid, times = fetched.fid, fetched.times
    values = np.ascontiguousarray(fid.data, dtype=fid.data.dtype.newbyteorder("<"))
    blob = values.tobytes()
    started_ns, acquired_ns = record.times.get(block, [None, None])
    return {
        "key": record.key,
        "block": block,
        "name": record.name,
        "nucleus": fid.nucleus,
        "dtype": values.dtype.str,
        "shape": list(values.shape),
        "sha256": hashlib.sha256(blob).hexdigest(),
        "raw_dtype": fid.raw_dtype,
        "spectral_width_Hz": fid.spectral_width_Hz,
        "carrier_MHz": fid.carrier_MHz,
        "reference_MHz": fid.reference_MHz,
        "scans": fid.scans,
        "group_delay_points": fid.group_delay_points,
        "reversed_axis": fid.reversed_axis,
        "gain": fid.gain,
        "t_start_mono_ns": started_ns,
        "t_end_mono_ns": acquired_ns,
        "times": {
            "stamps": dict(times.stamps),
            "zone": times.zone,
            "start_utc_ns": times.start_utc_ns,
            "end_utc_ns": times.end_utc_ns,
            "resolution_ns": times.resolution_ns,
        },
        "parameters": dict(fetched.parameters),
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in fetched.files],
        "partial": record.partial or fetched.partial,
    }, blob


def _swept(planned: PlannedAcquisition, block: int, fetched: Fetched) -> dict[str, Any]:
    """What rows and block were measured at, and when; nothing for a single pulse. A halted array has fewer rows than were asked."""
    if planned.sequence == ONE_PULSE and planned.rows is None and planned.per_block is None:
        return {}
    rows = 1 if fetched.fid.data.ndim == 1 else len(fetched.fid.data)
    settings = {name: value for name, value in planned.template.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    found: dict[str, Any] = {"kind": planned.kind, "sequence": planned.sequence, "settings": settings}
    if planned.sequence in IMAGES and planned.rows is not None:
        found["encodes"] = len(planned.rows)
    elif planned.rows is not None:
        found["rows"] = {"name": planned.rows.name, "values": list(planned.rows.values[:rows])}
    if planned.per_block is not None:
        found |= {"block_value": {"name": planned.per_block.name, "value": planned.per_block.values[block]}, "blocks": planned.blocks}
    elif "TE_ms" in planned.template and (planned.rows is None or planned.rows.name != "TE_ms"):
        found["block_value"] = {"name": "TE_ms", "value": float(planned.template["TE_ms"])}
    return found | ({} if fetched.row_s is None else {"row_s": np.asarray(fetched.row_s, dtype=np.float64).tolist()})
