"""BioLogic potentiostats: EC-Lab obeys by OLE-COM, or the EC-Lab Development Package's DLL on channels that the rig names ours.

A program is one step: a technique that the instrument runs, tests and ends by itself. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from drivers.base import (
    Capabilities,
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    Context,
    Identity,
    Mode,
    PotentiostatEvent,
    Reason,
    SafeState,
    Settings,
    StepOrder,
)
from drivers.biologic import notebook
from drivers.biologic.doors import make_door, options_of
from drivers.biologic.following import Following
from drivers.biologic.models import capabilities_of, channel_of, check
from drivers.biologic.running import Running
from drivers.biologic.techniques import Plan, plan_of
from drivers.errors import InstrumentError, NotReachable, OutcomeUnknown, Rejected
from drivers.stream.samples import Outbox

SAFE_SHARE = 0.9
"""Of ``make_safe_s``: so long the instrument is told to open the circuit before the answer is *unconfirmed*."""
WAIT_FOR_TURN_S = 1.0


class BioLogic:
    """One channel. Options: see ``drivers.biologic.models.Options``."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(options_of(settings))

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name, self._clock = settings.instrument, context.clock
        self._options, self._channel = options_of(settings), channel_of(settings.channel, settings.instrument)
        self._door = make_door(self._options, settings, context, self._channel)
        self._outbox = Outbox()
        self._following = Following(self._door, self._clock, self._outbox, self._name)
        self._notes = Path(self._options.folder) / f"{self._name}-channel{self._channel + 1}.json" if self._options.folder else None
        self._serial = ""
        self._loaded: Plan | None = None
        self._started: set[str] = set()
        self._unconfirmed: str | None = None
        self._live: asyncio.Task[None] | None = None
        self._released = False
        self.capabilities = capabilities_of(self._options)

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Ask who it is and what it does; a step that runs is adopted. Nothing is set, stopped or loaded."""
        try:
            async with self._following.lock:
                identity = await self._door.open()
                self._serial = identity.serial
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
                return await self._state()
        except InstrumentError as fault:
            self._following.lose(fault.message)
            return ChannelState(CellState.UNKNOWN, None, detail=str(fault))

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """Put the step into the channel; nothing runs. Raises Rejected."""
        plan = plan_of(check(program, self.capabilities))
        if self._following.lost or self._following.step is not None:
            raise self._refusal("the link is lost" if self._following.lost else "a step runs")
        self._loaded = None
        try:
            async with self._following.lock:
                if (await self._door.look()).running is not False:
                    raise self._refusal("the channel runs, or nobody can tell", advice="stop it where it was started")
                await self._door.load(plan)
        except NotReachable as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not loaded: {fault.message}") from fault
        except Rejected:
            raise
        except InstrumentError as fault:
            raise self._refusal(fault.message, advice=fault.advice) from fault
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
        self._started.add(key)
        self._unconfirmed = key
        await self._note(plan)
        async with self._following.lock:
            if self._loaded is not plan:
                self._started.discard(key)
                raise self._refusal(f"{key} is no longer the loaded step: the channel was made safe meanwhile")
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
                    await self._door.open()
                shown = await following.stop(Reason.ABORT, "made safe")
        except (InstrumentError, TimeoutError) as fault:
            following.lose(getattr(fault, "message", "no answer in time"))
            return SafeState(Confirmation.UNCONFIRMED, str(fault) or "no answer in time; tried again when the link is back")
        following.owes_safety = False
        following.restore("made safe")
        return SafeState(Confirmation.CONFIRMED, f"the channel reads stopped, {shown}")

    async def release(self) -> None:
        """Let go; what runs goes on to its own limits, and a channel of the DLL keeps its data."""
        self._released = True
        await self._pause_live()
        with contextlib.suppress(InstrumentError):
            await self._door.close()
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
            look = await self._door.look()
            after_ns = self._clock.mono_ns()
        if look.elapsed_s is None or not look.running:
            return None
        return ClockSample(round(look.elapsed_s * 1e9), (before_ns + after_ns) // 2, max(1_000_000, (after_ns - before_ns) // 2))

    # ----------------------------------------------------------------------------------------------------------- private

    async def _adopt(self) -> None:
        """An earlier host's step: the notebook, or EC-Lab, says which; without them it has no name, and is left alone."""
        look = await self._door.look()
        if not look.running or look.foreign:
            return
        entry = await self._clock.in_thread(notebook.read, self._notes) if self._notes else None
        now_ns = self._clock.mono_ns()
        begun_ns = now_ns - round((look.elapsed_s or 0.0) * 1e9)
        if entry is not None and entry.fits(self._serial, self._channel, look.elapsed_s, self._clock.utc_ns()):
            plan = plan_of(entry.order)
            known = entry.order.mode in {Mode.GALVANOSTATIC, Mode.REST}
            self._started.add(entry.order.key)
            step = self._running(entry.order.key, plan, begun_ns, charge_C=0.0 if known else math.nan)
            self._following.begin(step)
        elif look.key:
            self._started.add(look.key)
            self._following.begin(self._running(look.key, None, begun_ns, charge_C=math.nan))

    async def _state(self) -> ChannelState:
        await self._following.look()
        step, look = self._following.step, await self._door.look()
        if look.running is None:
            return ChannelState(CellState.UNKNOWN, None, voltage_V=look.voltage_V, detail=look.detail)
        if not look.running:
            return ChannelState(CellState.OFF, False, voltage_V=look.voltage_V, current_A=0.0, detail=look.detail)
        if step is None:
            detail = look.detail or ("EC-Lab runs the channel" if look.foreign else "something runs that has no name")
            return ChannelState(CellState.UNKNOWN, True, None, look.voltage_V, look.current_A, detail)
        return ChannelState(CellState.OFF if step.rests else CellState.ON, True, step.key, look.voltage_V, look.current_A)

    async def _start(self, plan: Plan) -> None:
        key = plan.order.key
        try:
            await self._door.start()
        except Rejected:
            self._started.discard(key)
            raise
        except InstrumentError as fault:
            self._following.begin(self._running(key, plan, self._clock.mono_ns(), shown=False, waits=self._waits))
            self._following.lose(fault.message)
            raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
        self._unconfirmed = None
        self._following.begin(self._running(key, plan, self._clock.mono_ns(), waits=self._waits))

    def _running(self, key: str, plan: Plan | None, begun_ns: int, **known: Any) -> Running:
        return Running(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    @property
    def _waits(self) -> bool:
        return self._options.door == "dll" and self._options.trigger_in

    async def _note(self, plan: Plan) -> None:
        """Before the current flows, so that whoever finds it knows what it is; before the door is ours: make_safe waits for no disk."""
        if self._notes is None:
            return
        entry = notebook.Entry(self._serial, self._channel, self._clock.utc_ns(), plan.order)
        try:
            await self._clock.in_thread(notebook.write, self._notes, entry)
        except OSError as error:
            self._started.discard(plan.order.key)
            raise self._refusal(f"the notebook cannot be written: {error}", advice="look at option folder") from error

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The door for ourselves, soon: the task that waits for an answer in vain is interrupted."""
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
