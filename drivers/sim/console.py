"""A console in memory, on the twin: obeys ``drivers.base.Console`` without any wire.

An acquisition lasts (dummies + scans) × (recycle + what its sequence waits + points / spectral width), and an array that for each of
its rows; then ``overhead_s`` (2.8) until its files are there. A template names its nucleus and either a built-in ``series``
or the parameters themselves (flat, or under ``parameters``):
``carrier_ppm`` or ``carrier_MHz``, ``spectral_width_Hz``, ``points``, ``pulse_us``, ``tip_deg``,
``dead_us``, and what its sequence needs (``drivers.sim.template``); ``name`` and ``dataset`` are ignored, anything else is refused.
Halting an array keeps the rows that are complete.

Files, in ``settings.options["scratch"]`` (else a temporary folder that goes with the twin), one folder a block:

    parameters.json   key, block, nucleus, every parameter, scans, times in ISO 8601 UTC; sorted, UTF-8
    fid.bin           rows × points × (real, imaginary), little-endian int32: the summed ADC counts

Other options: ``overhead_s``, ``progress_every_s`` (10), ``clock_offset_s`` (0: how far the console's clock is ahead).
Faults (``settings.options["faults"]``, or ``inject``):

    start_error             start raises OutcomeUnknown; nothing was started
    start_error_but_runs    start raises OutcomeUnknown; the acquisition runs
    echoes_no_start         start is accepted and nothing happens
    silent                  no answer and no event from now on (LinkLost once); the scan goes on, its files come
    fails                   the acquisition gives up when it should end: Failed
    never_filed             Acquired comes, Filed does not
    garbage                 the FID on disk is cut short: fetch raises BadReply
    foreign                 somebody else's acquisition runs: start is rejected
    wrong_nucleus           the read-back names another nucleus
    tuner_hang              before the first scan of the next acquisitions (``times``, 1) the tuner keeps it waiting for ``stall_s`` (none:
                            until it is stopped)
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
import tempfile
import weakref
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    ClockSample,
    Confirmation,
    ConsoleActivity,
    ConsoleCapabilities,
    ConsoleEvent,
    ConsoleState,
    Context,
    Failed,
    Fetched,
    Fid,
    Filed,
    Progress,
    ReadBack,
    SafeState,
    Settings,
    Started,
    VendorTimes,
)
from drivers.errors import BadReply, InstrumentError, NotSupported, OutcomeUnknown, Rejected
from drivers.sim import files
from drivers.sim.instrument import SimInstrument
from drivers.sim.physics import Scan
from drivers.sim.shelf import Acquisition, Closing, Record, Shelf
from drivers.sim.template import LACKS, RUNS, Parameters, of_sequence, parameters, row_parameters

EXACT_IN_FLOAT32 = 1 << 24
LARGEST = (1 << 31) - 1
ADC_LIMIT = 32767
"""Counts at which the twin clips each scan."""
FAULTS = frozenset(
    {
        "start_error",
        "start_error_but_runs",
        "echoes_no_start",
        "silent",
        "fails",
        "never_filed",
        "garbage",
        "foreign",
        "wrong_nucleus",
        "tuner_hang",
    }
)
COMMANDS = frozenset({"prepare", "start", "halt", "abort", "fetch", "look", "make_safe"})


def _rows_of(order: AcquisitionOrder, made: Parameters, block: int) -> tuple[Parameters, ...]:
    """The parameters of every row of a block."""
    rows = 1 if order.rows is None else len(order.rows)
    return tuple(row_parameters(made, order.values(block, row)) for row in range(rows))


class SimConsole(SimInstrument[ConsoleEvent, Shelf]):
    """The simulated console; made by the entry point ``sim``."""

    fault_names = FAULTS
    kind = "console"

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context, Shelf)
        options = settings.options
        self._overhead_s = float(options.get("overhead_s", 2.8))
        self._progress_every_s = float(options.get("progress_every_s", 10.0))
        self._clock_offset_ns = round(float(options.get("clock_offset_s", 0.0)) * 1e9)
        self.capabilities = ConsoleCapabilities(
            commands=COMMANDS,
            progress=True,
            look=True,
            overhead_s=self._overhead_s,
            make_safe_s=1.0,
            sequences=RUNS,
            lacks=LACKS,
            edge=True,
        )

    def _resume(self) -> None:
        if self._memory.now is not None:
            self._begin_task(self._acquire(self._memory.now) if self._memory.closing is None else self._file(self._memory.now))

    async def read_state(self) -> ConsoleState:
        """What it is doing."""
        self._reach("state")
        if "foreign" in self._faults:
            return ConsoleState(ConsoleActivity.FOREIGN, detail="somebody else's acquisition")
        now = self._memory.now
        if now is None or not self._running:
            return ConsoleState(ConsoleActivity.IDLE)
        detail = "filing" if self._memory.closing else ""
        return ConsoleState(ConsoleActivity.ACQUIRING, now.key, now.block, now.scans_done(self.clock.mono_ns()), detail)

    async def read_clock(self) -> ClockSample | None:
        """The console's clock: UTC and its offset."""
        stamp = self.clock.stamp()
        return ClockSample(stamp.utc_ns + self._clock_offset_ns, stamp.mono_ns, 0)

    # ---------------------------------------------------------------------------------------------------- acquisitions

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        """Set up and read back. Raises Rejected for an unknown nucleus, parameter or series, and for what is no number."""
        self._reach(f"prepare {order.key}")
        try:
            made = parameters(order, self.twin.larmor_MHz(order.nucleus))
            _rows_of(order, made, 0)
        except ValueError as error:
            sent = f"prepare {order.key} {dict(order.template)}"
            raise Rejected(str(error), instrument=self.settings.instrument, sent=sent, did="nothing was set") from None
        self._memory.prepared[order.key] = (order, made)
        shown = asdict(made)
        if "wrong_nucleus" not in self._faults:
            return ReadBack(shown)
        return ReadBack({**shown, "nucleus": "1H"}, {"nucleus": (order.nucleus, "1H")})

    async def start(self, key: str, block: int = 0) -> None:
        """Start what was prepared; the same key and block twice is once."""
        sent = f"start {key} block {block}"
        self._reach(sent)
        if (key, block) in self._memory.started:
            return
        why = "not prepared" if key not in self._memory.prepared else "another acquisition runs" if self._running else ""
        if why or "foreign" in self._faults:
            raise Rejected(why or "somebody else's acquisition runs", instrument=self.settings.instrument, sent=sent)
        if "start_error" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=sent)
        self._memory.started.add((key, block))
        if "echoes_no_start" not in self._faults:
            order, made = self._memory.prepared[key]
            rows = _rows_of(order, made, block)
            armed = order.edge_within_s > 0
            held_ns = None if armed else self._held_ns()
            self._memory.now, self._memory.counts = Acquisition(key, block, rows, self.clock.mono_ns(), held_ns, armed), []
            if not armed:
                self._put(Started(key, block, self._memory.now.start_ns))
            self._begin_task(self._acquire(self._memory.now))
        if "start_error_but_runs" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=sent)

    async def edge(self) -> None:
        """An edge on the trigger input: what waits for one begins."""
        now = self._memory.now
        if now is None or not now.armed:
            return
        await self._end_task()
        self._memory.now = replace(now, start_ns=self.clock.mono_ns(), held_ns=0, armed=False)
        self._put(Started(now.key, now.block, self._memory.now.start_ns))
        self._begin_task(self._acquire(self._memory.now))

    def _held_ns(self) -> int | None:
        """What the tuner takes of the next acquisition's time; None: it never answers."""
        fault = self._faults.get("tuner_hang")
        if fault is None:
            return 0
        fault["times"] = int(fault.get("times", 1)) - 1
        if fault["times"] <= 0:
            del self._faults["tuner_hang"]
        return None if fault.get("stall_s") is None else round(float(fault["stall_s"]) * 1e9)

    async def _acquire(self, acquisition: Acquisition) -> None:
        """Scan, saying now and then how far it is; then file."""
        if acquisition.held_ns is None:
            await asyncio.Event().wait()  # until somebody halts it
        begun_ns = self.clock.mono_ns()
        edges_ns = acquisition.edges_ns()
        for row, asked in enumerate(acquisition.rows):
            each = max(1, math.ceil(self._progress_every_s / asked.repetition_s))
            for scans in range(each, asked.scans, each):
                at_ns = edges_ns[row] + asked.duration_ns(scans)
                if at_ns > begun_ns:
                    await self.clock.sleep_until(at_ns)
                    self._put(Progress(acquisition.key, acquisition.block, at_ns, scans))
            await self.clock.sleep_until(edges_ns[row + 1])
            if row >= len(self._memory.counts) and row + 1 < len(acquisition.rows):
                self._memory.counts.append(self._counts(acquisition, row, edges_ns[row + 1], asked.scans))
        end_ns, asked = edges_ns[-1], acquisition.parameters
        if "fails" in self._faults:
            self._fail(acquisition, end_ns, "the fault `fails` is on")
            return
        self._close(acquisition, Closing(end_ns, asked.scans, end_ns, len(acquisition.rows)))
        await self._file(acquisition)

    def _fail(self, acquisition: Acquisition, mono_ns: int, why: str) -> None:
        self._memory.now = None
        self._put(Failed(acquisition.key, acquisition.block, mono_ns, why))

    def _close(self, acquisition: Acquisition, closing: Closing) -> None:
        """No scan follows; the files do."""
        self._memory.closing = closing
        self._put(Acquired(acquisition.key, acquisition.block, closing.acquired_ns, closing.scans))

    async def _file(self, acquisition: Acquisition) -> None:
        """Make the FID and its files; then they are there."""
        assert self._memory.closing is not None
        end_ns, scans = self._memory.closing.end_ns, self._memory.closing.scans
        filed_ns = self._memory.closing.acquired_ns + round(self._overhead_s * 1e9)
        rows = self._memory.counts[: self._memory.closing.rows]
        if len(rows) < self._memory.closing.rows:
            rows = [*rows, self._counts(acquisition, len(rows), end_ns, scans)]
        counts = np.stack(rows)
        name = f"{len(self._memory.records):05d}_{re.sub(r'[^A-Za-z0-9_.-]', '_', acquisition.key)}_{acquisition.block}"
        text = json.dumps(self._plain(acquisition, end_ns, scans), indent=1, sort_keys=True, ensure_ascii=False)
        written = await self.clock.in_thread(files.write, self._folder() / name, text, counts, "garbage" in self._faults)
        await self.clock.sleep_until(filed_ns)
        self._memory.now = self._memory.closing = None
        if "never_filed" in self._faults:
            return
        done = replace(acquisition.parameters, scans=scans if len(acquisition.rows) == 1 else acquisition.parameters.scans)
        edges_s = [(edge_ns - acquisition.start_ns) / 1e9 for edge_ns in acquisition.edges_ns()]
        row_s = tuple(pairwise(edges_s[: len(rows) + 1])) if len(acquisition.rows) > 1 else ()
        asked = acquisition.parameters.scans
        record = Record(done, written, acquisition.start_ns, end_ns, asked, row_s, len(acquisition.rows))
        self._memory.records[acquisition.key, acquisition.block] = record
        self._put(Filed(acquisition.key, acquisition.block, filed_ns, name))

    def _counts(self, acquisition: Acquisition, row: int, end_ns: int, scans: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        """int32 (points, 2): the FID of one row as the ADC sums it."""
        p = acquisition.rows[row]
        scan = Scan(
            p.nucleus,
            self._now_s(acquisition.edges_ns()[row]),
            self._now_s(end_ns),
            scans,
            p.dummies,
            p.recycle_s,
            p.points,
            p.spectral_width_Hz,
            p.carrier_MHz,
            p.pulse_s,
            p.tip_deg,
            p.dead_s,
            **of_sequence(p),
        )
        summed = self.twin.acquire(scan).view(np.float64).reshape(-1, 2)
        return np.clip(np.rint(summed), -LARGEST, LARGEST).astype("<i4")

    def _plain(self, acquisition: Acquisition, end_ns: int, scans: int) -> dict[str, Any]:
        """JSON data of ``parameters.json``."""
        start, end = (files.iso_utc(self._utc_ns(mono_ns)) for mono_ns in (acquisition.start_ns, end_ns))
        named = {"key": acquisition.key, "block": acquisition.block, "scans_asked": acquisition.parameters.scans}
        return asdict(acquisition.parameters) | named | {"scans": scans, "start_utc": start, "end_utc": end}

    def _utc_ns(self, mono_ns: int) -> int:
        return self.clock.utc_of(mono_ns) + self._clock_offset_ns

    def _folder(self) -> Path:
        if self._memory.folder is None:
            named = self.settings.options.get("scratch")
            self._memory.folder = Path(named or tempfile.mkdtemp(prefix="operando-sim-"))
            if not named:
                weakref.finalize(self._memory, shutil.rmtree, self._memory.folder, ignore_errors=True)
        return self._memory.folder

    # ------------------------------------------------------------------------------------------------------------ data

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """The data of a filed block, read from its files. Raises BadReply when they are damaged."""
        self._reach(f"fetch {key} block {block}")
        record = self._memory.records.get((key, block))
        if record is None:
            raise InstrumentError(f"`{key}` block {block} is not filed", instrument=self.settings.instrument, sent="fetch")
        stored = await self.clock.in_thread(files.read, record.files[0].path)
        points, rows = record.parameters.points, max(1, len(record.row_s))
        if stored.size != 2 * points * rows:
            raise BadReply(
                f"the FID has {stored.size // 2} points, not {points * rows}",
                instrument=self.settings.instrument,
                sent=f"fetch {key}",
            )
        data = stored.astype(np.float64).view(np.complex128)
        return self._fetched(key, block, record, data.reshape(rows, points) if record.rows_asked > 1 else data)

    def _fetched(self, key: str, block: int, record: Record, data: np.ndarray[tuple[int, ...], np.dtype[np.complex128]]) -> Fetched:
        p = record.parameters
        fits = data.size == 0 or max(np.abs(data.real).max(), np.abs(data.imag).max()) < EXACT_IN_FLOAT32
        fid = Fid(
            data.astype(np.complex64) if fits else data,
            p.nucleus,
            p.spectral_width_Hz,
            p.carrier_MHz,
            p.reference_MHz,
            p.scans,
            "<i4",
            gain=1.0,
        )
        start_ns, end_ns = self._utc_ns(record.start_ns), self._utc_ns(record.end_ns)
        stamps = {"start_utc": files.iso_utc(start_ns), "end_utc": files.iso_utc(end_ns)}
        times = VendorTimes(stamps, "UTC", start_ns, end_ns, resolution_ns=1)
        partial = p.scans < record.asked or (record.rows_asked > 1 and len(record.row_s) < record.rows_asked)
        row_s = np.array(record.row_s) if record.row_s else None
        return Fetched(
            key,
            block,
            fid,
            times,
            asdict(p) | {"key": key, "block": block, "adc_limit_counts": ADC_LIMIT * p.scans},
            record.files,
            partial,
            row_s,
        )

    async def look(self, key: str) -> Fetched:
        """The scans that are over, while the acquisition goes on."""
        self._reach(f"look {key}")
        now, now_ns = self._memory.now, self.clock.mono_ns()
        scans = now.scans_done(now_ns) if now is not None and now.key == key and self._running and self._memory.closing is None else 0
        if now is None or scans == 0 or len(now.rows) > 1:
            raise NotSupported(f"`{key}` has no scan to show", instrument=self.settings.instrument, sent=f"look {key}")
        end_ns = now.first_ns + now.parameters.duration_ns(scans)
        record = Record(replace(now.parameters, scans=scans), (), now.start_ns, end_ns, now.parameters.scans)
        return self._fetched(key, now.block, record, self._counts(now, 0, end_ns, scans).astype(np.float64).view(np.complex128)[:, 0])

    # ----------------------------------------------------------------------------------------------------------- stops

    async def halt(self, key: str) -> None:
        """Stop and keep the scans that are over; without any, the block fails."""
        self._reach(f"halt {key}")
        now = self._memory.now
        if now is None or now.key != key or self._memory.closing is not None or not await self._end_task():
            return
        scans, rows = now.scans_done(now_ns := self.clock.mono_ns()), now.rows_done(self.clock.mono_ns())
        if len(now.rows) > 1 and rows:
            self._close(now, Closing(now.edges_ns()[rows], scans, now_ns, rows))
            self._begin_task(self._file(now))
            return
        if scans == 0 or len(now.rows) > 1:
            self._fail(now, now_ns, "halted before the first scan was over")
            return
        self._close(now, Closing(now.first_ns + now.parameters.duration_ns(scans), scans, now_ns))
        self._begin_task(self._file(now))

    async def abort(self, key: str) -> None:
        """Stop and discard."""
        self._reach(f"abort {key}")
        if self._memory.now is not None and self._memory.now.key == key:
            await self._discard("aborted")

    async def _discard(self, why: str) -> None:
        now = self._memory.now
        await self._end_task()
        if now is not None:
            self._memory.closing = None
            self._fail(now, self.clock.mono_ns(), why)

    async def _make_safe(self) -> SafeState:
        """No pulse any more."""
        if self._memory.closing is None:
            await self._discard("made safe")
        return SafeState(Confirmation.CONFIRMED, "transmitter off")
