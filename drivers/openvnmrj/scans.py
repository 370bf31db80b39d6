"""One scan on its way: from ``au`` to the files, by the console's line or without it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.base import Acquired, ConsoleEvent, Failed, Filed, Started
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, Exhausted, InstrumentError
from drivers.openvnmrj import files, wire
from drivers.openvnmrj.folders import Folders
from drivers.openvnmrj.foreground import PATIENT_REPLY_S, Foreground
from drivers.openvnmrj.parameters import identity_of, stranger

FIRST_POLL_S = 0.1
POLL_S = 0.5
SLOW_POLL_S = 2.0
START_GRACE_S = 60.0
SAVE_GRACE_S = 30.0
STOP_GRACE_S = 10.0
LEAST_REAL_S = 3.0
"""However fast the experiment's time runs, files are saved in the computer's."""
EXHAUSTED = "recording exhausted"
"""What the emulator writes into its log when it replays a recording that has no more of a nucleus."""
ORDINARY = re.compile(r"Experiment started|BS \d+ completed|Acquisition (?:complete|aborted|stopped|error \d+)")
"""Lines that say no more than the status does; any other says what went wrong (inferred: no recorded data set shows a failure)."""


FILING_S = 1.0
"""Between the last scan and the line of ``wexp``, at most (inferred): an edge that nobody tells of is known no better."""


@dataclass(slots=True)
class Scan:
    """What is known of one block. ``not_before_ns``: physics allows no earlier end; ``identity``: what its files must say.

    ``reply``: what became of the start; ``said``: how the scan ended. ``seen_ns``: the last instant at which what comes next was
    known not to have happened yet. ``after_edge``: its sequence waits for the trigger input (`xgate`); when that came is counted back.
    """

    key: str
    block: int
    nonce: str
    deadline_ns: int
    expected_s: float = 0.0
    after_edge: bool = False
    not_before_ns: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)
    halted: bool = False
    aborted: bool = False
    disowned: bool = False
    reply: wire.Said | None = None
    said: wire.Said | None = None
    said_ns: int = 0
    seen_ns: int = 0
    scans_told: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def failed(self) -> bool:
        """``werr`` ran, not ``wexp``."""
        return self.said is not None and self.said.word == "ERR"

    @property
    def instead(self) -> wire.Activity | None:
        """What acquired when it should have started, so that it did not."""
        return wire.parse_state(self.reply.payload) if self.reply is not None and self.reply.word == "BUSY" else None


class Follower:
    """Follows scans; ``put`` takes their events, ``over`` learns that one has ended (before its last event)."""

    def __init__(
        self,
        foreground: Foreground,
        folders: Folders,
        clock: Clock,
        put: Callable[[ConsoleEvent], Awaitable[None]],
        over: Callable[[Scan], None],
    ) -> None:
        self._foreground = foreground
        self._folders = folders
        self._clock = clock
        self._put = put
        self._over = over
        self._experiment = 1

    def scan(self, key: str, block: int, deadline_s: float, found: Mapping[str, Any] | None = None, expected_s: float = 0.0) -> Scan:
        """A scan to follow; lines about it are heard from now on. ``found``: the parameters read back, ``expected_s``: of all scans."""
        now_ns = self._clock.mono_ns()
        scan = Scan(key, block, self._foreground.nonce(key, block), now_ns + int(deadline_s * 1e9), seen_ns=now_ns)
        if found:
            scan.expected_s, scan.identity = expected_s, identity_of(found)
            counted = found["nt"] / max(1, found["nt"] + abs(found["ss"]))
            scan.not_before_ns = now_ns + int(0.9 * counted * expected_s * 1e9)
            scan.deadline_ns += int(scan.expected_s * 1e9)

        def hear(said: wire.Said) -> None:
            if said.word in {"GONE", "BUSY"}:
                scan.reply = said
            elif scan.said is None:
                scan.said, scan.said_ns = said, self._clock.mono_ns()
            scan.news.set()

        self._foreground.hear(scan.nonce, hear)
        return scan

    async def follow(self, scan: Scan) -> None:
        """Started, Acquired, Filed; or Failed and why."""
        try:
            await self._until_started(scan)
            await self._until_over(scan)
            await self._until_filed(scan)
        except InstrumentError as fault:
            await self._end(scan, Failed(scan.key, scan.block, self._clock.mono_ns(), fault.message, isinstance(fault, Exhausted)))
        else:
            path = self._folders.remote(scan.key, scan.block) + ".fid"  # as the console names it
            await self._end(scan, Filed(scan.key, scan.block, self._clock.mono_ns(), path))

    async def _end(self, scan: Scan, event: ConsoleEvent) -> None:
        """An armed ``wexp`` is a trap for whoever comes next: cleared first, said afterwards."""
        with contextlib.suppress(InstrumentError):
            await self._foreground.send(wire.compose(*wire.DISARM))
        self._foreground.forget(scan.nonce)
        self._over(scan)
        await self._put(event)

    # ----------------------------------------------------------------------------------------------------------- started

    async def reply(self, scan: Scan) -> None:
        """Wait until the console says what became of the start; a foreground that is busy with other things says it later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENT_REPLY_S):
                while scan.reply is None and scan.said is None:
                    await scan.news.wait()
                    scan.news.clear()

    async def _until_started(self, scan: Scan) -> None:
        patience_ns, pause_s = self._clock.mono_ns() + self._grace_ns(START_GRACE_S), FIRST_POLL_S
        while scan.said is None:
            asked_ns = self._clock.mono_ns()
            active = await self._active()
            if scan.instead is not None:
                raise DeviceFault(f"a foreign acquisition: {scan.instead.who}")
            if active == 1 or (active is None and await self._filed(scan)):
                break
            if active is None:  # what was sent waits in the queue of a busy foreground, before our question
                patience_ns = self._clock.mono_ns() + self._grace_ns(START_GRACE_S)
            self._check_start(scan, active, patience_ns)
            scan.seen_ns = scan.seen_ns if active is None else asked_ns
            await self._news(scan, pause_s)
            pause_s = min(2 * pause_s, POLL_S)
        if not scan.failed and not scan.after_edge:
            now_ns = self._clock.mono_ns()
            await self._put(Started(scan.key, scan.block, now_ns, half_width_ns=now_ns - scan.seen_ns))
            scan.seen_ns = now_ns

    def _check_start(self, scan: Scan, active: int | None, patience_ns: int) -> None:
        """``active`` 2 and more: submitted, waiting its turn; None: nobody answers, and the scan may well run."""
        if scan.aborted and active == 0:
            raise DeviceFault("aborted")
        if self._clock.mono_ns() > (scan.deadline_ns if active is None else patience_ns):
            unknown = "nobody has answered since the start was sent: whether it ran is not known, and there are no files"
            raise DeviceFault(unknown if active is None else f"not started within {START_GRACE_S:.0f} s")

    def _grace_ns(self, seconds: float) -> int:
        """So many seconds of the experiment, and never fewer than LEAST_REAL_S of the computer's."""
        return int(max(seconds, LEAST_REAL_S * self._clock.speed) * 1e9)

    async def _active(self) -> int | None:
        """As ``expactive`` says; None: nobody answers."""
        try:
            activity = await self._foreground.activity()
        except InstrumentError:
            return None
        self._experiment = activity.experiment or self._experiment
        return activity.active

    async def _news(self, scan: Scan, within_s: float) -> None:
        """Wait for a line about this scan, or so many seconds of the experiment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, within_s) / self._clock.speed):
                await scan.news.wait()
        scan.news.clear()

    # -------------------------------------------------------------------------------------------------------------- over

    async def _until_over(self, scan: Scan) -> None:
        """The line from ``wexp`` or ``werr``; where it is lost, an idle console and complete files."""
        if scan.said is None:
            await self._news(scan, scan.expected_s)
        idle_since_ns: int | None = None
        while scan.said is None:
            now_ns = self._clock.mono_ns()
            active = await self._active()
            scan.seen_ns = now_ns if active else scan.seen_ns
            idle_since_ns = (idle_since_ns or now_ns) if active == 0 else None
            if await self._filed(scan):
                break
            if idle_since_ns is not None and (scan.aborted or now_ns - idle_since_ns > self._grace_ns(STOP_GRACE_S)):
                raise DeviceFault("aborted") if scan.aborted else await self._fault("the console is idle and has saved no complete files")
            await self._mind_the_deadline(scan, now_ns)
            await self._news(scan, SLOW_POLL_S)
        await self._judge(scan)

    async def _mind_the_deadline(self, scan: Scan, now_ns: int) -> None:
        """Too late: halt (which keeps what there is), then give up."""
        late_s = (now_ns - scan.deadline_ns) / 1e9
        if late_s > SAVE_GRACE_S:
            raise DeviceFault("not over in time, and halt did not help")
        if late_s > 0:
            with contextlib.suppress(InstrumentError):
                await self._foreground.send(wire.compose("halt"))
            scan.halted = True

    async def _judge(self, scan: Scan) -> None:
        """What the line means: broken off, fired by somebody else's acquisition, or over."""
        if scan.said is not None and scan.failed:
            code = int(scan.said.payload) if scan.said.payload.isdigit() else -1
            what = wire.ACQUISITION_STATUS.get(code, "unknown")
            raise DeviceFault("aborted") if scan.aborted else await self._fault(f"the console reports {code}: {what}")
        if scan.said is not None and not scan.halted and scan.said_ns < scan.not_before_ns:
            await self._withdraw(scan)
            raise DeviceFault("wexp fired before our scans can be over: somebody else's acquisition lies under our name")

    async def _fault(self, message: str) -> InstrumentError:
        """What is known of a failure: the console's own last words first, where they say more than that it acquired."""
        words = await self._clock.in_thread(self._folders.last_words, self._experiment)
        if not words or ORDINARY.fullmatch(words):
            return DeviceFault(message)
        return Exhausted(words) if words.startswith(EXHAUSTED) else DeviceFault(f"{words}; {message}")

    async def _withdraw(self, scan: Scan) -> None:
        """Disarm, then stop ours where it is the one that is active."""
        scan.disowned = True
        with contextlib.suppress(InstrumentError):
            await self._foreground.send(wire.compose(*wire.DISARM, *(["aa"] if await self._active() == 1 else [])))

    # ------------------------------------------------------------------------------------------------------------- filed

    async def _filed(self, scan: Scan) -> files.Parameters | None:
        return await self._clock.in_thread(self._folders.filed, scan.key, scan.block)

    async def _until_filed(self, scan: Scan) -> None:
        """Acquired, with the number of scans where it is known; returns when the files are complete, and ours.

        The line of ``wexp`` comes when the scans are over and filed: its instant stands with no half width. Where it was lost,
        the end lies between the last time that the console was seen at work and now.
        """
        patience_ns = self._clock.mono_ns() + self._grace_ns(SAVE_GRACE_S)
        parameters = await self._filed(scan)
        self._require_scans(scan, parameters)
        if parameters is None or not stranger(scan.identity, parameters):
            scans = None if parameters is None else int(files.first(parameters, "ct", 0))
            at_ns = self._clock.mono_ns() if scan.said is None else scan.said_ns
            half_width_ns = at_ns - scan.seen_ns if scan.said is None else 0
            if scan.after_edge and not scan.halted:
                began_ns, doubt_ns = at_ns - round(scan.expected_s * 1e9), half_width_ns + round(FILING_S * 1e9)
                await self._put(Started(scan.key, scan.block, began_ns, half_width_ns=doubt_ns))
            await self._put(Acquired(scan.key, scan.block, at_ns, scans, half_width_ns))
        while parameters is None:
            if self._clock.mono_ns() > patience_ns:
                wrong = await self._clock.in_thread(self._folders.incomplete, scan.key, scan.block)
                raise BadReply(f"no complete files: {wrong}")
            await self._clock.sleep(POLL_S)
            parameters = await self._filed(scan)
            self._require_scans(scan, parameters)
        if differing := stranger(scan.identity, parameters):
            scan.disowned = True
            raise DeviceFault(f"the files hold another acquisition: {differing}")

    @staticmethod
    def _require_scans(scan: Scan, parameters: files.Parameters | None) -> None:
        """A console that was halted while its tuner kept it waiting files zeros (inferred: no recorded data set shows one)."""
        if parameters is not None and scan.halted and files.first(parameters, "ct", 1) == 0:
            raise DeviceFault("halted before a block of scans was over: did its tuner, or a trigger, keep it waiting?")
