"""What the two simulated instruments share: the twin, one ordered stream of events, one task, faults by name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from drivers.base import Confirmation, Context, Identity, LinkLost, LinkRestored, SafeState, Settings
from drivers.errors import InstrumentError, NotReachable, WrongInstrument
from drivers.sim.physics import Physics

Event = TypeVar("Event")
M = TypeVar("M", bound="Memory")

ROOM = 4096


class Stream(Generic[Event]):
    """Events in order. ``put`` never waits; whoever makes many awaits ``room`` first."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._error: BaseException | None = None

    def put(self, event: Event) -> None:
        """Append an event."""
        self._waiting.append(event)
        self._arrived.set()
        if len(self._waiting) >= ROOM:
            self._room.clear()

    def fail(self, error: BaseException) -> None:
        """The reader gets this error after the events that are waiting."""
        self._error = error
        self._arrived.set()

    async def room(self) -> None:
        """Wait until the reader has caught up (at most ``ROOM`` events wait)."""
        if not self._room.is_set():
            await self._room.wait()

    async def events(self) -> AsyncIterator[Event]:
        """All events, for ever."""
        while True:
            while self._waiting:
                event = self._waiting.popleft()
                if len(self._waiting) < ROOM:
                    self._room.set()
                yield event
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()


@dataclass(slots=True, weakref_slot=True)
class Memory:
    """What the instrument itself knows, beyond any connection; ``task``: who carries its work on now."""

    task: asyncio.Task[None] | None = None


class SimInstrument(Generic[Event, M]):
    """Base of the simulated pair. ``settings.options["faults"]``: a list of names, or name → parameters.

    The instrument's memory stands beside the twin (``Twin.instruments``), so that a second connection finds what the
    first one left. Work stands still while nobody is connected, and is caught up, at the right instants, by who connects.
    """

    fault_names: frozenset[str] = frozenset()
    kind = "instrument"

    def __init__(self, settings: Settings, context: Context, fresh: Callable[[], M]) -> None:
        if context.twin is None:
            raise InstrumentError(
                "there is no twin to simulate",
                instrument=settings.instrument,
                did="nothing was opened",
                advice="name the physics in the rig file: `twin: configs/twins/C1.yaml`",
            )
        self.settings = settings
        self.clock = context.clock
        self.twin = cast("Physics", context.twin)
        self._stream: Stream[Event | LinkLost | LinkRestored] = Stream()
        instruments: dict[str, Any] = getattr(context.twin, "instruments", {})
        self._memory: M = instruments.setdefault(f"{self.kind} {settings.instrument}:{settings.channel}", fresh())
        self._faults: dict[str, dict[str, Any]] = {}
        self._unheard = False
        self._owed: asyncio.Task[SafeState] | None = None
        self._owes_safety = False
        given = settings.options.get("faults", ())
        for name in given:
            self.inject(name, **(dict(given[name] or {}) if isinstance(given, Mapping) else {}))

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``fault_names``)."""
        if fault not in self.fault_names:
            raise InstrumentError(
                f"no fault is called `{fault}`",
                instrument=self.settings.instrument,
                advice=f"there are: {', '.join(sorted(self.fault_names))}",
            )
        self._faults[fault] = parameters

    def clear(self, fault: str) -> None:
        """Switch a fault off; an instrument that was silent is heard again, and made safe if that is still owed."""
        self._faults.pop(fault, None)
        if fault == "silent" and self._unheard:
            self._unheard = False
            self._stream.put(LinkRestored(self.clock.mono_ns(), "the simulated link is back"))
        if fault == "silent" and self._owes_safety:
            self._owed = asyncio.create_task(self.make_safe(), name="owed safe state")

    def events(self) -> AsyncIterator[Event | LinkLost | LinkRestored]:
        """One ordered stream for the whole life of the connection."""
        return self._stream.events()

    async def connect(self) -> Identity:
        """Say who is there, and carry on what an earlier connection left. Raises WrongInstrument."""
        self._reach("identify")
        found = Identity("operando-nmr", f"simulated {self.kind}", serial=self.settings.instrument, firmware="1", simulated=True)
        if self.settings.identity.lower() not in f"{found.vendor} {found.model} {found.serial}".lower():
            raise WrongInstrument(
                f"the rig names `{self.settings.identity}`", instrument=self.settings.instrument, received=f"{found.model} {found.serial}"
            )
        if not self._running:
            self._resume()
        return found

    async def release(self) -> None:
        """Let go: the cell stays as it is; work goes on with the next connection."""
        if self._owed is not None:
            await asyncio.wait([self._owed])
        await self._end_task()

    async def make_safe(self) -> SafeState:
        """Safe, read back; unconfirmed and owed while the line is silent."""
        try:
            self._reach("make safe")
        except NotReachable as error:
            self._owes_safety = True
            return SafeState(Confirmation.UNCONFIRMED, f"{error.message}; tried again when it answers")
        self._owes_safety = False
        return await self._make_safe()

    # ------------------------------------------------------------------------------------------------------------ inside

    async def _make_safe(self) -> SafeState:
        """What makes this instrument safe, and the read-back."""
        raise NotImplementedError

    def _resume(self) -> None:
        """Carry on what the memory holds unfinished."""

    def _now_s(self, mono_ns: int) -> float:
        """The twin's second of an instant."""
        return (mono_ns - self.twin.t0_mono_ns) / 1e9

    def _put(self, event: Event) -> None:
        """Say something, unless the line is silent."""
        if "silent" not in self._faults:
            self._stream.put(event)
        elif not self._unheard:
            self._lose_link("the simulated instrument fell silent")

    def _lose_link(self, why: str) -> None:
        self._unheard = True
        self._stream.put(LinkLost(self.clock.mono_ns(), why))

    def _reach(self, sent: str) -> None:
        """Raise NotReachable while the line is silent; that it is, is said once."""
        if "silent" in self._faults and not self._unheard:
            self._lose_link("the simulated instrument fell silent")
        if self._unheard:
            raise NotReachable("no answer", instrument=self.settings.instrument, sent=sent, advice="the fault `silent` is on")

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        self._memory.task = asyncio.create_task(work)
        self._memory.task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stream.fail(error)

    async def _end_task(self) -> bool:
        """Cancel and await the running task; False when there was none."""
        task, self._memory.task = self._memory.task, None
        if task is None or task.done():
            return False
        task.cancel()
        await asyncio.wait([task])
        return True

    @property
    def _running(self) -> bool:
        return self._memory.task is not None and not self._memory.task.done()
