"""The watch over the run's disk, in four steps: a warning, no new acquisition, the ballast, open circuit with a last record.

A task of the outer ring; nothing waits for it. What it looks at blocks in a lane of its own, for a while at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.plan.estimate import REMAINDER_FACTOR
from orchestrator.recorder.records import JournalError
from orchestrator.recorder.rundisk import Room
from orchestrator.runner.owners import Owner
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.states import RunState
from orchestrator.runner.station import SAFETY, UNSAFE, Disk, Ending, Surroundings
from orchestrator.runner.wire import within

LOOK_S = 60.0
LOW_LOOK_S = 5.0
"""How often it looks where the disk is low; the journal's first failed commit wakes it besides."""
SETTLE_S = 2.5
"""Two tries of the journal after room was made."""
WITHIN_S = 30.0
LOW_SHARE = 0.1
FULL = "full"
"""What SQLite's message says where a quota is used up and the disk itself has room."""

OPEN, LOW, REFUSING, SPENT = "open", "low", "refusing", "spent"


class DiskWatch:
    """Looks each minute, oftener when it is low, at once when a commit fails."""

    def __init__(self, surroundings: Surroundings, run: Reactions, disk: Disk) -> None:
        self._s = surroundings
        self._run = run
        self._disk = disk
        self._step = OPEN
        self._failing: asyncio.Task[Exception] | None = None
        self._failure = ""
        self._said_ns: int | None = None

    async def watch(self) -> None:
        """Look until cancelled, or until the run ends for want of room."""
        try:
            while self._step != SPENT or not self._is_over():
                room = await self._room()
                if room is not None:
                    await self._judge(room)
                await self._wait()
        finally:
            if self._failing is not None:
                self._failing.cancel()

    def _is_over(self) -> bool:
        return self._run.ending is not None and self._run.ending.urgency >= SAFETY

    async def _room(self) -> Room | None:
        """None where the disk does not say; that is an alarm of its own."""
        try:
            room = await within(WITHIN_S, self._s.clock.in_thread(self._disk.room, lane="disk"))
        except (OSError, TimeoutError) as error:
            text = f"what is free on the disk of the run cannot be read: {error}"
            self._run.alarms.sound("disk-silent", "alarm", "The disk does not answer", text, advice="look at the disk; the run goes on")
            return None
        self._run.alarms.clear("disk-silent")
        return room

    async def _wait(self) -> None:
        """Until the next look is due, or a commit fails; then what is not a full disk is left to the watch over the journal."""
        if self._failure:
            await asyncio.sleep(SETTLE_S)
        if self._failing is None:
            self._failing = asyncio.create_task(self._s.journal.wait_failed())
        await asyncio.wait({self._failing}, timeout=LOOK_S if self._step == OPEN else LOW_LOOK_S)
        self._failure = ""
        if self._failing.done():
            self._failure, self._failing = str(self._failing.result()), None

    # ------------------------------------------------------------------------------------------------------ four steps

    async def _judge(self, room: Room) -> None:
        needed_bytes = max(0, self._s.plan.size_bytes - room.used_bytes)
        if room.free_bytes < self._disk.reserve_bytes or FULL in self._failure:
            await self._make_room(room)
        elif self._step == SPENT:
            await self._refill(room, needed_bytes)
        else:
            self._sort(room, needed_bytes)
        await self._say(room, needed_bytes)

    def _sort(self, room: Room, needed_bytes: int) -> None:
        before, self._step = self._step, step_of(room, needed_bytes)
        if self._step == before:
            return
        text = f"{_MB(room.free_bytes)} are free, the run still needs about {_MB(needed_bytes)}"
        self._said_ns = None
        if self._step == REFUSING:
            self._run.acquisitions.refuse(Owner.DISK, f"disk: {text}")
            more = f"{text}; no acquisition starts while less than twice that is free, the electrochemistry goes on"
            self._run.alarms.sound("disk", "alarm", "No room for acquisitions", more, advice="make room on the disk of the run")
            return
        self._run.acquisitions.accept(Owner.DISK)
        if self._step == LOW:
            self._run.alarms.sound("disk", "warn", "The disk is nearly full", text, advice="make room; the run goes on")
        else:
            self._run.alarms.clear("disk")

    async def _make_room(self, room: Room) -> None:
        """The ballast first; where it is gone already, the run ends while there is still room to say so."""
        text = f"{_MB(room.free_bytes)} are free"
        if await self._given(self._disk.free_ballast):
            self._step, self._said_ns = SPENT, None
            more = (
                f"{text}; {_MB(self._disk.ballast_bytes)} that were kept for this are given to the electrochemistry, no acquisition starts"
            )
            self._run.acquisitions.refuse(Owner.DISK, f"disk: {text}, the ballast is spent")
            self._run.alarms.sound("disk-full", "alarm", "The disk is full", more, advice="make room, or the cell goes to open circuit")
            return
        self._step = SPENT
        self._run.make_safe.begin("the disk is full")
        self._run.end(Ending(RunState.FAILED, f"the disk is full: {text}, and the ballast is spent", UNSAFE, SAFETY))
        self._run.alarms.sound("disk-full", "critical", "The disk is full", f"{text}; the cell goes to open circuit", advice="make room")
        await self._given(self._disk.free_last)

    async def _refill(self, room: Room, needed_bytes: int) -> None:
        """Somebody has made room: take the ballast again, and let acquisitions start."""
        left = Room(room.free_bytes - self._disk.ballast_bytes, room.total_bytes, room.used_bytes)
        if left.free_bytes < self._disk.reserve_bytes or step_of(left, needed_bytes) == REFUSING:
            return
        try:
            await within(WITHIN_S, self._s.clock.in_thread(self._disk.take_ballast, lane="disk"))
        except (OSError, TimeoutError):
            return
        self._run.alarms.clear("disk-full")
        self._step = REFUSING
        self._sort(left, needed_bytes)

    async def _given(self, free: Callable[[], bool]) -> bool:
        """A file removed; a disk that does not even do that has no room."""
        try:
            return await within(WITHIN_S, self._s.clock.in_thread(free, lane="disk"))
        except (OSError, TimeoutError):
            return False

    async def _say(self, room: Room, needed_bytes: int) -> None:
        """Each minute into the journal, which must take it in time: a disk that hangs fails nothing, it only never ends."""
        now_ns = self._s.clock.mono_ns()
        if self._said_ns is not None and now_ns - self._said_ns < 0.9 * LOOK_S * 1e9 * self._s.clock.speed:
            return
        self._said_ns = now_ns
        seq = self._s.put("disk", free_bytes=room.free_bytes, needed_bytes=needed_bytes)
        try:
            await within(WITHIN_S, self._s.journal.durable(seq))
        except JournalError:
            return
        except TimeoutError:
            text = f"the journal has waited {WITHIN_S:g} s for its disk; what comes is kept in memory meanwhile"
            self._run.alarms.sound("journal-slow", "alarm", "The journal's disk hangs", text, advice="look at the disk of the run")
            return
        self._run.alarms.clear("journal-slow")


def step_of(room: Room, needed_bytes: int) -> str:
    """How low a disk is that is not full."""
    if room.free_bytes < REMAINDER_FACTOR * needed_bytes:
        return REFUSING
    return LOW if room.free_bytes < LOW_SHARE * room.total_bytes else OPEN


def _MB(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
