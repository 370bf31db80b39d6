"""Neware BTS 8 cyclers: the BTS client of the cycler's computer obeys by XML over TCP, and the cycler runs each step by itself.

A program is one step: a step file with its protections, one test of the client. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

from typing import Any

from drivers.base import Capabilities, CellState, ChannelState, ClockSample, Context, Identity, Settings, StepOrder
from drivers.errors import InstrumentError, OutcomeUnknown, Rejected
from drivers.neware import wire
from drivers.neware.channel import Channel
from drivers.neware.following import TestsFollowing
from drivers.neware.models import Options, capabilities_of, check
from drivers.neware.running import CyclerStep
from drivers.neware.steps import OURS, CyclerPlan, plan_of
from drivers.stream.driver import OneStepPotentiostat

TICK_NS = 100_000_000
"""The client's times have tenths of a second."""


class Neware(OneStepPotentiostat[CyclerPlan]):
    """One channel. Options: see ``drivers.neware.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(Options.of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        options = Options.of(settings)
        self._channel = Channel(settings, context, options)
        self._following: TestsFollowing = TestsFollowing(self._channel, self._clock, self._outbox, self._name)
        self.capabilities = capabilities_of(options)

    async def _meet(self) -> Identity:
        identity = await self._channel.open()
        await self._adopt()
        return identity

    async def _adopt(self) -> None:
        """An earlier host's step: its barcode names it, the notebook says what it is; anybody else's is left alone. All its rows come."""
        state = await self._channel.look()
        if state.status in wire.STANDING or not state.barcode.startswith(OURS):
            return
        entry, test = await self._channel.known(state), await self._channel.test()
        key = entry.order.key if entry is not None else state.barcode.removeprefix(OURS)
        begun_ns = self._clock.mono_ns() - round((state.elapsed_s or 0.0) * 1e9)
        self._started.add(key)
        plan = plan_of(entry.order) if entry is not None else None
        self._following.begin(self._running(key, plan, begun_ns, test=test.number))

    def _running(self, key: str, plan: CyclerPlan | None, begun_ns: int, **known: Any) -> CyclerStep:
        return CyclerStep(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    async def _state(self) -> ChannelState:
        await self._following.look()
        step, state = self._following.step, await self._channel.look()
        volts = state.voltage_V
        if state.status in wire.STANDING:
            return ChannelState(CellState.OFF, False, voltage_V=volts, current_A=0.0, detail=state.status)
        if state.status != wire.WORKING:  # inferred: a paused channel is at open circuit
            return ChannelState(CellState.UNKNOWN, None, step.key if step else None, volts, detail=state.status)
        if step is None:
            return ChannelState(CellState.UNKNOWN, True, None, volts, state.current_A, f"another's test: {state.barcode or 'no name'}")
        amps = step.current_A if step.current_A is not None else state.current_A
        return ChannelState(CellState.OFF if step.rests else CellState.ON, True, step.key, volts, amps)

    def _planned(self, program: tuple[StepOrder, ...]) -> CyclerPlan:
        return plan_of(check(program, self.capabilities))

    async def _load(self, plan: CyclerPlan) -> None:
        """The step file; the cycler hears of it at the start."""
        async with self._following.lock:
            state = await self._channel.look()
        if state.status not in wire.STANDING:
            raise self._refusal(f"the channel is not free: {state.status}", advice="stop it where it was started")
        await self._channel.write(plan, state.voltage_V)

    async def _note(self, plan: CyclerPlan) -> None:
        await self._channel.note(plan)

    async def _start(self, plan: CyclerPlan) -> None:
        key = plan.order.key
        try:
            before = await self._channel.test()
        except InstrumentError as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not started: {fault.message}") from fault
        asked_ns = self._clock.mono_ns()
        try:
            await self._channel.start(key)
        except Rejected:
            raise
        except InstrumentError as fault:
            self._following.begin(self._running(key, plan, asked_ns, before=before.number, shown=False))
            self._following.lose(fault.message)
            raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
        self._following.begin(self._running(key, plan, self._clock.mono_ns(), before=before.number))

    async def _let_go(self) -> None:
        await self._channel.close()

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
