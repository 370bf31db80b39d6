"""The acquisition side of the console: a queue, one acquisition at a time, its data and stamps, what runs when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from drivers.openvnmrj.console.acquisition import ABORTED, DONE, STOPPED, Acquisition, log_text, signal, signals, submit
from drivers.openvnmrj.console.experiment import Experiment
from drivers.openvnmrj.console.parameters import ParameterSet
from drivers.openvnmrj.magical import MagicalError
from drivers.openvnmrj.replay import Exhausted, Recorded, Recording
from drivers.openvnmrj.vnmrfiles import date, log_line, read_procpar, stamp, submitted_local, write_fid, write_procpar
from drivers.sim.physics import Physics
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults
from drivers.sim.waiting import until

Process = Callable[[str, str], None]
"""Execute a text (with the name of what asked for it) as VnmrJ's processing."""
HARD_ERROR = 15
BLOCK_DONE = 12
FOR_EVER_s = 1e9
GATED = "xgate"
"""In the name of a sequence that waits for one pulse on its external gate before the first scan (consoles.md 5.5)."""
LAST_LINES = {DONE: "Acquisition complete", ABORTED: "Acquisition aborted", STOPPED: "Acquisition stopped"}


class Scanner:
    """Runs acquisitions of one experiment; ``process`` hands wbs, wnt, wexp and werr to VnmrJ, ``local`` is its clock."""

    def __init__(
        self,
        clock: Clock,
        twin: Physics,
        parameters: ParameterSet,
        *,
        experiment: Experiment,
        faults: Faults,
        local: Callable[[int], datetime],
        process: Process,
        options: Mapping[str, Any],
    ) -> None:
        self.clock = clock
        self.twin = twin
        self.parameters = parameters
        self.experiment = experiment
        self.faults = faults
        self.stamps = Stamps()
        self.overhead_s = float(options.get("overhead_s", 2.3))
        self.user = str(options.get("user", "vnmr1"))
        self.recording: Recording | None = None
        self.process = process
        self.local = local
        self.active: Acquisition | None = None
        self.queue: list[Acquisition] = []
        self.submitted = 0
        self._stop: tuple[int, str] | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Live."""
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Stop living; the state stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._task = None

    async def _live(self) -> None:
        while True:
            if self.active is None and self.queue:
                await self._begin(self.queue.pop(0))
            if self.active is None:
                await until(self.clock, None, self._changed)
            else:
                await self._go_on(self.active)

    async def _go_on(self, acquisition: Acquisition) -> None:
        block_ns, now_ns = acquisition.next_block_ns(), self.clock.mono_ns()
        if self._stop is not None:
            code, processing = self._stop
            self._stop = None
            await self._end(acquisition, code, processing, now_ns)
        elif block_ns is not None and block_ns <= now_ns:
            acquisition.blocks_told += 1
            self.parameters.put("ct", float(acquisition.delivered(now_ns)))
            self._run("wbs", acquisition)
        elif acquisition.end_ns <= now_ns:
            failed = acquisition.fail_after is not None and acquisition.planned < acquisition.nt
            await self._end(acquisition, acquisition.fail_code if failed else DONE, "werr" if failed else "wexp", acquisition.end_ns)
        else:
            await until(self.clock, min(block_ns or acquisition.end_ns, acquisition.end_ns), self._changed)

    # --------------------------------------------------------------------------------------------------------- requests

    def submit(self, *, processed: bool, user: str = "") -> None:
        """``go`` and ``au``; raises MagicalError when this experiment is busy."""
        user = user or self.user
        if any(one.user == user for one in (*self.queue, *([self.active] if self.active else []))):
            raise MagicalError("acquisition is active or queued in experiment 1")
        self.submitted += 1
        acquisition = submit(
            self.parameters,
            number=self.submitted,
            user=user,
            processed=processed,
            overhead_s=self.overhead_s,
            now_ns=self.clock.mono_ns(),
        )
        if fault := self.faults.use("acquisition_error"):
            acquisition.fail_after, acquisition.fail_code = int(fault["scans"]), int(fault["code"])
        if fault := self.faults.use("tuner_hang"):
            acquisition.held_s = FOR_EVER_s if fault["stall_s"] is None else float(fault["stall_s"])
        if GATED in str(self.parameters["seqfil"]):
            acquisition.held_s, acquisition.gated = FOR_EVER_s, True
        self.queue.append(acquisition)
        self.stamps.mark("submitted")
        self._changed.set()

    def edge(self) -> bool:
        """A pulse on the external gate; False where no sequence waits for one."""
        now = self.active
        if now is None or not now.gated:
            return False
        now.held_s, now.gated = (self.clock.mono_ns() - now.run_ns) / 1e9 - now.overhead_s, False
        self._changed.set()
        return True

    def end_now(self, code: int, processing: str) -> None:
        """``halt``, ``aa`` and the like; raises MagicalError when nothing runs. A queued one is forgotten."""
        if self.active is None and self.queue:
            self.queue.pop(0)
        elif self.active is None:
            raise MagicalError("no acquisition is active")
        else:
            self._stop = (code, processing)
            self._changed.set()

    def state_of(self) -> int:
        """``expactive``: 0 idle, 1 active, 2 and more queued."""
        if self.active is not None and self.active.user == self.user:
            return 1
        place = next((place for place, one in enumerate(self.queue) if one.user == self.user), None)
        return 0 if place is None else place + 2

    # -------------------------------------------------------------------------------------------------------- beginning

    async def _begin(self, acquisition: Acquisition) -> None:
        now_ns = self.clock.mono_ns()
        acquisition.run_ns = now_ns
        try:
            self._take_recorded(acquisition)
        except Exhausted as exhausted:
            await self._never_began(acquisition, str(exhausted))
            return
        self.active = acquisition
        self.parameters.put("ct", 0.0)
        for name, value in self._start_stamps(acquisition).items():
            self.parameters.put(name, value)
        await self.clock.in_thread(self.experiment.write_log, log_line(self.local(now_ns), "Experiment started"))

    def _take_recorded(self, acquisition: Acquisition) -> None:
        if self.recording is None:
            return
        found: Recorded = self.recording.take(str(self.parameters["tn"]))
        acquisition.recorded, acquisition.recorded_s = str(found.folder), found.duration_s
        acquisition.nt = int(found.parameters["nt"])
        acquisition.bs = int(found.parameters.get("bs", 0))

    async def _never_began(self, acquisition: Acquisition, why: str) -> None:
        self.parameters.put("acqstatus", float(HARD_ERROR), 0.0)
        self.parameters.put("comment", why)
        await self.clock.in_thread(self.experiment.write_log, log_line(self.local(acquisition.run_ns), why))
        self._run("werr", acquisition)

    def _start_stamps(self, acquisition: Acquisition) -> dict[str, str]:
        submitted, run = self.local(acquisition.submitted_ns), self.local(acquisition.run_ns)
        started_s = self.clock.utc_of(acquisition.run_ns) // 1_000_000_000
        return {
            "time_submitted": stamp(submitted),
            "time_submitted_local": submitted_local(submitted),
            "time_svfdate": stamp(submitted),
            "time_run": stamp(run),
            "time_complete": "",
            "time_processed": "",
            "time_saved": "",
            "date": date(run),
            "go_id": f"exp1.{acquisition.user}.console_{started_s}_{acquisition.number}",
        }

    # ----------------------------------------------------------------------------------------------------------- ending

    async def _end(self, acquisition: Acquisition, code: int, processing: str, end_ns: int) -> None:
        self.stamps.mark("acquired")
        scans = acquisition.planned if end_ns >= acquisition.end_ns else acquisition.delivered(end_ns)
        if code not in {DONE, STOPPED}:
            scans = acquisition.delivered(end_ns)
        if acquisition.recorded and scans > 0:
            code, processing = await self._serve_recorded(acquisition, scans, code, processing)
        else:
            await self._write(acquisition, code, scans, end_ns)
        self.parameters.put("acqstatus", float(code), 0.0)
        self.parameters.put("time_complete", stamp(self.local(end_ns)))
        self.active = None
        if processing == "wexp":
            self._run("wnt", acquisition)
        self._run(processing, acquisition)

    async def _serve_recorded(self, acquisition: Acquisition, scans: int, code: int, processing: str) -> tuple[int, str]:
        """The recorded files become the experiment's; where they cannot be read the acquisition ends as an error."""
        try:
            await self.clock.in_thread(self._copy_recorded, acquisition)
        except OSError as fault:
            why = f"{Path(acquisition.recorded).name} cannot be served: {fault.strerror}: {Path(str(fault.filename)).name}"
            await self.clock.in_thread(self.experiment.write_log, log_line(self.local(self.clock.mono_ns()), why))
            return HARD_ERROR, "werr"
        self.parameters.put("ct", float(scans))
        return code, processing

    def _copy_recorded(self, acquisition: Acquisition) -> None:
        source = Path(acquisition.recorded)
        log = source / "log"
        self.experiment.write_data(
            (source / "fid").read_bytes(), (source / "procpar").read_bytes(), log.read_bytes() if log.exists() else b""
        )

    async def _write(self, acquisition: Acquisition, code: int, scans: int, end_ns: int) -> None:
        if acquisition.row_repeat_s:
            rows, done = signals(acquisition, self.parameters, self.twin, end_ns), acquisition.rows_done(end_ns)
            fid = write_fid(rows, *(acquisition.nt if row < done else 0 for row in range(len(rows))))
        else:
            fid = write_fid(signal(acquisition, self.parameters, self.twin, scans), scans)
        procpar = read_procpar(acquisition.frozen)
        values: dict[str, list[float | str]] = {name: [value] for name, value in self._start_stamps(acquisition).items()}
        values |= {"time_complete": [stamp(self.local(end_ns))], "ct": [float(scans)], "acqstatus": [float(code), 0.0]}
        for name, value in values.items():
            procpar[name].values = value
        self.parameters.put("ct", float(scans))
        last = LAST_LINES.get(code, f"Acquisition error {code}")
        log = log_text(acquisition, self.local, last, end_ns)
        await self.clock.in_thread(
            self.experiment.write_data,
            fid,
            write_procpar(procpar.values()).encode("latin-1", errors="replace"),
            log.encode("latin-1"),
        )

    async def deliver(self) -> None:
        """What full blocks have brought of what runs is in the experiment now; a recording's data come when it ends."""
        acquisition, now_ns = self.active, self.clock.mono_ns()
        if acquisition is None or acquisition.recorded or acquisition.delivered(now_ns) == 0:
            return
        await self._write(acquisition, BLOCK_DONE, acquisition.delivered(now_ns), now_ns)

    def _run(self, name: str, acquisition: Acquisition) -> None:
        text = str(self.parameters[name]) if name else ""
        if acquisition.processed and text:
            self.parameters.put("time_processed", stamp(self.local(self.clock.mono_ns())))
            self.process(text, name)

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "active": None if self.active is None else self.active.plain(),
            "queue": [one.plain() for one in self.queue],
            "submitted": self.submitted,
            "stop": None if self._stop is None else list(self._stop),
            "served": None if self.recording is None else dict(self.recording.served),
        }

    def restore(self, state: Mapping[str, Any], later_ns: int = 0) -> None:
        """Go on from a snapshot; ``later_ns``: by how much the clock's origin has moved."""
        self.active = None if state["active"] is None else _moved(state["active"], later_ns)
        self.queue = [_moved(one, later_ns) for one in state["queue"]]
        self.submitted = state["submitted"]
        self._stop = None if state["stop"] is None else (state["stop"][0], state["stop"][1])
        if self.recording is not None and state["served"] is not None:
            self.recording.served = dict(state["served"])


def _moved(plain: Mapping[str, Any], later_ns: int) -> Acquisition:
    found = Acquisition(**plain)
    found.submitted_ns += later_ns
    found.run_ns += later_ns if found.run_ns >= 0 else 0
    return found
