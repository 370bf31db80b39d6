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
from drivers.sim.waiting import until
from drivers.topspin.console import writer
from drivers.topspin.console.acquisition import Acquisition, signal, waits_for_edge
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
        self.late: list[tuple[int, Acquisition]] = []
        """Acquisitions whose files are still to come, and when."""
        self.done = 0
        self._ended: dict[int, asyncio.Event] = {}
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
            now_ns = self.clock.mono_ns()
            end_ns = None if self.active is None else self.active.end_ns
            if self.late and self.late[0][0] <= now_ns:
                await self._file(self.late[0][1])
                self.late.pop(0)
            elif self.active is not None and end_ns is not None and end_ns <= now_ns:
                await self._end(self.active)
            else:
                instants = (end_ns, self.late[0][0] if self.late else None)
                await until(self.clock, min((at_ns for at_ns in instants if at_ns is not None), default=None), self._changed)

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
        acquisition.waits_for_trigger = "trigger_missed" in acquisition.faults or waits_for_edge(acquisition)
        if "acquisition_error" in acquisition.faults:
            acquisition.NS = min(acquisition.NS, int(acquisition.faults["acquisition_error"]["scans"]))
        if "slow" in self.faults:
            acquisition.scan_s *= float(self.faults["slow"]["factor"])

    def edge(self) -> bool:
        """An edge on the trigger input; False where nothing waits for one."""
        now = self.active
        if now is None or not now.waits_for_trigger or "trigger_missed" in now.faults:
            return False
        now.waits_for_trigger, now.edge_ns = False, self.clock.mono_ns()
        self._changed.set()
        return True

    async def ended(self, number: int) -> None:
        """Wait until that acquisition's files are written (or it was given up)."""
        if number in self._ended:
            await self._ended[number].wait()

    def finish(self, how: str) -> bool:
        """``halt`` keeps, ``stop`` discards; False when nothing runs."""
        if self.active is None or self.active.cut_ns is not None:
            return False
        self.active.cut_ns, self.active.kept = self.clock.mono_ns(), how == KEEP
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

    async def _end(self, acquisition: Acquisition) -> None:
        self.stamps.mark("acquired")
        files_late = self.faults.on.get("files_late")
        if not acquisition.kept or not acquisition.scans_done(_end_of(acquisition)) or "acquisition_error" in acquisition.faults:
            await self.clock.in_thread(writer.touch, self.site, f"{acquisition.number} stopped")
        elif files_late is not None:
            self.late.append((self.clock.mono_ns() + round(float(files_late["seconds"]) * 1e9), acquisition))
        else:
            await self.clock.sleep(self.site.write_s)
            await self._file(acquisition)
        self.active = None
        self.done += 1
        if acquisition.number in self._ended:
            self._ended.pop(acquisition.number).set()
        self.stamps.mark("filed")

    async def _file(self, acquisition: Acquisition) -> None:
        """Data first, then the audit trail, then the status file."""
        end_ns, half = _end_of(acquisition), "disk_full" in acquisition.faults
        scans = acquisition.scans_done(end_ns)
        rows = self._rows(acquisition, scans)
        shared = await self.clock.in_thread(lambda: writer.write_data(self.site, acquisition, rows, half=half))
        if half:
            return
        times = writer.Times(self.site.local(acquisition.run_ns), self.site.local(end_ns), self.site.local())
        if "audit_missing" in acquisition.faults:
            await self.clock.in_thread((acquisition.place.path / "audita.txt").unlink, True)
        else:
            wrong = "audit_broken" in acquisition.faults
            await self.clock.in_thread(lambda: writer.write_audit(self.site, acquisition, shared, times, wrong=wrong))
        done = scans if acquisition.rows == 1 else acquisition.NS
        await self.clock.in_thread(writer.write_status, self.site, acquisition, shared, done, times)

    def _rows(self, acquisition: Acquisition, scans: int) -> list[Any]:
        if acquisition.rows == 1:
            return [signal(acquisition, self.twin, self.site.release, scans)]
        full = 1 if "rows_lost" in acquisition.faults else acquisition.rows
        shares = [min(acquisition.NS, max(0, scans - row * acquisition.NS)) for row in range(acquisition.rows)]
        return [signal(acquisition, self.twin, self.site.release, share if row < full else 0, row) for row, share in enumerate(shares)]

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "active": None if self.active is None else self.active.plain(),
            "late": [[at_ns, acquisition.plain()] for at_ns, acquisition in self.late],
            "done": self.done,
        }

    def restore(self, state: Mapping[str, Any], later_ns: int = 0) -> None:
        """Go on from a snapshot; ``later_ns``: by how much the clock's origin has moved."""
        self.active = None if state["active"] is None else _moved(state["active"], later_ns)
        self.late = [(at_ns + later_ns, _moved(plain, later_ns)) for at_ns, plain in state["late"]]
        self.done = state["done"]
        if self.active is not None:
            self._ended[self.active.number] = asyncio.Event()


def _moved(plain: Mapping[str, Any], later_ns: int) -> Acquisition:
    found = Acquisition(**plain)
    found.run_ns += later_ns
    found.cut_ns = None if found.cut_ns is None else found.cut_ns + later_ns
    found.edge_ns = None if found.edge_ns is None else found.edge_ns + later_ns
    return found


def _end_of(acquisition: Acquisition) -> int:
    assert acquisition.end_ns is not None
    return acquisition.end_ns
