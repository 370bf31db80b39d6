"""A potentiostat whose program is one step: what each of them does alike between the contract and its own wire.

A new instrument that runs a step by itself and is asked for its rows brings a ``Door``, a plan and its capabilities (``DoorPotentiostat``);
one of another kind brings its own ``Following`` (``OneStepPotentiostat``).
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

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
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Door, DoorFollowing
from drivers.stream.following import Following
from drivers.stream.running import RunningStep
from drivers.stream.samples import Outbox

SAFE_SHARE = 0.9
"""Of ``make_safe_s``: so long the instrument is told to open the circuit before the answer is *unconfirmed*."""
WAIT_FOR_TURN_S = 1.0
LEAST_HALF_WIDTH_NS = 1_000_000


class Planned(Protocol):
    """What was made of a step for an instrument."""

    @property
    def order(self) -> StepOrder:
        """What was asked for."""


Plan = TypeVar("Plan", bound=Planned)


class OneStepPotentiostat(ABC, Generic[Plan]):
    """One channel. ``_following`` and ``capabilities`` are made by the instrument's own ``__init__``."""

    capabilities: Capabilities
    _following: Following[Any]
    loses_on: type[InstrumentError] = InstrumentError
    """What of a failed stop means that the link is lost."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._name, self._clock = settings.instrument, context.clock
        self._outbox = Outbox()
        self._loaded: Plan | None = None
        self._loading: object = None
        self._started: set[str] = set()
        self._unconfirmed: str | None = None
        self._live: asyncio.Task[None] | None = None
        self._released = False

    # ------------------------------------------------------------------------------------------- what an instrument brings

    @abstractmethod
    async def _meet(self) -> Identity:
        """Reach it, ask who it is, adopt what runs of ours; nothing is set. The lock is held. Raises InstrumentError."""

    @abstractmethod
    async def _state(self) -> ChannelState:
        """What it says of itself now. The lock is held. Raises InstrumentError."""

    @abstractmethod
    def _planned(self, program: tuple[StepOrder, ...]) -> Plan:
        """The program for this instrument. Raises Rejected for what it cannot do."""

    @abstractmethod
    async def _load(self, plan: Plan) -> None:
        """Put it into the instrument; takes the lock for the wire only, never for a disk. Raises InstrumentError."""

    @abstractmethod
    async def _start(self, plan: Plan) -> None:
        """Run it and follow it; the lock is held. Raises Rejected where it certainly does not run, OutcomeUnknown where nobody knows."""

    @abstractmethod
    async def _let_go(self) -> None:
        """Close the wire; what runs goes on."""

    async def _note(self, plan: Plan) -> None:
        """Write down what is about to run, for whoever finds it; the lock is not held. Raises Rejected."""

    async def _be_heard(self) -> None:
        """A wire on which the instrument can be told to stop; the lock is held. Raises InstrumentError."""
        if self._following.lost:
            await self._following.reach()

    def _answers(self) -> bool:
        """Does it certainly answer, although it did not do what it was told?"""
        return False

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """Find out who answers and what runs; a step of ours is adopted. Nothing is set, stopped or loaded."""
        try:
            async with self._following.lock:
                identity = await self._meet()
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
        plan = self._planned(program)
        if self._following.lost or self._following.step is not None:
            raise self._refusal("the link is lost" if self._following.lost else "a step runs")
        self._loaded, loading = None, object()
        self._loading = loading
        try:
            await self._load(plan)
        except Rejected as refused:
            refused.instrument = refused.instrument or self._name
            raise
        except NotReachable as fault:
            self._following.lose(fault.message)
            raise self._refusal(f"not loaded: {fault.message}", fault) from fault
        except InstrumentError as fault:
            raise self._refusal(fault.message, fault) from fault
        if self._loading is not loading:
            raise self._refusal("the channel was made safe meanwhile")
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
        try:
            await self._note(plan)
            async with self._following.lock:
                self._take(plan)
                await self._start(plan)
        except Rejected:
            self._started.discard(key)
            raise
        self._unconfirmed = None

    def _take(self, plan: Plan) -> None:
        """Nothing is loaded any more. Raises Rejected where somebody wanted open circuit while the start waited its turn."""
        if self._loaded is not plan:
            raise self._refusal(f"{plan.order.key} is no longer the loaded step: the channel was made safe meanwhile")
        self._loaded, self._following.owes_safety = None, False

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
            except self.loses_on as fault:
                following.lose(fault.message)
                raise

    async def make_safe(self) -> SafeState:
        """Open circuit, read back."""
        following = self._following
        self._loaded, self._loading, following.owes_safety = None, None, True
        try:
            async with asyncio.timeout(SAFE_SHARE * self.capabilities.make_safe_s), self._turn():
                await self._be_heard()
                shown = await following.stop(Reason.ABORT, "made safe")
        except (InstrumentError, TimeoutError) as fault:
            if not self._answers():
                following.lose(getattr(fault, "message", "no answer in time"))
            return SafeState(Confirmation.UNCONFIRMED, str(fault) or "no answer in time; tried again when the link is back")
        following.owes_safety = False
        following.restore("made safe")
        return SafeState(Confirmation.CONFIRMED, shown)

    async def release(self) -> None:
        """Let go; what runs goes on to its own limits."""
        self._released = True
        await self._pause_live()
        with contextlib.suppress(InstrumentError):
            await self._let_go()
        self._outbox.close()

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """The one ordered stream."""
        return self._outbox.stream()

    # ----------------------------------------------------------------------------------------------------------- private

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The wire for ourselves, soon: the task that waits for an answer in vain is interrupted."""
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

    def _refusal(self, message: str, fault: InstrumentError | None = None, advice: str = "") -> Rejected:
        sent, received, told = (fault.sent, fault.received, fault.advice) if fault else ("", "", "")
        told = advice or told
        return Rejected(message, instrument=self._name, sent=sent, received=received, did="nothing was started", advice=told)


class DoorPotentiostat(OneStepPotentiostat[StepPlan]):
    """Behind a ``Door``: its ``__init__`` calls ``_behind``; ``_planned`` and, where the door knows no names, ``_known`` are its own."""

    waits: bool = False
    """Does a step begin with a trigger, however long that takes?"""
    _door: Door

    def _behind(self, door: Door) -> None:
        self._door = door
        self._following: DoorFollowing = DoorFollowing(door, self._clock, self._outbox, self._name)

    async def _known(self, identity: Identity, elapsed_s: float | None) -> RunningStep | None:  # noqa: ARG002 for doors that know no names
        """The step of ours that runs, where it was written down."""
        return None

    def _running(self, key: str, plan: StepPlan | None, begun_ns: int, **known: Any) -> RunningStep:
        """How its samples are counted."""
        return RunningStep(key, plan, self._outbox, begun_ns, speed=self._clock.speed, **known)

    async def _meet(self) -> Identity:
        identity = await self._door.open()
        look = await self._door.look()
        if look.running and not look.foreign:
            await self._adopt(identity, look.key, look.elapsed_s)
        return identity

    async def _adopt(self, identity: Identity, key: str | None, elapsed_s: float | None) -> None:
        """An earlier host's step: the notebook, or the door, says which; without them it has no name, and is left alone."""
        step = await self._known(identity, elapsed_s)
        if step is None and key:
            begun_ns = self._clock.mono_ns() - round((elapsed_s or 0.0) * 1e9)
            step = self._running(key, None, begun_ns, charge_C=float("nan"))
        if step is not None:
            self._started.add(step.key)
            self._following.begin(step)

    async def _state(self) -> ChannelState:
        await self._following.look()
        step, look = self._following.step, await self._door.look()
        if look.running is None:
            return ChannelState(CellState.UNKNOWN, None, voltage_V=look.voltage_V, detail=look.detail)
        if not look.running:
            return ChannelState(CellState.OFF, False, voltage_V=look.voltage_V, current_A=0.0, detail=look.detail)
        if step is None:
            detail = look.detail or ("somebody else's step runs" if look.foreign else "something runs that has no name")
            return ChannelState(CellState.UNKNOWN, True, None, look.voltage_V, look.current_A, detail)
        return ChannelState(CellState.OFF if step.rests else CellState.ON, True, step.key, look.voltage_V, look.current_A)

    async def _load(self, plan: StepPlan) -> None:
        await self._door.write(plan)
        async with self._following.lock:
            if (await self._door.look()).running is not False:
                raise self._refusal("the channel runs, or nobody can tell", advice="stop it where it was started")
            await self._door.load(plan)

    async def _start(self, plan: StepPlan) -> None:
        key, waits = plan.order.key, self.waits
        try:
            await self._door.start()
        except Rejected:
            raise
        except InstrumentError as fault:
            self._following.begin(self._running(key, plan, self._clock.mono_ns(), shown=False, waits=waits))
            self._following.lose(fault.message)
            raise OutcomeUnknown("start not confirmed", instrument=self._name, sent=fault.sent, received=fault.message) from fault
        self._following.begin(self._running(key, plan, self._clock.mono_ns(), waits=waits))

    async def _let_go(self) -> None:
        await self._door.close()

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
        half_width_ns = max(LEAST_HALF_WIDTH_NS, (after_ns - before_ns) // 2)
        return ClockSample(round(look.elapsed_s * 1e9), (before_ns + after_ns) // 2, half_width_ns)
