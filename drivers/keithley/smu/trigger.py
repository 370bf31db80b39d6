"""The trigger model: numbered blocks that measure, compare, wait and switch while nobody talks to the instrument."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from drivers.keithley.smu.language import CONFLICT, ILLEGAL, OUT_OF_RANGE, Command, Complaint

MOST_BLOCKS = 63
EVENTS = frozenset({"DISP", "COMM", "SLIM", "NONE"})
LONG_EVENTS = {"COMMAND": "COMM", "NOTIFY": "NOT", "TIMER": "TIM", "DIGIO": "DIG", "DISPLAY": "DISP", "SLIMIT": "SLIM"}
NUMBERED_EVENTS = {"NOT": 8, "DIG": 6, "LAN": 8, "BLEN": 2, "TIM": 4}


@dataclass(frozen=True, slots=True)
class Block:
    """One block: what it does and with what."""

    kind: str
    arguments: tuple[Any, ...] = ()


class Bench(Protocol):
    """What blocks act on."""

    def switch(self, *, on: bool) -> None:
        """The output."""

    def clear(self, buffer: str) -> None:
        """Empty a buffer."""

    async def measure(self, buffer: str) -> float:
        """One reading into a buffer; its value."""

    def lines(self, pattern: int, mask: int) -> None:
        """Digital output lines."""

    def log(self, code: int, text: str) -> None:
        """Into the event log."""

    @property
    def limited(self) -> bool:
        """Is the source at its limit?"""


def event_name(text: str) -> str:
    """A canonical event (``COMM``, ``TIM1``). Raises Complaint."""
    name = text.upper()
    for long, short in LONG_EVENTS.items():
        if name.startswith(long):
            name = short + name.removeprefix(long)
    head = name.rstrip("0123456789")
    number = name.removeprefix(head)
    if (not number and head in EVENTS) or (head in NUMBERED_EVENTS and number and 1 <= int(number) <= NUMBERED_EVENTS[head]):
        return name
    raise Complaint(*ILLEGAL)


class TriggerModel:
    """Blocks and the task that runs them; ``sleep`` and ``spawn`` are the emulator's."""

    def __init__(
        self,
        bench: Bench,
        sleep: Callable[[float], Awaitable[None]],
        spawn: Callable[[Any], asyncio.Task[None]],
    ) -> None:
        self.bench, self._sleep, self._spawn = bench, sleep, spawn
        self.blocks: dict[int, Block] = {}
        self.timers: dict[int, dict[str, Any]] = {n: self._timer() for n in range(1, 5)}
        self.state, self.at = "EMPTY", 0
        self.counts: dict[int, int] = {}
        self.readings: dict[int, float] = {}
        self._latched: set[str] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ticking: dict[int, asyncio.Task[None]] = {}
        self._ticked: dict[int, int] = {}
        """How often each timer that still beats has done so."""

    @staticmethod
    def _timer() -> dict[str, Any]:
        return {"delay_s": 1e-5, "count": 1, "stimulus": "NONE", "on": False}

    @property
    def running(self) -> bool:
        """True while blocks are executed."""
        return self.state in {"RUNNING", "WAITING"}

    @property
    def status(self) -> str:
        """Answer to ``TRIG:STAT?``."""
        return f"{self.state};{self.state};{self.at}"

    def load_empty(self) -> None:
        """``TRIG:LOAD "Empty"``."""
        self.blocks, self.state, self.at = {}, "EMPTY", 0

    # ------------------------------------------------------------------------------------------------------------ blocks

    def define(self, kind: str, command: Command) -> None:
        """A block by its number. Raises Complaint."""
        n = command.whole(0)
        if not 1 <= n <= MOST_BLOCKS:
            raise Complaint(*OUT_OF_RANGE)
        self.blocks[n] = Block(kind, self._arguments(kind, command))
        self.state = "IDLE"

    @staticmethod
    def _arguments(kind: str, c: Command) -> tuple[Any, ...]:
        def buffer(n: int) -> str:
            return c.text(n) if len(c.arguments) > n else "defbuffer1"

        match kind:
            case "BUFF:CLE":
                return (buffer(1),)
            case "SOUR:STAT":
                return (c.switch(1),)
            case "MEAS" | "MDIG":
                return buffer(1), c.whole(2, 1)
            case "BRAN:LIM:CONS":
                kind_ = c.word(1, "ABOVe", "BELow", "INside", "OUTside")
                low, high = sorted((c.value(2), c.value(3)))
                return kind_, low, high, c.whole(4), c.whole(5, 0)
            case "BRAN:DELT":
                return c.value(1), c.whole(2), c.whole(3, 0)
            case "DEL:CONS":
                delay_s = c.value(1)
                if not 167e-9 <= delay_s <= 1e4 and delay_s != 0.0:
                    raise Complaint(*OUT_OF_RANGE)
                return (delay_s,)
            case "WAIT":
                return event_name(c.text(1)), len(c.arguments) > 2 and c.word(2, "ENTer", "NEVer") == "ENT"
            case "BRAN:COUN":
                return c.whole(1), c.whole(2)
            case "BRAN:COUN:RES" | "BRAN:ALW":
                return (c.whole(1),)
            case "BRAN:EVEN":
                return event_name(c.text(1)), c.whole(2)
            case "DIG:IO":
                return c.whole(1), c.whole(2, 0b111111)
            case "LOG:EVEN":
                return c.word(1, *(f"{level}{n}" for level in ("INFO", "WARN", "ERROR") for n in (1, 2, 3, 4))), c.text(2)
            case "NOT":
                return (c.whole(1),)
            case _:
                return ()

    def listed(self) -> str:
        """Answer to ``TRIG:BLOC:LIST?`` (its wording is inferred)."""
        if not self.blocks:
            return "Empty"
        return "\n".join(
            f" {n:>3}) {block.kind:<16}{', '.join(str(argument) for argument in block.arguments)}"
            for n, block in sorted(self.blocks.items())
        )

    # ------------------------------------------------------------------------------------------------------------ running

    def start(self) -> None:
        """``INIT``. Raises Complaint."""
        if self.running or not self.blocks:
            raise Complaint(*CONFLICT)
        if sorted(self.blocks) != list(range(1, len(self.blocks) + 1)):
            self.state = "FAILED"
            raise Complaint(*CONFLICT)
        self.at, self.counts, self.readings, self._latched = 1, {}, {}, set()
        self._go("RUNNING")

    def _go(self, state: str) -> None:
        self.state = state
        self._task = self._spawn(self._runs())

    def abort(self) -> None:
        """``ABOR``: the output stays as it is."""
        if self.running:
            self._end("ABORTED")

    def stop(self) -> None:
        """Tasks end; the state stays, for a snapshot."""
        for task in [*([self._task] if self._task else []), *self._ticking.values()]:
            task.cancel()
        self._task, self._ticking = None, {}

    def _end(self, state: str) -> None:
        task, self._task, self.state = self._task, None, state
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        for ticking in self._ticking.values():
            ticking.cancel()
        self._ticking, self._ticked = {}, {}

    async def _runs(self) -> None:
        while block := self.blocks.get(self.at):
            at = self.at
            try:
                self.at = await self._execute(at, block)
            except Complaint as complaint:
                self.bench.log(complaint.code, complaint.text)
                self._end("FAILED")
                return
        self.at = len(self.blocks)
        self._end("IDLE")

    async def _execute(self, at: int, block: Block) -> int:
        """Do one block; the number of the next."""
        a = block.arguments
        match block.kind:
            case "BUFF:CLE":
                self.bench.clear(a[0])
            case "SOUR:STAT":
                self.bench.switch(on=a[0])
            case "MEAS" | "MDIG":
                for _ in range(a[1]):
                    self.readings[at] = await self.bench.measure(a[0])
            case "BRAN:LIM:CONS":
                return a[3] if _beyond(a[0], a[1], a[2], self._reading(at, a[4])) else at + 1
            case "DEL:CONS":
                await self._sleep(a[0])
            case "WAIT":
                await self._wait(a[0], clear=a[1])
            case "BRAN:COUN":
                self.counts[at] = self.counts.get(at, 0) + 1
                if self.counts[at] < a[0]:
                    return int(a[1])
                self.counts[at] = 0
            case "BRAN:COUN:RES":
                self.counts[a[0]] = 0
            case "BRAN:ALW":
                return int(a[0])
            case "BRAN:EVEN":
                return int(a[1]) if self._happened(a[0]) else at + 1
            case "DIG:IO":
                self.bench.lines(*a)
            case "LOG:EVEN":
                self.bench.log(0, a[1])
            case "NOT":
                self.happen(f"NOT{a[0]}")
        return at + 1

    def _reading(self, at: int, block: int) -> float:
        """Of a block, or (0) of the last one before."""
        measured = [n for n in self.readings if n == block or (block == 0 and n < at)]
        if not measured:
            raise Complaint(*CONFLICT)
        return self.readings[max(measured)]

    # ------------------------------------------------------------------------------------------------------------- events

    def happen(self, event: str) -> None:
        """An event: latched for whoever waits or branches on it, and it starts timers."""
        self._latched.add(event)
        self._news.set()
        for n, timer in self.timers.items():
            if timer["on"] and timer["stimulus"] == event and n not in self._ticking:
                self._ticking[n] = self._spawn(self._ticks(n, timer))

    async def _ticks(self, n: int, timer: dict[str, Any], done: int = 0) -> None:
        while not timer["count"] or done < timer["count"]:
            self._ticked[n] = done
            await self._sleep(timer["delay_s"])
            self.happen(f"TIM{n}")
            done += 1
        self._ticked.pop(n, None)

    def _happened(self, event: str) -> bool:
        if event == "SLIM":
            return self.bench.limited
        found = event in self._latched
        self._latched.discard(event)
        return found

    async def _wait(self, event: str, *, clear: bool) -> None:
        if clear:
            self._latched.discard(event)
        self.state = "WAITING"
        while not self._happened(event):
            self._news.clear()
            await self._news.wait()
        self.state = "RUNNING"

    # -------------------------------------------------------------------------------------------------------------- state

    def snapshot(self) -> dict[str, Any]:
        """Plain data; a block that was under way, and the beat of a timer, begins anew."""
        return {
            "blocks": {str(n): [block.kind, list(block.arguments)] for n, block in self.blocks.items()},
            "timers": {str(n): dict(timer) for n, timer in self.timers.items()},
            "state": self.state,
            "at": self.at,
            "counts": {str(n): count for n, count in self.counts.items()},
            "readings": {str(n): value for n, value in self.readings.items()},
            "latched": sorted(self._latched),
            "ticked": {str(n): done for n, done in self._ticked.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from plain data."""
        self.blocks = {int(n): Block(kind, tuple(arguments)) for n, (kind, arguments) in state["blocks"].items()}
        self.timers = {int(n): dict(timer) for n, timer in state["timers"].items()}
        self.at = state["at"]
        self.counts = {int(n): count for n, count in state["counts"].items()}
        self.readings = {int(n): value for n, value in state["readings"].items()}
        self._latched = set(state["latched"])
        self._ticked = {int(n): done for n, done in state.get("ticked", {}).items()}
        self.state = state["state"]

    def resume(self) -> None:
        """After ``restore``: carry on."""
        if self.running:
            ticked = dict(self._ticked)
            self._go("RUNNING")
            for n, done in ticked.items():
                self._ticking[n] = self._spawn(self._ticks(n, self.timers[n], done))


def _beyond(kind: str, low: float, high: float, value: float) -> bool:
    match kind:
        case "ABOV":
            return value > high
        case "BEL":
            return value < low
        case "IN":
            return low <= value <= high
        case _:
            return not low <= value <= high
