"""Let the device finish its step, and watch: read what it says, and say as soon as something is not as declared.

Nothing is written to the instrument but the questions that its driver asks in ``connect`` and ``read_state``.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from drivers.base import (
    CellState,
    ChannelState,
    LinkLost,
    LinkRestored,
    Potentiostat,
    PotentiostatEvent,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from drivers.errors import InstrumentError, NotReachable
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.guard.heard import last_sample

LOOK_EVERY_S = 10.0
TRY_AGAIN_S = 2.0
LET_GO_WITHIN_S = 5.0
BLIND_SAMPLES = 3
CURRENT_TOLERANCE = 1e-3
"""Relative: so far a reading may pass its limit by noise."""

TIME_OVER = "the step's time is over"

Say = Callable[[str, dict[str, Any]], None]


class Declared(NamedTuple):
    """What the rig said that the device does: its step, and the limits that no sample may pass."""

    step: str = ""
    lower_V: float | None = None
    upper_V: float | None = None
    most_A: float | None = None

    @classmethod
    def of(cls, beat: Heartbeat) -> Declared:
        """What stood in the last heartbeat."""
        return cls(beat.step, beat.lower_V, beat.upper_V, beat.most_A)

    def another(self, key: str | None) -> bool:
        """True when this is certainly not the declared step."""
        return bool(self.step and key) and key != self.step

    def passed(self, voltage_V: float | None, current_A: float | None) -> str | None:
        """The limit that a reading passes."""
        if voltage_V is not None and self.upper_V is not None and voltage_V > self.upper_V:
            return f"{voltage_V:.6g} V is above {self.upper_V:g} V"
        if voltage_V is not None and self.lower_V is not None and voltage_V < self.lower_V:
            return f"{voltage_V:.6g} V is below {self.lower_V:g} V"
        if current_A is not None and self.most_A is not None and abs(current_A) > self.most_A * (1.0 + CURRENT_TOLERANCE):
            return f"{current_A:.6g} A is more than {self.most_A:g} A"
        return None


class Judge:
    """Readings in, a verdict out: why the cell must be made safe now, or None."""

    def __init__(self, declared: Declared, say: Say) -> None:
        self.declared = declared
        self._say = say
        self._no_numbers = 0
        self._seen: bool | None = None
        self._block: SampleBlock | None = None

    def event(self, event: PotentiostatEvent) -> str | None:
        """What the stream said."""
        if isinstance(event, LinkLost):
            self.blind(event.why)
        elif isinstance(event, LinkRestored):
            self._sees()
        elif isinstance(event, StepStarted) and self.declared.another(event.key):
            return f"the device began another step, {event.key}"
        elif isinstance(event, StepEnded):
            self._say("guard.heard", {**self._last_heard(event.mono_ns), "step_key": event.key, "ended": event.reason.value})
            return f"the device has ended {event.key} ({event.reason.value})"
        elif isinstance(event, SampleBlock):
            return self._samples(event)
        return None

    def state(self, state: ChannelState) -> str | None:
        """What the instrument said of itself when asked. Not to know is no verdict: the device goes on to its own limits."""
        if state.running is None:
            self.blind(state.detail or "the instrument does not say what it does")
            return None
        self._sees(state)
        if not state.running:
            return "nothing runs on the device any more" if state.cell is CellState.OFF else "nothing runs, and the cell may be on"
        if self.declared.another(state.step_key):
            return f"the device runs another step, {state.step_key}"
        return self.declared.passed(state.voltage_V, state.current_A)

    def blind(self, why: str) -> None:
        """Nobody sees the cell now; said once."""
        if self._seen is not False:
            self._seen = False
            self._say("guard.blind", {"why": why})

    def _sees(self, state: ChannelState | None = None) -> None:
        if self._seen is not True:
            self._seen = True
            known = {} if state is None else {"step": state.step_key, "voltage_V": state.voltage_V, "current_A": state.current_A}
            self._say("guard.watching", known)

    def _last_heard(self, at_ns: int) -> dict[str, Any]:
        return {} if self._block is None else last_sample(self._block, at_ns)

    def _samples(self, block: SampleBlock) -> str | None:
        self._sees()
        self._block = block if len(block) else self._block
        if self.declared.another(block.step_key):
            return f"the device runs another step, {block.step_key}"
        for voltage_V, current_A in zip(block.voltage_V.tolist(), block.current_A.tolist(), strict=True):
            known = math.isfinite(voltage_V) and math.isfinite(current_A)
            self._no_numbers = 0 if known else self._no_numbers + 1
            if self._no_numbers >= BLIND_SAMPLES:
                return f"{BLIND_SAMPLES} readings in a row are no number"
            if known and (why := self.declared.passed(voltage_V, current_A)):
                return why
        return None


async def watch_device(make: Callable[[], Potentiostat], declared: Declared, within_s: float, say: Say) -> str:
    """Why the cell must be made safe now: something is not as declared, or ``within_s`` real seconds are over.

    An instrument that cannot be reached is tried again and again; what it does meanwhile is what its own limits allow.
    """
    judge = Judge(declared, say)
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    return await _connected(make(), judge)
                except Exception as error:  # noqa: BLE001 a driver's bug must not end the watch
                    judge.blind(str(error) if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}")
                await asyncio.sleep(TRY_AGAIN_S)
    except TimeoutError:
        return TIME_OVER


async def _connected(potentiostat: Potentiostat, judge: Judge) -> str:
    try:
        await potentiostat.connect()
        if not potentiostat.capabilities.autonomous:
            return "this instrument does not finish a step without its host"
        return judge.state(await potentiostat.read_state()) or await _listen(potentiostat, judge)
    finally:
        with contextlib.suppress(Exception):  # whatever it is, it must not take the place of the cancel at the end of the time
            async with asyncio.timeout(LET_GO_WITHIN_S):
                await potentiostat.release()


async def _listen(potentiostat: Potentiostat, judge: Judge) -> str:
    """Take the stream; where it says nothing for a while, ask."""
    events = potentiostat.events()
    reading = asyncio.ensure_future(_next(events))
    try:
        while True:
            done, _ = await asyncio.wait({reading}, timeout=LOOK_EVERY_S)
            if done:
                why = judge.event(reading.result())
                reading = asyncio.ensure_future(_next(events))
            else:
                why = judge.state(await potentiostat.read_state())
            if why:
                return why
    finally:
        reading.cancel()
        await asyncio.wait({reading})


async def _next(events: Any) -> PotentiostatEvent:
    event: PotentiostatEvent | None = await anext(events, None)
    if event is None:
        raise NotReachable("the instrument's stream has ended")
    return event
