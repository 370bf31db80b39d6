"""One block on its way: sequence after sequence, each reply on the disk before the next is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.base import Acquired, ConsoleEvent, Failed, Filed, Progress, Started
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable
from drivers.marcos import wire
from drivers.marcos.folders import Folders, added
from drivers.marcos.link import Link
from drivers.marcos.program import Run, Setup, runs_of

PIECE_S = 0.2
"""Between two looks whether somebody wants it stopped, in a recycle delay."""
LEAST_REAL_S = 3.0
"""However fast the experiment's time runs, the console's wire runs in the computer's."""


@dataclass(slots=True)
class Scan:
    """What is known of one block. ``row_scans``: of the row that is being measured."""

    setup: Setup
    block: int
    deadline_ns: int
    folder: Path | None = None
    scans_done: int = 0
    started: bool = False
    over: bool = False
    halted: bool = False
    discard: str = ""

    @property
    def key(self) -> str:
        """Of the order."""
        return self.setup.order.key

    @property
    def stopping(self) -> bool:
        """Shall no further sequence begin?"""
        return self.halted or bool(self.discard)


class Follower:
    """Runs a block to its end, and says what happens."""

    def __init__(self, link: Link, folders: Folders, clock: Clock, say: Callable[[ConsoleEvent], None]) -> None:
        self._link = link
        self._folders = folders
        self._clock = clock
        self._say = say

    async def follow(self, scan: Scan, over: Callable[[Scan], Awaitable[None]]) -> None:
        """From the first sequence to filed or failed."""
        why = ""
        try:
            await self._all_runs(scan)
            if scan.discard or not scan.scans_done:
                why = scan.discard or "it was halted before its first scan"
            else:
                assert scan.folder
                await self._clock.in_thread(lambda: self._folders.end(scan.folder, scan.scans_done, partial=scan.halted))  # type: ignore[arg-type]
        except (InstrumentError, OSError) as fault:
            why = str(fault)
        if why and scan.folder is not None and scan.discard:
            await self._clock.in_thread(self._folders.discard, scan.folder)
        scan.over = True
        await over(scan)
        now_ns = self._clock.mono_ns()
        if why:
            self._say(Failed(scan.key, scan.block, now_ns, why))
            return
        self._say(Acquired(scan.key, scan.block, now_ns, scan.scans_done))
        self._say(Filed(scan.key, scan.block, self._clock.mono_ns(), str(scan.folder)))

    async def _all_runs(self, scan: Scan) -> None:
        """Raises DeviceFault, BadReply, and NotReachable where the deadline passes before the link is back."""
        row, scans_of_row = 0, 0
        for run in runs_of(scan.setup, scan.block):
            if run.row != row:
                row, scans_of_row = run.row, 0
            if scan.stopping:
                return
            sent_ns = await self._one_run(scan, run)
            if sent_ns is not None:
                scans_of_row += len(run.receiver)
                scan.scans_done = scans_of_row
                if run.receiver:
                    self._say(Progress(scan.key, scan.block, self._clock.mono_ns(), scans_of_row))
                await self._rest(scan, sent_ns + int((run.lasts_s + run.rest_s) * 1e9))

    async def _one_run(self, scan: Scan, run: Run) -> int | None:
        """When it was sent; None where it was stopped before.

        A sequence whose reply is lost with the link is run again: what nobody has added up was never counted.
        """
        while not scan.stopping:
            self._check_deadline(scan)
            sent = self._clock.stamp()
            if not scan.started:
                self._say(Started(scan.key, scan.block, sent.mono_ns))
                scan.started = True
            try:
                request, reply = await self._link.ask({"run_seq": run.code}, max(run.lasts_s / self._clock.speed, LEAST_REAL_S))
            except NotReachable:
                await self._link_back(scan)
                continue
            await self._keep(scan, run, sent, request, reply)
            return int(sent.mono_ns)
        return None

    async def _link_back(self, scan: Scan) -> None:
        left_s = max(0.0, (scan.deadline_ns - self._clock.mono_ns()) / 1e9) / self._clock.speed
        try:
            async with asyncio.timeout(left_s):
                await self._link.back()
        except TimeoutError:
            self._check_deadline(scan)

    async def _keep(self, scan: Scan, run: Run, sent: Any, request: bytes, reply: wire.Reply) -> None:
        if reply.errors:
            raise DeviceFault(f"the console: {'; '.join(reply.errors)}", did="the scans of this sequence are not used")
        if run.receiver:  # a reply that cannot be added up ends the block now, not when it is fetched
            await self._clock.in_thread(added, reply.raw, run.receiver, scan.setup.points)
        answered = self._clock.stamp()
        kept = {
            "row": run.row,
            "receiver": list(run.receiver),
            "dummies": 0 if run.receiver else run.count,
            "sent_mono_ns": sent.mono_ns,
            "sent_utc_ns": sent.utc_ns,
            "answered_mono_ns": answered.mono_ns,
            "answered_utc_ns": answered.utc_ns,
            "warnings": list(reply.warnings),
            "request": request,
            "reply": reply.raw,
        }
        if scan.folder is None:
            raise BadReply("there is no folder")
        await self._clock.in_thread(self._folders.append, scan.folder, kept)

    async def _rest(self, scan: Scan, until_ns: int) -> None:
        while not scan.stopping and (left_s := (until_ns - self._clock.mono_ns()) / 1e9) > 0:
            await self._clock.sleep(min(left_s, PIECE_S * max(1.0, self._clock.speed)))

    def _check_deadline(self, scan: Scan) -> None:
        if self._clock.mono_ns() >= scan.deadline_ns:
            raise DeviceFault("its deadline has passed", did="no further sequence is begun; what was scanned is kept on disk")
