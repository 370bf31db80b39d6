"""A console in memory, on the twin: obeys ``drivers.base.Console`` without any wire.

An acquisition lasts (dummies + scans) × (recycle + points / spectral width); then ``overhead_s`` (2.8) until its files
are there. A template names its nucleus and either a built-in ``series`` or the parameters themselves (flat, or under
``parameters``): ``carrier_ppm`` or ``carrier_MHz``, ``spectral_width_Hz``, ``points``, ``pulse_us``, ``tip_deg``,
``dead_us``; ``name``, ``dataset`` and ``arrays`` are ignored (blocks are the same acquisition again), anything else is
refused.

Files, in ``settings.options["scratch"]`` (else a temporary folder that ``release`` removes), one folder a block:

    parameters.json   key, block, nucleus, every parameter, scans, times in ISO 8601 UTC; sorted, UTF-8
    fid.bin           points × (real, imaginary), little-endian int32: the summed ADC counts

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
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
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
    Identity,
    Progress,
    RawFile,
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
from drivers.sim.template import Parameters, parameters

EXACT_IN_FLOAT32 = 1 << 24
LARGEST = (1 << 31) - 1
FAULTS = frozenset(
    {"start_error", "start_error_but_runs", "echoes_no_start", "silent", "fails", "never_filed", "garbage", "foreign", "wrong_nucleus"}
)
COMMANDS = frozenset({"prepare", "start", "halt", "abort", "fetch", "look", "make_safe"})


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One block under way."""

    key: str
    block: int
    parameters: Parameters
    start_ns: int

    def scans_done(self, now_ns: int) -> int:
        """Scans that are over at an instant."""
        passed = math.floor(((now_ns - self.start_ns) / 1e9 + 1e-9) / self.parameters.repetition_s)
        return min(self.parameters.scans, max(0, passed - self.parameters.dummies))


@dataclass(frozen=True, slots=True)
class Record:
    """One filed block: enough to fetch it again from its files."""

    parameters: Parameters
    files: tuple[RawFile, ...]
    start_ns: int
    end_ns: int
    asked: int


class SimConsole(SimInstrument[ConsoleEvent]):
    """The simulated console; made by the entry point ``sim``."""

    fault_names = FAULTS

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = settings.options
        self._overhead_s = float(options.get("overhead_s", 2.8))
        self._progress_every_s = float(options.get("progress_every_s", 10.0))
        self._clock_offset_ns = round(float(options.get("clock_offset_s", 0.0)) * 1e9)
        self.capabilities = ConsoleCapabilities(commands=COMMANDS, progress=True, look=True, overhead_s=self._overhead_s, make_safe_s=1.0)
        self._scratch = Path(options["scratch"]) if "scratch" in options else None
        self._own_scratch: Path | None = None
        self._prepared: dict[str, Parameters] = {}
        self._started: set[tuple[str, int]] = set()
        self._records: dict[tuple[str, int], Record] = {}
        self._now: Acquisition | None = None
        self._filing = False

    async def connect(self) -> Identity:
        """Say who is there; changes nothing."""
        self._reach("identify")
        return Identity("operando-nmr", "simulated console", serial=self.settings.instrument, firmware="1", simulated=True)

    async def read_state(self) -> ConsoleState:
        """What it is doing."""
        self._reach("state")
        if "foreign" in self._faults:
            return ConsoleState(ConsoleActivity.FOREIGN, detail="somebody else's acquisition")
        if self._now is None or not self._running:
            return ConsoleState(ConsoleActivity.IDLE)
        done = self._now.scans_done(self.clock.mono_ns())
        return ConsoleState(ConsoleActivity.ACQUIRING, self._now.key, self._now.block, done, "filing" if self._filing else "")

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
        except ValueError as error:
            sent = f"prepare {order.key} {dict(order.template)}"
            raise Rejected(str(error), instrument=self.settings.instrument, sent=sent, did="nothing was set") from None
        self._prepared[order.key] = made
        shown = asdict(made)
        if "wrong_nucleus" not in self._faults:
            return ReadBack(shown)
        return ReadBack({**shown, "nucleus": "1H"}, {"nucleus": (order.nucleus, "1H")})

    async def start(self, key: str, block: int = 0) -> None:
        """Start what was prepared; the same key and block twice is once."""
        sent = f"start {key} block {block}"
        self._reach(sent)
        if (key, block) in self._started:
            return
        why = "not prepared" if key not in self._prepared else "another acquisition runs" if self._running else ""
        if why or "foreign" in self._faults:
            raise Rejected(why or "somebody else's acquisition runs", instrument=self.settings.instrument, sent=sent)
        if "start_error" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=sent)
        self._started.add((key, block))
        if "echoes_no_start" not in self._faults:
            self._now = Acquisition(key, block, self._prepared[key], self.clock.mono_ns())
            self._put(Started(key, block, self._now.start_ns))
            self._begin_task(self._acquire(self._now))
        if "start_error_but_runs" in self._faults:
            raise OutcomeUnknown("the start was not confirmed", instrument=self.settings.instrument, sent=sent)

    async def _acquire(self, acquisition: Acquisition) -> None:
        """Scan, saying now and then how far it is; then file."""
        asked = acquisition.parameters
        each = max(1, math.ceil(self._progress_every_s / asked.repetition_s))
        for scans in range(each, asked.scans, each):
            at_ns = acquisition.start_ns + asked.duration_ns(scans)
            await self.clock.sleep_until(at_ns)
            self._put(Progress(acquisition.key, acquisition.block, at_ns, scans))
        end_ns = acquisition.start_ns + asked.duration_ns(asked.scans)
        await self.clock.sleep_until(end_ns)
        if "fails" in self._faults:
            self._put(Failed(acquisition.key, acquisition.block, end_ns, "the fault `fails` is on"))
            return
        self._put(Acquired(acquisition.key, acquisition.block, end_ns, asked.scans))
        await self._file(acquisition, end_ns, asked.scans, end_ns)

    async def _file(self, acquisition: Acquisition, end_ns: int, scans: int, acquired_ns: int) -> None:
        """Make the FID and its files; then they are there."""
        filed_ns = acquired_ns + round(self._overhead_s * 1e9)
        self._filing = True
        try:
            counts = self._counts(acquisition, end_ns, scans)
            name = f"{len(self._records):05d}_{re.sub(r'[^A-Za-z0-9_.-]', '_', acquisition.key)}_{acquisition.block}"
            text = json.dumps(self._plain(acquisition, end_ns, scans), indent=1, sort_keys=True, ensure_ascii=False)
            written = await self.clock.in_thread(files.write, self._folder() / name, text, counts, "garbage" in self._faults)
            await self.clock.sleep_until(filed_ns)
        finally:
            self._filing = False
        if "never_filed" in self._faults:
            return
        done = replace(acquisition.parameters, scans=scans)
        self._records[acquisition.key, acquisition.block] = Record(
            done, written, acquisition.start_ns, end_ns, acquisition.parameters.scans
        )
        self._put(Filed(acquisition.key, acquisition.block, filed_ns, name))

    def _counts(self, acquisition: Acquisition, end_ns: int, scans: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        """int32 (points, 2): the FID as the ADC sums it."""
        p = acquisition.parameters
        scan = Scan(
            p.nucleus,
            self._now_s(acquisition.start_ns),
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
        if self._scratch is not None:
            return self._scratch
        if self._own_scratch is None:
            self._own_scratch = Path(tempfile.mkdtemp(prefix="operando-sim-"))
        return self._own_scratch

    # ------------------------------------------------------------------------------------------------------------ data

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        """The data of a filed block, read from its files. Raises BadReply when they are damaged."""
        self._reach(f"fetch {key} block {block}")
        record = self._records.get((key, block))
        if record is None:
            raise InstrumentError(f"`{key}` block {block} is not filed", instrument=self.settings.instrument, sent="fetch")
        stored = await self.clock.in_thread(files.read, record.files[0].path)
        if stored.size != 2 * record.parameters.points:
            raise BadReply(
                f"the FID has {stored.size // 2} points, not {record.parameters.points}",
                instrument=self.settings.instrument,
                sent=f"fetch {key}",
            )
        return self._fetched(key, block, record, stored.astype(np.float64).view(np.complex128))

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
        return Fetched(key, block, fid, times, asdict(p) | {"key": key, "block": block}, record.files, partial=p.scans < record.asked)

    async def look(self, key: str) -> Fetched:
        """The scans that are over, while the acquisition goes on."""
        self._reach(f"look {key}")
        now, now_ns = self._now, self.clock.mono_ns()
        scans = now.scans_done(now_ns) if now is not None and now.key == key and self._running and not self._filing else 0
        if now is None or scans == 0:
            raise NotSupported(f"`{key}` has no scan to show", instrument=self.settings.instrument, sent=f"look {key}")
        end_ns = now.start_ns + now.parameters.duration_ns(scans)
        record = Record(replace(now.parameters, scans=scans), (), now.start_ns, end_ns, now.parameters.scans)
        return self._fetched(key, now.block, record, self._counts(now, end_ns, scans).astype(np.float64).view(np.complex128)[:, 0])

    # ----------------------------------------------------------------------------------------------------------- stops

    async def halt(self, key: str) -> None:
        """Stop and keep the scans that are over; without any, the block fails."""
        self._reach(f"halt {key}")
        now = self._now
        if now is None or now.key != key or self._filing or not await self._end_task():
            return
        scans = now.scans_done(now_ns := self.clock.mono_ns())
        if scans == 0:
            self._put(Failed(key, now.block, now_ns, "halted before the first scan was over"))
            return
        end_ns = now.start_ns + now.parameters.duration_ns(scans)
        self._put(Acquired(key, now.block, now_ns, scans))
        self._begin_task(self._file(now, end_ns, scans, now_ns))

    async def abort(self, key: str) -> None:
        """Stop and discard."""
        self._reach(f"abort {key}")
        if self._now is not None and self._now.key == key:
            await self._discard("aborted")

    async def _discard(self, why: str) -> None:
        now = self._now
        if await self._end_task() and now is not None:
            self._put(Failed(now.key, now.block, self.clock.mono_ns(), why))

    async def make_safe(self) -> SafeState:
        """No pulse any more."""
        if self._unheard or "silent" in self._faults:
            return SafeState(Confirmation.UNCONFIRMED, "the simulated console does not answer")
        if not self._filing:
            await self._discard("made safe")
        return SafeState(Confirmation.CONFIRMED, "transmitter off")

    async def release(self) -> None:
        """Let go; a temporary scratch folder goes with it."""
        await self._end_task()
        if self._own_scratch is not None:
            await self.clock.in_thread(shutil.rmtree, self._own_scratch, True)
            self._own_scratch = None
