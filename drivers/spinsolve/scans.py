"""One acquisition on its way, from ``Start`` to the files: what is heard moves it on, what is not heard is made up by looking."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from drivers.base import Acquired, ConsoleEvent, Failed, Filed, Progress, Started
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, InstrumentError, Rejected
from drivers.spinsolve import files, wire
from drivers.spinsolve.folders import Folders
from drivers.spinsolve.machine import OVER, Phase, Sign, after

START_S, PENDING_S, LISTEN_S = 10.0, 10.0, 30.0
FILES_S, FILES_AFTER_STOP_S, STOP_S = 60.0, 15.0, 30.0
POLL_S, SLOW_POLL_S = 0.5, 5.0
LOOKS = 10
"""Every so many looks into the folder that was named, one goes through all of them."""
LEAST_REAL_S = 3.0
"""However fast the experiment's time runs, files are saved in the computer's."""

SIGNS: dict[str, Sign] = {wire.Status.RUNNING: Sign.RUNNING, wire.Status.STOPPING: Sign.STOPPING, wire.Status.READY: Sign.READY}


@dataclass(slots=True)
class Scan:
    """What is known of one block. ``folder``: as the console names it. ``seen_ns``: when what comes next had not happened yet.

    ``quiet``: found on connecting, and nobody has been told of it.
    """

    key: str
    block: int
    protocol: str
    scans: int
    nucleus: str = ""
    expected_s: float = 0.0
    one_scan_s: float = 0.0
    rows: int = 1
    deadline_ns: int = 0
    seen_ns: int = 0
    phase: Phase = Phase.IDLE
    since_ns: int = 0
    folder: str = ""
    percentage: float = 0.0
    complaint: str = ""
    completed: wire.Completed | None = None
    stamps: dict[str, str] = field(default_factory=dict)
    begun_ns: int | None = None
    over_ns: int | None = None
    begun_within_ns: int = 0
    over_within_ns: int = 0
    told: set[str] = field(default_factory=set)
    told_scans: int = 0
    halted: bool = False
    aborted: bool = False
    stranger: bool = False
    quiet: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scans_done(self) -> int:
        """As far as the percentage tells; of an array those of its last row, before that none."""
        return max(0, min(self.scans, int(self.percentage * self.scans * self.rows / 100) - (self.rows - 1) * self.scans))

    def move(self, sign: Sign, now_ns: int) -> None:
        """As the table says; what begins or ends by it is dated."""
        before, self.phase = self.phase, after(self.phase, sign)
        if before is not self.phase:
            self.since_ns = now_ns
            self._date(before, now_ns)
        self.news.set()

    def _date(self, before: Phase, now_ns: int) -> None:
        within_ns = now_ns - self.seen_ns if before in {Phase.UNKNOWN, Phase.FOREIGN_RUN} else 0
        over = self.phase in {Phase.SAVED_PENDING, Phase.READY_PENDING, Phase.FINISHED}
        if self.begun_ns is None and (over or self.phase in {Phase.RUNNING, Phase.STOPPING}):
            self.begun_ns, self.begun_within_ns = now_ns, within_ns
        if over and self.over_ns is None:
            self.over_ns, self.over_within_ns = now_ns, within_ns

    def take(self, message: wire.Notification, now_ns: int) -> None:
        """Something the console said of this run."""
        match message:
            case wire.State(_, status, folder, timestamp):
                self.folder = folder or self.folder
                self.stamps.setdefault(f"State {status}", timestamp)
                if status in SIGNS:
                    self.move(SIGNS[status], now_ns)
            case wire.Progress(_, percentage, _, _):
                self.percentage = max(self.percentage, min(100.0, percentage))
                self.move(Sign.PROGRESS, now_ns)
            case wire.Completed(_, _, _, timestamp):
                self.completed = message
                self.stamps.setdefault("Completed", timestamp)
                self.move(Sign.COMPLETED, now_ns)
            case wire.Error(_, text, _):
                self.complaint = text or "the console reports an error without a word"
                if self.begun_ns is None:  # once it runs, an error does not end it: Completed does
                    self.move(Sign.ERROR, now_ns)
        self.seen_ns = now_ns


class Follower:
    """Follows scans. ``say`` takes their events, ``send`` documents, ``over`` learns that one has ended (before its last event).

    ``foreign_runs``: is something of somebody else's still going on?
    """

    def __init__(
        self,
        folders: Folders,
        clock: Clock,
        say: Callable[[ConsoleEvent], None],
        send: Callable[[bytes], Awaitable[None]],
        over: Callable[[Scan], Awaitable[None]],
        foreign_runs: Callable[[], bool],
    ) -> None:
        self._folders = folders
        self._clock = clock
        self._say = say
        self._send = send
        self._over = over
        self._foreign_runs = foreign_runs
        self.lost = False
        self.filed: dict[tuple[str, int], Path] = {}

    # ------------------------------------------------------------------------------------------------------------ hearing

    def hear(self, scan: Scan, message: wire.Notification) -> None:
        """A notification about this scan."""
        scan.take(message, self._clock.mono_ns())
        self._tell(scan)

    def move(self, scan: Scan, sign: Sign) -> None:
        """A sign that no message brings."""
        scan.move(sign, self._clock.mono_ns())
        self._tell(scan)

    def _tell(self, scan: Scan) -> None:
        """The events that are due."""
        now_ns = self._clock.mono_ns()
        if scan.begun_ns is not None and "started" not in scan.told:
            scan.told.add("started")
            self._say(Started(scan.key, scan.block, now_ns, half_width_ns=scan.begun_within_ns))
        if scan.scans_done > scan.told_scans and scan.over_ns is None:
            scan.told_scans = scan.scans_done
            self._say(Progress(scan.key, scan.block, now_ns, scan.scans_done))
        if scan.over_ns is not None and "acquired" not in scan.told and not scan.aborted:
            scan.told.add("acquired")
            scans = scan.scans if scan.percentage >= 100 else None
            self._say(Acquired(scan.key, scan.block, now_ns, scans, half_width_ns=scan.over_within_ns))

    async def decided(self, scan: Scan, phase: Phase, within_s: float) -> bool:
        """Wait until a scan leaves a phase; False when it is still there so many seconds later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.grace_s(within_s) / self._clock.speed):
                while scan.phase is phase:
                    scan.news.clear()
                    await scan.news.wait()
        return scan.phase is not phase

    def grace_s(self, seconds: float) -> float:
        """So many seconds of the experiment, and never fewer than LEAST_REAL_S of the computer's."""
        return max(seconds, LEAST_REAL_S * self._clock.speed)

    # ---------------------------------------------------------------------------------------------------------- following

    async def follow(self, scan: Scan) -> None:
        """Until Filed; or Failed and why."""
        try:
            await self._until_over(scan)
            await self._until_filed(scan)
        except InstrumentError as fault:
            event: ConsoleEvent | None = Failed(scan.key, scan.block, self._clock.mono_ns(), fault.message)
            if scan.quiet and scan.begun_ns is None:
                event = None
        else:
            event = Filed(scan.key, scan.block, self._clock.mono_ns(), scan.folder or str(self.filed[scan.key, scan.block]))
        await self._over(scan)
        if event is not None:
            self._say(event)

    async def _until_over(self, scan: Scan) -> None:
        while scan.phase not in OVER:
            scan.news.clear()
            await self._mind(scan)
            if scan.phase not in OVER:
                await self._news(scan)
        if scan.phase is Phase.FAILED:
            raise DeviceFault("aborted" if scan.aborted else self._why(scan))
        if scan.aborted:
            raise DeviceFault("aborted")

    async def _news(self, scan: Scan) -> None:
        pause_s = SLOW_POLL_S if scan.phase is Phase.UNKNOWN else POLL_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s / self._clock.speed):
                await scan.news.wait()

    async def _mind(self, scan: Scan) -> None:
        """Timers, and files where words are missing."""
        waited_s = (self._clock.mono_ns() - scan.since_ns) / 1e9
        if scan.phase is Phase.FOREIGN_RUN and not self._foreign_runs():
            self.move(scan, Sign.FOREIGN_OVER)
        if scan.phase in {Phase.STARTING, Phase.SAVED_PENDING, Phase.READY_PENDING} and waited_s > self.grace_s(PENDING_S):
            self.move(scan, Sign.TIMER)
        if self._looks(scan, waited_s) and await self._found(scan):
            self.move(scan, Sign.FILES)
        unheard = scan.phase is Phase.UNKNOWN and scan.begun_ns is None and not self.lost
        if unheard and waited_s > self.grace_s(max(LISTEN_S, 0.03 * scan.expected_s)):  # inferred: a progress a percent
            self.move(scan, Sign.TIMER)
        await self._mind_the_deadline(scan)

    def _looks(self, scan: Scan, waited_s: float) -> bool:
        """Words are missing: nothing is known, or it should have been over long ago."""
        overdue = scan.phase in {Phase.RUNNING, Phase.STOPPING} and waited_s > 1.5 * scan.expected_s + PENDING_S
        return scan.phase in {Phase.UNKNOWN, Phase.FOREIGN_RUN} or overdue

    async def _mind_the_deadline(self, scan: Scan) -> None:
        """Too late: Abort (which keeps what there is), then give up."""
        late_s = (self._clock.mono_ns() - scan.deadline_ns) / 1e9
        if late_s < 0 or scan.phase in OVER or (self.lost and scan.aborted):
            return
        if not scan.halted and not scan.aborted and scan.phase is not Phase.FOREIGN_RUN:
            await self.stop(scan, halted=True)
        elif late_s > 0 and not scan.phase.endswith("pending"):
            self.move(scan, Sign.TIMER)

    async def stop(self, scan: Scan, *, halted: bool) -> None:
        """Send Abort; the console then ends the scan that runs, and has so long for it."""
        scan.halted, scan.aborted = scan.halted or halted, scan.aborted or not halted
        patience_s = max(STOP_S + scan.one_scan_s, STOP_S * self._clock.speed)  # a silent link is noticed in real seconds
        scan.deadline_ns = self._clock.mono_ns() + int(patience_s * 1e9)
        scan.news.set()
        with contextlib.suppress(InstrumentError):
            await self._send(wire.abort())

    def _why(self, scan: Scan) -> str:
        """Why it failed, the console's own words first."""
        if scan.complaint:
            return f"the console: {scan.complaint}"
        if scan.begun_ns is None:
            return "nothing was heard of it and nothing is filed under its key: it was not started, as far as can be known"
        if self.lost:
            return "the console has not answered since, and no files are there"
        return "not over in time, and Abort did not help"

    # -------------------------------------------------------------------------------------------------------------- filed

    async def _found(self, scan: Scan) -> bool:
        """Are its files there, wherever they are?"""
        return await self._look(scan) is not None

    async def _look(self, scan: Scan, *, everywhere: bool = True) -> files.Parameters | None:
        """The parameters of complete files: in the folder that the console named, else wherever the key stands."""
        with contextlib.suppress(Rejected):
            if scan.folder and (parameters := await self._filed(scan, self._folders.local(scan.folder))):
                return parameters
        if everywhere or not scan.folder:
            with contextlib.suppress(Rejected):
                found = await self._clock.in_thread(self._folders.find, scan.key, scan.block)
                return await self._filed(scan, found[0]) if len(found) == 1 else None
        return None

    async def _filed(self, scan: Scan, folder: Path) -> files.Parameters | None:
        parameters = await self._clock.in_thread(self._folders.filed, folder, scan.key, scan.block)
        if parameters is not None:
            self.filed[scan.key, scan.block] = folder
        return parameters

    async def _until_filed(self, scan: Scan) -> None:
        """Returns when the files are complete, and ours."""
        parameters = await self._completed_files(scan)
        self.move(scan, Sign.FILES)
        nucleus = str(parameters.get("rxChannel", ""))
        if scan.nucleus and nucleus.casefold() != scan.nucleus.casefold():
            scan.stranger = True
            raise DeviceFault(f"the files hold {nucleus}, not {scan.nucleus}")

    async def _completed_files(self, scan: Scan) -> files.Parameters:
        stopped = scan.completed is not None and not scan.completed.completed
        until_ns = self._clock.mono_ns() + int(self.grace_s(FILES_AFTER_STOP_S if stopped else FILES_S) * 1e9)
        for looks in itertools.count():
            if parameters := await self._look(scan, everywhere=looks % LOOKS == 0):
                return parameters
            if self._clock.mono_ns() > until_ns:
                break
            await self._clock.sleep(POLL_S)
        self.move(scan, Sign.TIMER)
        raise BadReply(await self._missing(scan, stopped=stopped))

    async def _missing(self, scan: Scan, *, stopped: bool) -> str:
        """What is wrong, as precisely as it can be said."""
        words = [f"the console: {scan.complaint}"] if scan.complaint else []
        words += ["it was stopped at the console"] if stopped and not scan.halted else []
        try:
            found = await self._clock.in_thread(self._folders.find, scan.key, scan.block)
            if len(found) > 1:
                words.append(f"{len(found)} folders carry its key: {', '.join(folder.name for folder in found)}")
            elif scan.folder or found:
                folder = self._folders.local(scan.folder) if scan.folder else found[0]
                words.append(await self._clock.in_thread(self._folders.incomplete, folder, scan.key, scan.block))
            else:
                words.append(f"the console names no folder, and none below {self._folders.data_root} carries its key")
        except Rejected as fault:
            words.append(fault.message)
        return "; ".join(["no complete files", *words])
