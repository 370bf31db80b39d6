"""The thinnest potentiostat: a door to a channel that takes one step, runs it by itself, and shows what it measures; and who follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from drivers.base import Identity, Reason
from drivers.clock import Clock
from drivers.errors import DeviceFault
from drivers.stream.bounds import StepPlan
from drivers.stream.following import StepFollowing
from drivers.stream.rows import Row
from drivers.stream.running import RunningStep
from drivers.stream.samples import Outbox

STOP_LOOK_S = 0.02
STOPPED_WITHIN_S = 5.0
GRACE_NS = 2_000_000_000
"""A channel that has shown no sample yet may not have begun: a start takes its time (inferred)."""
MOST_FETCHES = 500
STALE_STOPS = 50
"""So many looks at a channel that stands still, says it holds data, and gives none away, are the end too."""


class ChannelTaken(DeviceFault):
    """What was loaded or ran is gone: the channel was restarted, or another program has it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a channel shows now; ``running`` None: nobody can tell.

    ``foreign``: what runs was not started through this door. ``key``: of the step, where the door knows it.
    """

    running: bool | None
    voltage_V: float | None = None
    current_A: float | None = None
    elapsed_s: float | None = None
    foreign: bool = False
    key: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came since the last time: samples and points, whether it still runs, whether the channel has kept something back.

    ``status``: bits of the last sample; ``trouble``: what the instrument complains about.
    """

    rows: tuple[Row, ...]
    running: bool
    more: bool = False
    status: int = 0
    trouble: str = ""
    trouble_reason: Reason = Reason.DEVICE_ERROR


class Door(Protocol):
    """One channel. All raise InstrumentError: NotReachable where nobody answers, Rejected where certainly nothing was started."""

    stops_needed: int
    """So many looks in a row that show nothing running are the end: between linked techniques a single one is not."""

    async def open(self) -> Identity:
        """Reach it, and say who it is. Changes nothing."""

    async def look(self) -> Look:
        """What it shows now."""

    async def write(self, plan: StepPlan) -> None:
        """Files that the step needs, on a disk: asked for while nobody holds the wire. The instrument is told nothing. Raises Rejected."""

    async def load(self, plan: StepPlan) -> None:
        """Put the step into it; nothing runs. Raises Rejected."""

    async def start(self) -> None:
        """Run what was loaded. Raises Rejected only where it certainly does not run."""

    async def stop(self) -> None:
        """Open circuit; whether it is reached, ``look`` says."""

    async def fetch(self) -> Batch:
        """What was measured since the last time."""

    async def close(self) -> None:
        """Let go; what runs goes on."""


class DoorFollowing(StepFollowing[RunningStep]):
    """Behind a door."""

    stop_look_s: ClassVar[float] = STOP_LOOK_S

    def __init__(self, door: Door, clock: Clock, outbox: Outbox, name: str) -> None:
        super().__init__(clock, outbox, name)
        self._door = door

    async def reach(self) -> None:
        """Open the door again."""
        await self._door.open()

    async def look(self) -> None:
        """Fetch; then say that it is over, end it, or when to look again. Raises InstrumentError."""
        step = self.step
        if step is None:
            return
        try:
            came = await self.fetch(step)
        except ChannelTaken as gone:
            self.over(Reason.LOST, f"the channel was taken: {gone.message}")
            return
        now_ns = self._clock.mono_ns()
        begun = step.samples > 0 or now_ns > step.begun_ns + GRACE_NS * self._clock.speed
        if begun and step.stops >= (STALE_STOPS if step.more else self._door.stops_needed):
            self.over(*step.why(now_ns))
        elif (end := step.to_be_ended(now_ns)) is not None:
            await self.stop(*end)
        elif step.stops:
            self.again_in(round(STOP_LOOK_S * 1e9))
        else:
            self.again_when_due(step, came=came)

    async def fetch(self, step: RunningStep) -> bool:
        """Everything that there is; True when there was something."""
        before, rows = step.samples, 0
        for _ in range(MOST_FETCHES):
            batch = await self._door.fetch()
            if batch.trouble and not step.trouble:
                step.trouble, step.trouble_reason = batch.trouble, batch.trouble_reason
            step.take(batch.rows, self._clock.mono_ns(), batch.status)
            rows += len(batch.rows)
            if not batch.more or not batch.rows:
                break
        step.stops, step.more = 0 if batch.running or rows else step.stops + 1, batch.more
        if batch.running:
            step.seen_running = True
            if not step.waits:
                step.show(step.begun_ns)
        return step.samples > before

    async def tell_stop(self) -> None:
        """Tell it to open the circuit."""
        await self._door.stop()

    async def stopped(self) -> str:
        """It must read stopped several times in a row. Raises DeviceFault."""
        stops, waited_s, shown = 0, 0.0, ""
        while stops < self._door.stops_needed:
            look = await self._door.look()
            stops = stops + 1 if look.running is False else 0
            shown = look.detail or (f"{look.voltage_V:.6g} V" if look.voltage_V is not None else "")
            if waited_s > STOPPED_WITHIN_S:
                raise DeviceFault("told to stop, and it still runs", instrument=self._name, received=look.detail, did="it is told again")
            await self._clock.sleep(self.stop_look_s * self._clock.speed)
            waited_s += self.stop_look_s
        return f"the channel reads stopped, {shown}"
