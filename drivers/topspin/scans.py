"""One scan on its way: from `zg` to files whose sums hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drivers.base import Acquired, ConsoleEvent, Failed, Filed, Started
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, OutcomeUnknown
from drivers.topspin import arrays, states
from drivers.topspin.bridge import LONG_REPLY_S, Bridge
from drivers.topspin.folders import Folders
from drivers.topspin.parameters import stranger

POLL_S = 0.5
FILING_S = 1.0
"""Nobody tells when an edge came: from the end of `zg` back by its scans; how long it files before it returns is not known (inferred)."""
WATCH_S = 5.0
FILED_WITHIN_S = 30.0
"""A share may show a file late; the agent has seen both sums hold when it says done."""
STOP_GRACE_S = 60.0
LEAST_REAL_S = 3.0
"""However fast the experiment's time runs, files are written in the computer's."""
RANK = {"": 0, "started": 1, "acquired": 2, "done": 3, "failed": 3, "not started": 3}


@dataclass(slots=True)
class Scan:
    """What is known of one data set, by the agent's number (``arrays``).

    ``said``: the furthest that the agent has told; ``doubtful``: its start was never confirmed. ``asked``: parameters that its files
    must say again. ``orphan``: the agent that started it is no more, its files tell. ``waiting``: a row that is not started yet.
    ``after_edge_s``: how long its scans take after the edge that `zg` waits for; None: it waits for none. ``not_before_ns``: since when
    its end may lie back, where that was learned late; None: it was heard as it happened.
    """

    key: str
    block: int
    target: str
    deadline_ns: int
    asked_ns: int
    asked: Mapping[str, Any] = field(default_factory=dict)
    after_edge_s: float | None = None
    not_before_ns: int | None = None
    halted: bool = False
    aborted: bool = False
    doubtful: bool = False
    orphan: bool = False
    waiting: bool = False
    said: str = ""
    code: str = ""
    text: str = ""
    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def of(self) -> int:
        """The order's block."""
        return arrays.block_of(self.block)

    @property
    def rank(self) -> int:
        """How far it is: 1 started, 2 acquired, 3 over."""
        return RANK.get(self.said, 0)

    def hear(self, said: str, code: str = "", text: str = "", *, not_before_ns: int | None = None) -> None:
        """The agent's word; what it said before is not said again. ``not_before_ns``: of one that comes late."""
        if RANK.get(said, 0) > self.rank:
            if self.rank < RANK["acquired"] <= RANK[said]:
                self.not_before_ns = not_before_ns
            self.said, self.code, self.text = said, code, text
            self.news.set()


class Over(Protocol):
    """Learns that a scan has ended, before its last event."""

    def __call__(self, scan: Scan, *, good: bool) -> None:
        """``good``: its data are ours and whole."""


class Follower:
    """Follows scans; ``put`` takes their events."""

    def __init__(
        self, name: str, bridge: Bridge, folders: Folders, clock: Clock, put: Callable[[ConsoleEvent], Awaitable[None]], over: Over
    ) -> None:
        self._name = name
        self._bridge, self._folders, self._clock = bridge, folders, clock
        self._put, self._over = put, over

    async def follow(self, scan: Scan, further: Sequence[Scan] = (), turn: Callable[[Scan], None] = lambda _: None) -> None:
        """Started, Acquired, Filed; or Failed and why. ``further``: rows that are started one after the other; ``turn`` learns of each."""
        try:
            await self._until(scan, 1)
            self._check(scan)
            if scan.after_edge_s is None:
                now_ns = self._clock.mono_ns()
                await self._put(Started(scan.key, scan.of, now_ns, half_width_ns=now_ns - scan.asked_ns))
            for later in further:
                await self._over_and_whole(scan)
                if scan.halted:
                    break
                later.aborted = later.aborted or scan.aborted
                scan = later
                scan.waiting = True
                turn(scan)
                await self._next_row(scan)
            await self._until(scan, 2)
            self._check(scan)
            over_ns = self._clock.mono_ns()
            late_ns = 0 if scan.not_before_ns is None else max(0, over_ns - max(scan.not_before_ns, scan.asked_ns))
            if scan.after_edge_s is not None and not scan.halted:
                began_ns = max(scan.asked_ns, over_ns - round(scan.after_edge_s * 1e9))
                await self._put(Started(scan.key, scan.of, began_ns, half_width_ns=round(FILING_S * 1e9) + late_ns))
            await self._put(Acquired(scan.key, scan.of, over_ns, half_width_ns=late_ns))
            await self._over_and_whole(scan)
        except InstrumentError as fault:
            self._over(scan, good=False)
            await self._put(Failed(scan.key, scan.of, self._clock.mono_ns(), fault.message))
        else:
            self._over(scan, good=True)
            await self._put(Filed(scan.key, scan.of, self._clock.mono_ns(), scan.target))

    async def _over_and_whole(self, scan: Scan) -> None:
        await self._until(scan, 3)
        self._check(scan)
        await self._until_whole(scan)

    async def _next_row(self, scan: Scan) -> None:
        """Start it; while nobody answers, ask again: the same key and number twice is once."""
        while True:
            request = {"key": scan.key, "block": scan.block, "target": scan.target}
            left_s = (scan.deadline_ns - self._clock.mono_ns()) / 1e9
            if left_s <= 0:
                raise DeviceFault("its deadline passed before all rows were measured")
            try:
                await self._bridge.ask("start", within_s=LONG_REPLY_S, deadline_s=left_s, **request)
            except (NotReachable, OutcomeUnknown):
                await asyncio.sleep(POLL_S)
                continue
            scan.waiting = False
            scan.hear("started")
            return

    def _check(self, scan: Scan) -> None:
        """Raises what the agent's last word means."""
        if scan.said == "failed":
            raise DeviceFault("aborted") if scan.aborted or scan.code == "aborted" else DeviceFault(states.story(scan.code, scan.text))
        if scan.said == "not started":
            raise DeviceFault("the agent was never told to start it")

    async def _until(self, scan: Scan, rank: int) -> None:
        """Wait for the agent's word; after the deadline halt, then stop, then leave the console alone."""
        for how in ("halt", "stop", ""):
            if await self._heard(scan, rank):
                return
            if how:
                scan.deadline_ns, scan.halted = self._clock.mono_ns() + self._grace_ns(STOP_GRACE_S), True
                with contextlib.suppress(InstrumentError):
                    await self._bridge.ask(how, key=scan.key)
        if not self._bridge.connected:
            raise DeviceFault("not over in time, and nobody answers: whether it still runs is not known")
        raise DeviceFault(f"{states.STUCK.name}: neither halt nor stop ended it; the console was left alone; {states.STUCK.advice}")

    async def _heard(self, scan: Scan, rank: int) -> bool:
        """Did the agent say so before the deadline? Where there is no agent, do complete files say so?"""
        while scan.rank < rank:
            left_s = (scan.deadline_ns - self._clock.mono_ns()) / 1e9
            if left_s <= 0:
                return False
            scan.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, WATCH_S) / self._clock.speed):
                    await scan.news.wait()
            alone = scan.orphan or not self._bridge.connected
            if alone and scan.rank < rank and not await self._clock.in_thread(self._folders.wrong, scan.target):
                scan.hear("done", not_before_ns=self._bridge.heard_ns)
        return True

    async def _until_whole(self, scan: Scan) -> None:
        """The data set as we see it: both sums hold. Raises BadReply."""
        patience_ns = self._clock.mono_ns() + self._grace_ns(FILED_WITHIN_S)
        while wrong := await self._clock.in_thread(self._folders.wrong, scan.target):
            if self._clock.mono_ns() > patience_ns:
                raise BadReply(f"{states.NO_DATA.name}: {self._folders.local(scan.target)}: {wrong}", instrument=self._name)
            await self._clock.sleep(POLL_S)
        asked = {name: value for name, value in scan.asked.items() if name != "NS" or not (scan.halted or scan.orphan)}
        if differing := stranger(asked, await self._clock.in_thread(self._folders.status, scan.target)):
            raise DeviceFault(f"the files hold another acquisition: {differing}")

    def _grace_ns(self, seconds: float) -> int:
        """So many seconds of the experiment, and never fewer than LEAST_REAL_S of the computer's."""
        return int(max(seconds, LEAST_REAL_S * self._clock.speed) * 1e9)
