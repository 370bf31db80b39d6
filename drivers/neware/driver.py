"""Neware BTS 8 cyclers: the BTS client of the cycler's computer obeys by XML over TCP, and the cycler runs each step by itself.

A program is one step: a step file with its protections, one test of the client. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from drivers.base import (
    Capabilities,
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    Context,
    Identity,
    PotentiostatEvent,
    Reason,
    SafeState,
    Settings,
    StepOrder,
)
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.neware import wire
from drivers.neware.channel import Channel
from drivers.neware.following import Following
from drivers.neware.models import Options, capabilities_of, check
from drivers.neware.notebook import OURS
from drivers.neware.running import Running
from drivers.neware.steps import Plan, plan_of
from drivers.stream.samples import Outbox

SAFE_SHARE = 0.9
"""Of ``make_safe_s``: so long the cycler is told to open the circuit before the answer is *unconfirmed*."""
WAIT_FOR_TURN_S = 1.0
TICK_NS = 100_000_000
"""The client's times have tenths of a second."""


class Neware:
    """One channel. Options: see ``drivers.neware.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(Options.of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name, self._clock = settings.instrument, context.clock
        options = Options.of(settings)
        self._channel = Channel(settings, context, options)
        self._outbox = Outbox()
        self._following = Following(self._channel, self._clock, self._outbox, self._name)
        self._loaded: Plan | None = None
        self._started: set[str] = set()
        self._unconfirmed: str | None = None
        self._live: asyncio.Task[None] | None = None
        self._released = False
        self.capabilities = capabilities_of(options)

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Find the channel and ask what it does; a step that runs is adopted. Nothing is set, stopped or loaded."""
        try:
            async with self._following.lock:
                identity = await self._channel.open()
                await self._adopt()
        except BaseException:
            await self.release()
            raise
        self._go_live()
        return identity

    async def read_state(self) -> ChannelState:
        """What the channel says of itself now."""
        if self._following.lost:
            return ChannelState(CellState.UNKNOWN, None, detail="the link is lost")
        try:
            async with self._following.lock:
                await self._following.look()
                return self._state(await self._channel.look())
        except InstrumentError as fault:
            self._following.lose(fault.message)
            return ChannelState(CellState.UNKNOWN, None, detail=str(fault))

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Write the step file; the cycler hears of it at the start. Raises Rejected."""
        plan = plan_of(check(program, self.capabilities))
        if self._following.lost or self._following.step is not None:
            raise self._refusal("the link is lost" if self._following.lost else "a step runs")
        self._loaded = None
        try:
            async with self._following.lock:
                state = await self._channel.look()
                if state.status not in wire.STANDING:
                    raise self._refusal(f"the channel is not free: {state.status}", advice="stop it where it was started")
                await self._channel.write(plan, state.voltage_V)
        except Rejected:
            raise
        except InstrumentError as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not loaded: {fault.message}") from fault
        self._loaded = plan

    async def start(self, key: str) -> None:
        """Run the loaded step. Raises OutcomeUnknown when nobody knows whether it runs."""
        if key in self._started:
            if key == self._unconfirmed:
                raise OutcomeUnknown(f"the start of {key} was never confirmed", instrument=self._name)
            return
        plan = self._loaded
        if self._following.lost or plan is None or plan.order.key != key:
            raise self._refusal("the link is lost" if self._following.lost else f"{key} is not the loaded step")
        async with self._following.lock:
            self._loaded, self._following.owes_safety = None, False
            await self._start(plan)

    async def end_step(self, key: str | None = None) -> None:
        """Stop the channel and read it back: StepEnded(SKIP)."""
        following = self._following
        if following.lost:
            raise NotReachable("the link is lost", instrument=self._name, did="nothing was sent")
        async with following.lock:
            step = following.step
            if step is None or (key is not None and step.key != key):
                if key in self._started:
                    return
                raise self._refusal(f"{key} does not run" if key else "no step runs")
            try:
                await following.stop(Reason.SKIP, "ended by the host")
            except InstrumentError as fault:
                following.lose(fault.message)
                raise

    async def make_safe(self) -> SafeState:
        """Stop the channel; it must read stopped several times in a row."""
        following = self._following
        self._loaded, following.owes_safety = None, True
        try:
            async with asyncio.timeout(SAFE_SHARE * self.capabilities.make_safe_s), self._turn():
                if following.lost:
                    await self._channel.open()
                shown = await following.stop(Reason.ABORT, "made safe")
        except (InstrumentError, TimeoutError) as fault:
            following.lose(getattr(fault, "message", "no answer in time"))
            return SafeState(Confirmation.UNCONFIRMED, str(fault) or "no answer in time; tried again when the link is back")
        following.owes_safety = False
        following.restore("made safe")
        return SafeState(Confirmation.CONFIRMED, f"the channel reads {shown}")

    async def release(self) -> None:
        """Let go; what runs goes on to its own limits, and the client keeps its data."""
        self._released = True
        await self._pause_live()
        with contextlib.suppress(InstrumentError):
            await self._channel.close()
        self._outbox.close()

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """The one ordered stream."""
        return self._outbox.stream()

    async def read_clock(self) -> ClockSample | None:
        """The time of the running step against our clock; None while none runs."""
        if self._following.step is None or self._following.lost:
            return None
        async with self._following.lock:
            before_ns = self._clock.mono_ns()
            state = await self._channel.look()
            after_ns = self._clock.mono_ns()
        if state.elapsed_s is None or state.status != wire.WORKING:
            return None
        return ClockSample(round(state.elapsed_s * 1e9), (before_ns + after_ns) // 2, max(TICK_NS, (after_ns - before_ns) // 2))

    # ----------------------------------------------------------------------------------------------------------- private

    async def _adopt(self) -> None:
        """An earlier host's step: its barcode names it, and the notebook says what it is; anybody else's is left alone."""
        state = await self._channel.look()
        if state.status in wire.STANDING or not state.barcode.startswith(OURS):
            return
        entry, test = await self._channel.known(state), await self._channel.test()
        key = entry.order.key if entry is not None else state.barcode.removeprefix(OURS)
        now_ns = self._clock.mono_ns()
        begun_ns = now_ns - round((state.elapsed_s or 0.0) * 1e9)
        self._started.add(key)
        plan = plan_of(entry.order) if entry is not None else None
        self._following.begin(self._running(key, plan, begun_ns, test=test.number, first_ns=now_ns))

    def _state(self, state: wire.State) -> ChannelState:
        step, volts = self._following.step, state.voltage_V
        if state.status in wire.STANDING:
            return ChannelState(CellState.OFF, False, voltage_V=volts, current_A=0.0, detail=state.status)
        if state.status != wire.WORKING:  # inferred: a paused channel is at open circuit
            return ChannelState(CellState.UNKNOWN, None, step.key if step else None, volts, detail=state.status)
        if step is None:
            return ChannelState(CellState.UNKNOWN, True, None, volts, state.current_A, f"another's test: {state.barcode or 'no name'}")
        amps = step.current_A if step.current_A is not None else state.current_A
        return ChannelState(CellState.OFF if step.rests else CellState.ON, True, step.key, volts, amps)

    async def _start(self, plan: Plan) -> None:
        key = plan.order.key
        try:
            before = await self._channel.test()
            await self._channel.note(plan)  # before the current flows, so that whoever finds it knows what it is
        except Rejected:
            raise
        except InstrumentError as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not started: {fault.message}") from fault
        self._started.add(key)
        self._unconfirmed = key
        running = self._running(key, plan, self._clock.mono_ns(), before=before.number, shown=False)
        try:
            await self._channel.start(key)
        except Rejected:
            self._started.discard(key)
            raise
        except InstrumentError as fault:
            self._following.begin(running)
            self._following.lose(fault.message)
            raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
        self._unconfirmed = None
        self._following.begin(self._running(key, plan, self._clock.mono_ns(), before=before.number))

    def _running(self, key: str, plan: Plan | None, begun_ns: int, **known: Any) -> Running:
        return Running(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The connection for ourselves, soon: the task that waits for an answer in vain is interrupted."""
        lock = self._following.lock
        try:
            try:
                async with asyncio.timeout(WAIT_FOR_TURN_S):
                    await lock.acquire()
            except TimeoutError:
                await self._pause_live()
                await lock.acquire()
            try:
                yield
            finally:
                lock.release()
        finally:
            self._go_live()

    def _go_live(self) -> None:
        if self._live is None and not self._released:
            self._live = asyncio.get_running_loop().create_task(self._following.run(), name=f"{self._name}: follows the step")

    async def _pause_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.cancel()
            await asyncio.wait({live})

    def _refusal(self, message: str, advice: str = "") -> Rejected:
        return Rejected(message, instrument=self._name, did="nothing was started", advice=advice)
