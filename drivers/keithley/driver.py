"""Keithley 2450, 2460 and 2461 over SCPI: a step is a trigger model that the instrument runs, the host reads its buffer.

Whatever the step, the instrument tests every reading and counts the time by itself, and switches its output off when the host has been
silent for too long. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

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
from drivers.keithley import wire
from drivers.keithley.conduct import Conduct
from drivers.keithley.following import Following
from drivers.keithley.models import MODELS, Options, capabilities_of, check
from drivers.keithley.running import Running
from drivers.keithley.setup import Setup, over_before_it_began, setup_of
from drivers.keithley.talk import Talk
from drivers.stream.samples import Outbox

SAFE_SHARE = 0.9
"""Of ``make_safe_s``: so long the instrument is told to open the circuit before the answer is *unconfirmed*."""
WAIT_FOR_TURN_S = 1.0
HALF_SECOND_NS = 500_000_000
SAFE = "output off, high impedance, trigger model idle: all read back"


class Keithley:
    """One instrument, which is one channel. Options: see ``drivers.keithley.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        options = Options.of(settings.options, settings.instrument)
        return capabilities_of(MODELS[options.model], options)

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name, self._wanted = settings.instrument, settings.identity
        self._clock = context.clock
        options = Options.of(settings.options, settings.instrument)
        self._options = replace(options, watchdog_s=options.watchdog_s * self._clock.speed)  # silence is counted in real seconds
        self._model = MODELS[self._options.model]
        self._talk = Talk(context.network, settings.address, self._name, self._options.dead_socket_port)
        self._outbox = Outbox()
        self._conduct = Conduct(self._talk, self._clock, self._name)
        self._following = Following(self._talk, self._conduct, self._clock, self._outbox, self._options, self._name)
        self._loaded: Setup | None = None
        self._started: set[str] = set()
        self._unconfirmed: str | None = None
        self._live: asyncio.Task[None] | None = None
        self._released = False
        self.capabilities = capabilities_of(self._model, self._options)

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Ask who it is and what it does; a step that runs is adopted. Nothing is set and nothing reset."""
        try:
            async with self._talk.lock:
                identity, self._model = await self._conduct.meet(self._wanted)
                self.capabilities = capabilities_of(self._model, self._options)
                self._following.serial = identity.serial
                await self._conduct.rebooted()  # of before our time
                if (await self._talk.trigger_state()).active:
                    await self._adopt()
        except BaseException:
            await self.release()
            raise
        self._go_live()
        return identity

    async def read_state(self) -> ChannelState:
        """Output, trigger model and output-off state, as the instrument says them now."""
        if self._following.lost:
            return ChannelState(CellState.UNKNOWN, None, detail="the link is lost")
        try:
            async with self._talk.lock:
                return await self._state()
        except InstrumentError as fault:
            self._following.lose(fault.message)
            return ChannelState(CellState.UNKNOWN, None, detail=str(fault))

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Set the source and build the step's trigger model; the output stays off. Raises Rejected."""
        setup = setup_of(check(program, self._model), self._model, self._options)
        if self._following.lost or self._following.step is not None:
            raise self._refusal("the link is lost" if self._following.lost else "a step runs")
        self._loaded = None
        try:
            async with self._talk.lock:
                await self._conduct.prepare(setup)
        except NotReachable as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not set up: {fault.message}", fault) from fault
        except InstrumentError as fault:
            raise self._refusal(fault.message, fault) from fault
        self._loaded = setup

    async def start(self, key: str) -> None:
        """Look at open circuit, compare, run the trigger model. Raises OutcomeUnknown when nobody knows whether it runs."""
        if key in self._started:
            if key == self._unconfirmed:
                raise OutcomeUnknown(f"the start of {key} was never confirmed", instrument=self._name)
            return
        setup = self._loaded
        if self._following.lost or setup is None or setup.order.key != key:
            raise self._refusal("the link is lost" if self._following.lost else f"{key} is not the loaded step")
        self._following.owes_safety = False
        async with self._talk.lock:
            await self._start(setup)

    async def end_step(self, key: str | None = None) -> None:
        """Stop the trigger model, switch the output off, read it back: StepEnded(SKIP)."""
        following = self._following
        if following.lost:
            raise NotReachable("the link is lost", instrument=self._name, did="nothing was sent")
        async with self._talk.lock:
            step = following.step
            if step is None or (key is not None and step.key != key):
                if key in self._started:
                    return
                raise self._refusal(f"{key} does not run" if key else "no step runs")
            try:
                await following.stop(Reason.SKIP, "ended by the host")
            except NotReachable as fault:
                following.lose(fault.message)
                raise

    async def make_safe(self) -> SafeState:
        """Stop the trigger model, output off, high impedance; all three read back."""
        following = self._following
        self._loaded, following.owes_safety = None, True
        try:
            async with asyncio.timeout(SAFE_SHARE * self.capabilities.make_safe_s), self._turn():
                await self._heard(following.serial)
                await following.stop(Reason.ABORT, "made safe")
        except (InstrumentError, TimeoutError) as fault:
            if not self._talk.in_step:
                following.lose(getattr(fault, "message", "no answer in time"))
            return SafeState(Confirmation.UNCONFIRMED, str(fault) or "no answer in time; tried again when the link is back")
        following.owes_safety = False
        following.restore("made safe")
        return SafeState(Confirmation.CONFIRMED, SAFE)

    async def release(self) -> None:
        """Let go; a trigger model that runs goes on to its limits, or until its watchdog finds that nobody is there."""
        self._released = True
        await self._pause_live()
        await self._talk.close()
        self._outbox.close()

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """The one ordered stream."""
        return self._outbox.stream()

    async def read_clock(self) -> ClockSample | None:
        """The instrument's UTC, in whole seconds, against our clock."""
        async with self._talk.lock:
            before_ns = self._clock.mono_ns()
            seconds = await self._talk.ask(":SYST:TIME?", wire.parse_integer)
            after_ns = self._clock.mono_ns()
        return ClockSample(seconds * 10**9 + HALF_SECOND_NS, (before_ns + after_ns) // 2, HALF_SECOND_NS + (after_ns - before_ns) // 2)

    # ----------------------------------------------------------------------------------------------------------- private

    async def _adopt(self) -> None:
        """An earlier host's step: its tag says which; without one it is somebody else's, and left alone."""
        listing = await self._talk.listing()
        tag = wire.parse_tag(listing)
        if tag is None:
            return
        step = Running(tag, self._outbox, window=wire.parse_window(listing))
        await self._following.recount(step)
        self._started.add(tag.key)
        self._following.begin(step, self._clock.mono_ns())

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

    async def _start(self, setup: Setup) -> None:
        key = setup.order.key
        self._started.add(key)
        self._unconfirmed, self._conduct.initiated = key, False
        try:
            await self._run(setup)
        except InstrumentError as fault:
            silent, initiated = isinstance(fault, NotReachable), self._conduct.initiated and not isinstance(fault, Rejected)
            if initiated:
                self._following.begin(Running(setup.tag, self._outbox, setup), self._clock.mono_ns(), shown=False)
            if silent:
                self._following.lose(fault.message)
            if silent or initiated:
                raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
            self._started.discard(key)
            raise self._refusal(fault.message, fault) from fault
        self._unconfirmed = None

    async def _run(self, setup: Setup) -> None:
        """Raises InstrumentError other than NotReachable only when the step certainly does not run."""
        seen = await self._conduct.look(setup, self._model)
        begun = Running(setup.tag, self._outbox, setup)
        if over := over_before_it_began(setup, seen.read):
            self._following.begin(begun, self._clock.mono_ns())
            begun.take_open_circuit(seen, self._clock.mono_ns())
            return self._following.over(*over)
        await self._conduct.configure(setup)
        asked_ns = await self._conduct.launch()
        return self._following.begin(begun, asked_ns)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The wire for ourselves, soon: the task that waits for an answer in vain is interrupted."""
        lock = self._talk.lock
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

    async def _heard(self, serial: str) -> None:
        """A connection on which the instrument answers. Raises InstrumentError, after a silent one was told all the same."""
        if self._talk.in_step:
            return
        try:
            await self._conduct.meet_again(serial)
        except NotReachable:
            await self._conduct.off_unheard()
            raise

    def _go_live(self) -> None:
        if self._live is None and not self._released:
            self._live = asyncio.get_running_loop().create_task(self._following.run(), name=f"{self._name}: reads the buffer")

    async def _pause_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.cancel()
            await asyncio.wait({live})

    def _refusal(self, message: str, fault: InstrumentError | None = None) -> Rejected:
        sent, received = (fault.sent, fault.received) if fault else ("", "")
        return Rejected(message, instrument=self._name, sent=sent, received=received, did="nothing was started")
