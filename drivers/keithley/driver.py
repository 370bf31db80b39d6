"""Keithley 2450, 2460 and 2461 over SCPI: a step is a trigger model that the instrument runs, the host reads its buffer.

Whatever the step, the instrument tests every reading and counts the time by itself, and switches its output off when the host has been
silent for too long. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.base import Capabilities, CellState, ChannelState, ClockSample, Context, Identity, Settings, StepOrder
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.keithley import wire
from drivers.keithley.conduct import Conduct
from drivers.keithley.following import BufferFollowing
from drivers.keithley.models import MODELS, Options, capabilities_of, check
from drivers.keithley.running import TriggeredStep
from drivers.keithley.setup import Setup, over_before_it_began, setup_of
from drivers.keithley.talk import Talk
from drivers.stream.driver import OneStepPotentiostat

HALF_SECOND_NS = 500_000_000


class Keithley(OneStepPotentiostat[Setup]):
    """One instrument, which is one channel. Options: see ``drivers.keithley.models.Options``."""

    loses_on = NotReachable

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        options = Options.of(settings.options, settings.instrument)
        return capabilities_of(MODELS[options.model], options)

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        self._wanted = settings.identity
        options = Options.of(settings.options, settings.instrument)
        self._options = replace(options, watchdog_s=options.watchdog_s * self._clock.speed)  # silence is counted in real seconds
        self._model = MODELS[self._options.model]
        self._talk = Talk(context.network, settings.address, self._name, self._options.dead_socket_port)
        self._conduct = Conduct(self._talk, self._clock, self._name)
        self._following: BufferFollowing = BufferFollowing(self._talk, self._conduct, self._clock, self._outbox, self._options, self._name)
        self.capabilities = capabilities_of(self._model, self._options)

    async def _meet(self) -> Identity:
        identity, self._model = await self._conduct.meet(self._wanted)
        self.capabilities = capabilities_of(self._model, self._options)
        self._following.serial = identity.serial
        await self._conduct.rebooted()  # of before our time
        if (state := await self._talk.trigger_state()).active:
            await self._adopt(waits=state.waits)
        return identity

    def _planned(self, program: tuple[StepOrder, ...]) -> Setup:
        return setup_of(check(program, self._model), self._model, self._options)

    async def _load(self, plan: Setup) -> None:
        """Set the source and build the step's trigger model; the output stays off."""
        async with self._following.lock:
            await self._conduct.prepare(plan)

    async def _adopt(self, *, waits: bool) -> None:
        """An earlier host's step: its tag says which; without one it is somebody else's, and left alone."""
        listing = await self._talk.listing()
        tag = wire.parse_tag(listing)
        if tag is None:
            return
        step = TriggeredStep(tag, self._outbox, window=wire.parse_window(listing))
        await self._following.recount(step)
        self._started.add(tag.key)
        self._following.begin(step, self._clock.mono_ns(), shown=not waits)

    async def _state(self) -> ChannelState:
        await self._following.look()
        step, on = self._following.step, await self._talk.output_on()
        cell = CellState.ON if on else CellState.OFF
        if step is not None:
            return ChannelState(cell, True, step.key, step.voltage_V, step.current_A)
        if (await self._talk.trigger_state()).active:
            return ChannelState(cell, True, detail="a trigger model runs that is not ours")
        states = await self._talk.off_states()
        if not on and states != (wire.HIGH_IMPEDANCE, wire.HIGH_IMPEDANCE):
            detail = f"output off, but in {'/'.join(states)}, not high impedance: the cell is discharged through the instrument"
            return ChannelState(CellState.ON, False, detail=detail)
        return ChannelState(cell, False, detail="the output is on although nothing runs" if on else "")

    async def _start(self, plan: Setup) -> None:
        """Look at open circuit, compare, run the trigger model."""
        self._conduct.initiated = False
        try:
            await self._run(plan)
        except InstrumentError as fault:
            silent, initiated = isinstance(fault, NotReachable), self._conduct.initiated and not isinstance(fault, Rejected)
            if initiated:
                self._following.begin(TriggeredStep(plan.tag, self._outbox, plan), self._clock.mono_ns(), shown=False)
            if silent:
                self._following.lose(fault.message)
            if silent or initiated:
                raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
            raise self._refusal(fault.message, fault) from fault

    async def _run(self, setup: Setup) -> None:
        """Raises InstrumentError other than NotReachable only when the step certainly does not run."""
        seen = await self._conduct.look(setup, self._model)
        begun = TriggeredStep(setup.tag, self._outbox, setup)
        if over := over_before_it_began(setup, seen.read):
            self._following.begin(begun, self._clock.mono_ns())
            begun.take_open_circuit(seen, self._clock.mono_ns())
            return self._following.over(*over)
        await self._conduct.configure(setup)
        asked_ns = await self._conduct.launch()
        return self._following.begin(begun, asked_ns, shown=not setup.order.ttl_in)

    async def _be_heard(self) -> None:
        """A connection on which the instrument answers; a silent one is told all the same."""
        if self._talk.in_step:
            return
        try:
            await self._conduct.meet_again(self._following.serial)
        except NotReachable:
            await self._conduct.off_unheard()
            raise

    def _answers(self) -> bool:
        return self._talk.in_step

    async def _let_go(self) -> None:
        """A trigger model that runs goes on to its limits, or until its watchdog finds that nobody is there."""
        await self._talk.close()

    async def read_clock(self) -> ClockSample | None:
        """The instrument's UTC, in whole seconds, against our clock."""
        async with self._talk.lock:
            before_ns = self._clock.mono_ns()
            seconds = await self._talk.ask(":SYST:TIME?", wire.parse_integer)
            after_ns = self._clock.mono_ns()
        return ClockSample(seconds * 10**9 + HALF_SECOND_NS, (before_ns + after_ns) // 2, HALF_SECOND_NS + (after_ns - before_ns) // 2)
