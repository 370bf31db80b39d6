"""The program itself: one run at a time, and what it says of it to everybody. Requests are answered in ``requests.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.clock import Clock
from drivers.sim.physics import Physics
from drivers.sim.stamps import Stamps
from drivers.sim.switches import Faults
from drivers.sim.waiting import until
from drivers.spinsolve.instrument import files, messages, protocols
from drivers.spinsolve.instrument.desk import Desk
from drivers.spinsolve.instrument.files import Disk
from drivers.spinsolve.instrument.messages import tag, text
from drivers.spinsolve.instrument.protocols import Refused
from drivers.spinsolve.instrument.run import ANSWER, COMPLETED, ERROR, FILE, READY, RESET, RUNNING, STOPPING, Run, moved, signal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BITES = ("error_while_running", "run_fails", "empty_folder", "drop_ready", "drop_completed", "disk_full", "no_data", "wrong_nucleus")
LASTING = ("swap_ready_completed", "folder_late", "slow")
SHIM_REQUESTS = {"CheckShimRequest": "CheckShim", "QuickShimRequest": "QuickShim", "PowerShimRequest": "PowerShim"}
BUSY, NO_HARDWARE, MIDDLE = "Device is busy", "Not connected to hardware", "Signal overload"
"""Texts of errors: all invented, none is public."""

Broadcast = Callable[[bytes], None]
Answer = Callable[[int, bytes], None]


class Program:
    """``broadcast`` says something to all clients, ``answer`` to one by its number, ``reset`` cuts everybody off."""

    def __init__(
        self,
        clock: Clock,
        twin: Physics,
        faults: Faults,
        disk: Disk,
        options: Mapping[str, Any],
        *,
        broadcast: Broadcast,
        answer: Answer,
        reset: Callable[[], None],
    ) -> None:
        self.clock, self.twin, self.faults, self.disk = clock, twin, faults, disk
        self.broadcast, self.answer, self.reset = broadcast, answer, reset
        self.stamps = Stamps()
        self.profile = str(options.get("profile", "real"))
        if self.profile not in {"real", "xsd"}:
            raise ValueError(f"no profile is called `{self.profile}`; there are: real, xsd")
        self.strict = bool(options.get("strict", self.profile == "xsd"))
        self.version = str(options.get("version", files.VERSION))
        self.model = str(options.get("model", "Spinsolve 60 Multi-X"))
        self.zone = ZoneInfo(str(options.get("zone", "UTC")))
        self.clock_off_s = float(options.get("clock_off_s", 0.0))
        self.overhead_s = float(options.get("overhead_s", 1.0))
        self.write_s = float(options.get("write_s", 1.0))
        self.line_width_Hz = float(options.get("line_width_Hz", 0.6))
        self.lock = bool(options.get("lock", True))
        self.desk = Desk(faults, disk.home, strict=self.strict)
        self.run: Run | None = None
        self.late: list[tuple[int, Run]] = []
        self.done = 0
        self._changed = asyncio.Event()

    def forget(self) -> None:
        """As the program is when it has just been opened."""
        self.desk.clear()
        self.run = None

    # ------------------------------------------------------------------------------------------------------------- life

    def wake(self) -> None:
        """Something has changed: look again what comes next."""
        self._changed.set()

    async def live(self) -> None:
        """Do what falls due, for ever; what a snapshot brought goes on."""
        while True:
            now_ns = self.clock.mono_ns()
            if self.late and self.late[0][0] <= now_ns:
                await self._file(self.late[0][1])
                self.late.pop(0)
            elif self.run is None and "foreign_run" in self.faults:
                self._foreign()
            elif self.run is not None and self._due(self.run) <= now_ns:
                await self._go_on(self.run, now_ns)
            else:
                await self._wait(self._due(self.run) if self.run is not None else None)

    def _due(self, run: Run) -> int:
        plan, progress = run.plan(), run.next_progress()
        return min([at_ns for at_ns, _ in plan[:1]] + ([progress[0]] if progress else []), default=0)

    async def _wait(self, until_ns: int | None) -> None:
        instants = [at_ns for at_ns in (until_ns, self.late[0][0] if self.late else None) if at_ns is not None]
        await until(self.clock, min(instants, default=None), self._changed)

    # ------------------------------------------------------------------------------------------------------------- time

    def local(self, mono_ns: int | None = None) -> datetime:
        """What the PC's clock shows, now or at an instant."""
        off_s = self.clock_off_s + (float(self.faults["clock_off"]["seconds"]) if "clock_off" in self.faults else 0.0)
        utc_ns = self.clock.utc_ns() if mono_ns is None else self.clock.utc_of(mono_ns)
        return (EPOCH + timedelta(microseconds=utc_ns // 1000, seconds=off_s)).astimezone(self.zone)

    # ---------------------------------------------------------------------------------------------------------- a run's life

    async def _go_on(self, run: Run, now_ns: int) -> None:
        """The one thing that comes next."""
        plan, progress = run.plan(), run.next_progress()
        if progress is not None and progress[0] <= (plan[0][0] if plan else now_ns):
            run.told_scans = progress[1]
            self._progress(run, now_ns)
            return
        if not plan:
            self._over(run)
            return
        what = plan[0][1]
        run.told.append(what)
        if what in {FILE, COMPLETED}:
            await (self._filing(run, now_ns) if what == FILE else self._completed(run))
        elif what == ANSWER:
            self._shimmed(run)
        else:
            {RUNNING: self._running, STOPPING: self._stopping, ERROR: self._error, RESET: self._reset, READY: self._ready}[what](run)

    def _over(self, run: Run) -> None:
        self.run = None
        self.done += 1
        self.stamps.mark(f"over {run.number}")

    def _notify(self, inside: str) -> None:
        self.broadcast(messages.notification(f"{self.local():%H:%M:%S}", inside))

    def _state(self, run: Run, status: str, folder: str = "") -> None:
        self._notify(tag("State", {"protocol": run.protocol, "status": status, "dataFolder": folder}))

    def _running(self, run: Run) -> None:
        self.stamps.mark("started")
        self._state(run, "Running")

    def _stopping(self, run: Run) -> None:
        self._state(run, "Stopping")

    def _progress(self, run: Run, now_ns: int) -> None:
        if "drop_progress" in self.faults:
            return
        shown = {"protocol": run.protocol, "percentage": 100 * run.told_scans // run.scans}
        if self.profile == "real":
            shown["secondsRemaining"] = run.seconds_left(now_ns)
        self._notify(tag("Progress", shown))

    def _error(self, run: Run) -> None:
        self.complain(run.protocol, MIDDLE)

    def complain(self, protocol: str, why: str) -> None:
        """An Error, to everybody."""
        self._notify(tag("Error", {"protocol": protocol, "error": why}))

    def _reset(self, _run: Run) -> None:
        self.reset()

    def _ready(self, run: Run) -> None:
        self.stamps.mark("acquired")
        if "drop_ready" not in run.faults:
            hidden = "empty_folder" in run.faults or not run.files
            self._state(run, "Ready", "" if hidden else run.folder)

    async def _filing(self, run: Run, now_ns: int) -> None:
        run.user_data, run.sample, run.solvent = dict(self.desk.user_data), self.desk.sample, self.desk.solvent
        if run.foreign:
            run.user_data = {}
        if "folder_late" in run.faults:
            self.late.append((now_ns + round(float(run.faults["folder_late"]["seconds"]) * 1e9), run))
        elif run.files:
            await self._file(run)

    async def _file(self, run: Run) -> None:
        settings, fid = signal(run, self.twin, run.planned)
        half, data = "disk_full" in run.faults, "no_data" not in run.faults
        folder = self.disk.local(run.folder)
        await self.clock.in_thread(lambda: files.write(folder, run, settings, fid, scans=run.planned, half=half, data=data))
        self.stamps.mark("filed")

    async def _completed(self, run: Run) -> None:
        if "drop_completed" not in run.faults:
            shown = {"protocol": run.protocol, "completed": run.cut_ns is None, "successful": run.successful}
            self._notify(tag("Completed", shown))

    # ------------------------------------------------------------------------------------------------------------- shims

    def _shimmed(self, run: Run) -> None:
        if run.client is not None:
            self.answer(run.client, messages.document(self._shim_response(run.request)))

    def _shim_response(self, request: str, error: str = "") -> str:
        width_Hz = float(self.faults["shim_bad"]["line_width_Hz"]) if "shim_bad" in self.faults else self.line_width_Hz
        lock = self.lock and "lock_lost" not in self.faults
        rows = {
            "OperatingTemperature": True,
            "StableTemperatures": True,
            "StableLock": lock,
            "LineWidth": width_Hz,
            "BaseWidth": 20.0 * width_Hz,
            "SystemIsReady": lock and width_Hz <= 1.1,
        }
        inside = "".join(text(name, value) for name, value in rows.items())
        return tag(request.replace("Request", "Response"), {"error": error} if error else {}, inside)

    # ------------------------------------------------------------------------------------------------------- what is told

    def lasts_s(self, name: str, given: Mapping[str, str]) -> float:
        """How long a run would take. Raises Refused."""
        scans, scan_s = protocols.timing(*protocols.settled(name, given))
        return self.overhead_s + scans * scan_s + self.write_s

    def abort(self) -> None:
        """The scan that is under way is the last."""
        if self.run is not None:
            self.run.cut(self.clock.mono_ns())
            self.wake()

    def shim(self, request: str, client: int) -> str | None:
        """None: the client hears of it when it is over."""
        if self.run is not None or "hardware_off" in self.faults:
            return self._shim_response(request, BUSY if self.run is not None else NO_HARDWARE)
        run = self._new("SHIM", {"Shim": SHIM_REQUESTS[request]})
        run.request, run.client = request, client
        self._begin(run)
        return None

    def ask_to_start(self, name: str, given: Mapping[str, str]) -> None:
        """``Start`` of a client."""
        self.stamps.mark("start read")
        if self.faults.use("start_ignored"):
            return
        if self.run is not None or self.faults.use("busy"):
            self.complain(name, BUSY)
        elif "hardware_off" in self.faults:
            self.complain(name, NO_HARDWARE)
        else:
            self.press(name, given)

    def press(self, name: str, given: Mapping[str, str], *, foreign: bool = False) -> None:
        """Start a protocol; an Error to everybody where that cannot be."""
        try:
            run = self._new(name, given)
        except Refused as refused:
            self.complain(name, str(refused))
            return
        run.foreign = foreign
        self._begin(run)

    def _new(self, name: str, given: Mapping[str, str]) -> Run:
        protocol, values = protocols.settled(name, given)
        if not protocol.emulated:
            raise Refused(f"Protocol '{name}' is not emulated")
        scans, scan_s = protocols.timing(protocol, values)
        self.desk.last_options[name] = dict(values)
        now_ns, when = self.clock.mono_ns(), self.local()
        slow = float(self.faults["slow"]["factor"]) if "slow" in self.faults else 1.0
        return Run(
            self.done + 1,
            name,
            values,
            now_ns,
            scans,
            scan_s * slow,
            self.overhead_s,
            self.write_s,
            folder=self.disk.folder_of_run(self.desk.folder_kind, self.desk.folder, when, self.done + 1),
            began=when.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        )

    def _begin(self, run: Run) -> None:
        if not run.foreign and not run.request:
            self._befall(run)
        self.run = run
        self.wake()

    def _befall(self, run: Run) -> None:
        for name in (*BITES, *LASTING):
            if (fault := self.faults.use(name)) is not None:
                run.faults[name] = {key: value for key, value in fault.items() if key != "times"}
        if "connection_reset" in self.faults:
            run.faults["connection_reset"] = {}

    def _foreign(self) -> None:
        """Somebody presses a button of the program."""
        fault = self.faults["foreign_run"]
        self.faults.clear("foreign_run")
        mine = self.desk.folder_kind, self.desk.folder
        self.desk.folder_kind, self.desk.folder = "TimeStamp", self.disk.home
        self.press(str(fault["protocol"]), {}, foreign=True)
        self.desk.folder_kind, self.desk.folder = mine
        if self.run is not None:
            self.run.scans, self.run.scan_s = 1, float(fault["seconds"])

    # ------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "desk": self.desk.snapshot(),
            "run": None if self.run is None else self.run.plain(),
            "late": [[at_ns, run.plain()] for at_ns, run in self.late],
            "done": self.done,
        }

    def restore(self, state: Mapping[str, Any], later_ns: int = 0) -> None:
        """Go on from a snapshot; ``later_ns``: by how much the clock's origin has moved."""
        self.desk.restore(state["desk"])
        self.run = None if state["run"] is None else moved(state["run"], later_ns)
        self.late = [(at_ns + later_ns, moved(plain, later_ns)) for at_ns, plain in state["late"]]
        self.done = state["done"]


def emulator_folder(options: Mapping[str, Any], folder: Path) -> Disk:
    """The disk that the emulator's options describe."""
    return Disk(folder, Path(str(options.get("root") or folder / "data")).absolute(), str(options.get("shown_as", "")))
