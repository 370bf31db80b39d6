"""The acquisition server: one acquisition at a time, its data and stamps. It outlives a crash of the program in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from drivers.clock import Clock
from drivers.sim.physics import Physics
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults
from drivers.topspin.console import writer
from drivers.topspin.console.acquisition import Acquisition, signal
from drivers.topspin.console.site import Site

KEEP, DISCARD = "halt", "stop"
BITES = ("rows_lost", "acquisition_error", "trigger_missed", "audit_missing", "audit_broken", "disk_full")


class AcquisitionServer:
    """Runs what it is given; ``faults`` of an acquisition are taken when it begins."""

    def __init__(self, clock: Clock, twin: Physics, site: Site, faults: Faults) -> None:
        self.clock = clock
        self.twin = twin
        self.site = site
        self.faults = faults
        self.stamps = Stamps()
        self.active: Acquisition | None = None
        self.done = 0
        self._ended: dict[int, asyncio.Event] = {}
        self._stop = ""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Live; what a snapshot brought goes on."""
        self._task = asyncio.create_task(self._live(), name="acquisition server")

    async def stop(self) -> None:
        """Stop living; the state stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._task = None

    async def _live(self) -> None:
        while True:
            if self.active is None:
                await self._wait(None)
            else:
                await self._go_on(self.active)

    async def _wait(self, until_ns: int | None) -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        waiting: set[asyncio.Future[Any]] = {changed}
        if until_ns is not None:
            waiting.add(asyncio.ensure_future(self.clock.sleep_until(until_ns)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in waiting:
                future.cancel()
        self._changed.clear()

    async def _go_on(self, acquisition: Acquisition) -> None:
        now_ns = self.clock.mono_ns()
        if self._stop:
            how, self._stop = self._stop, ""
            await self._end(acquisition, now_ns, keep=how == KEEP)
        elif not acquisition.waits_for_trigger and acquisition.end_ns <= now_ns:
            await self._end(acquisition, acquisition.end_ns, keep="acquisition_error" not in acquisition.faults)
        else:
            await self._wait(None if acquisition.waits_for_trigger else acquisition.end_ns)

    # --------------------------------------------------------------------------------------------------------- requests

    def begin(self, acquisition: Acquisition) -> None:
        """Take an acquisition, with the faults that are to befall it. Nothing else may run."""
        assert self.active is None
        if acquisition.user == self.site.desk.user:
            self._befall(acquisition)
        self.active = acquisition
        self._ended[acquisition.number] = asyncio.Event()
        self.stamps.mark("started")
        self._changed.set()

    def _befall(self, acquisition: Acquisition) -> None:
        for name in BITES:
            if (fault := self.faults.use(name)) is not None:
                acquisition.faults[name] = {key: value for key, value in fault.items() if key != "times"}
        acquisition.waits_for_trigger = "trigger_missed" in acquisition.faults
        if "acquisition_error" in acquisition.faults:
            acquisition.NS = min(acquisition.NS, int(acquisition.faults["acquisition_error"]["scans"]))
        if "slow" in self.faults:
            acquisition.scan_s *= float(self.faults["slow"]["factor"])

    async def ended(self, number: int) -> None:
        """Wait until that acquisition's files are written (or it was given up)."""
        if number in self._ended:
            await self._ended[number].wait()

    def finish(self, how: str) -> bool:
        """``halt`` keeps, ``stop`` discards; False when nothing runs."""
        if self.active is None:
            return False
        self._stop = how
        self._changed.set()
        return True

    async def transfer(self) -> bool:
        """``tr``: what is there so far, on the disk; the scan goes on. The audit trail still says in progress (inferred)."""
        acquisition = self.active
        scans = 0 if acquisition is None else acquisition.scans_done(self.clock.mono_ns())
        if acquisition is None or not scans or acquisition.rows > 1:
            return False
        now = self.site.local()
        times = writer.Times(self.site.local(acquisition.run_ns), now, now)
        rows = [signal(acquisition, self.twin, self.site.release, scans)]
        shared = await self.clock.in_thread(writer.write_data, self.site, acquisition, rows)
        await self.clock.in_thread(writer.write_status, self.site, acquisition, shared, scans, times)
        return True

    # ----------------------------------------------------------------------------------------------------------- ending

    async def _end(self, acquisition: Acquisition, end_ns: int, *, keep: bool) -> None:
        self.stamps.mark("acquired")
        scans = acquisition.scans_done(end_ns)
        if keep and scans > 0:
            await self._file(acquisition, scans, end_ns)
        else:
            await self.clock.in_thread(writer.touch, self.site, f"{acquisition.number} stopped")
        self.active = None
        self._stop = ""
        self.done += 1
        if acquisition.number in self._ended:
            self._ended.pop(acquisition.number).set()
        self.stamps.mark("filed")

    async def _file(self, acquisition: Acquisition, scans: int, end_ns: int) -> None:
        """Data first, then the audit trail, then the status file."""
        rows = self._rows(acquisition, scans)
        late = bool(float(self.faults["files_late"]["seconds"])) if "files_late" in self.faults else False
        if late:
            self._release_waiters(acquisition)
            await self.clock.sleep(float(self.faults["files_late"]["seconds"]))
        else:
            await self.clock.sleep(self.site.write_s)
        half = "disk_full" in acquisition.faults
        shared = await self.clock.in_thread(lambda: writer.write_data(self.site, acquisition, rows, half=half))
        times = writer.Times(self.site.local(acquisition.run_ns), self.site.local(end_ns), self.site.local())
        done = scans if acquisition.rows == 1 else acquisition.NS
        if half:
            return
        if "audit_missing" in acquisition.faults:
            await self.clock.in_thread((acquisition.place.path / "audita.txt").unlink, True)
        else:
            wrong = "audit_broken" in acquisition.faults
            await self.clock.in_thread(lambda: writer.write_audit(self.site, acquisition, shared, times, wrong=wrong))
        await self.clock.in_thread(writer.write_status, self.site, acquisition, shared, done, times)

    def _release_waiters(self, acquisition: Acquisition) -> None:
        if acquisition.number in self._ended:
            self._ended[acquisition.number].set()

    def _rows(self, acquisition: Acquisition, scans: int) -> list[Any]:
        if acquisition.rows == 1:
            return [signal(acquisition, self.twin, self.site.release, scans)]
        full = 1 if "rows_lost" in acquisition.faults else acquisition.rows
        shares = [min(acquisition.NS, max(0, scans - row * acquisition.NS)) for row in range(acquisition.rows)]
        return [signal(acquisition, self.twin, self.site.release, share if row < full else 0, row) for row, share in enumerate(shares)]

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {"active": None if self.active is None else self.active.plain(), "done": self.done, "stop": self._stop}

    def restore(self, state: Mapping[str, Any], later_ns: int = 0) -> None:
        """Go on from a snapshot; ``later_ns``: by how much the clock's origin has moved."""
        if state["active"] is not None:
            self.active = Acquisition(**state["active"])
            self.active.run_ns += later_ns
            self._ended[self.active.number] = asyncio.Event()
        self.done, self._stop = state["done"], state["stop"]
