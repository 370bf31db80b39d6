"""Rung 1: somebody else's software runs the cell, and this potentiostat follows it. It cannot start, skip or stop anything.

``load`` and ``start`` say what the plan expects next; the cycler is seen to begin and to end it. Options of the rig file:
``zone``, ``date_order`` (as of ``operando follow``), ``offset_s``, ``half_width_s``, ``look_s``, ``silent_after_s``; and ``through``:
the driver whose ``read_state`` shows the channel (with its own options), instead of a file.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.base import (
    CE,
    CELL,
    FOLLOWED,
    WE,
    Capabilities,
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    Context,
    Identity,
    LinkLost,
    LinkRestored,
    Mode,
    PotentiostatEvent,
    SafeState,
    Settings,
    StepOrder,
)
from drivers.errors import InstrumentError, NotSupported, Rejected
from drivers.follow.clocks import BadZone, zone_of
from drivers.follow.matching import Matching
from drivers.follow.routes import FileRoute, Look, Route, StatusRoute
from drivers.stream import checks
from drivers.stream.samples import Outbox
from drivers.stream.tasks import Tasks

CANNOT = "cannot stop this cell, cannot start or skip a step, cannot change a limit: the cycler's own software runs it, NMR follows"
LOOK_s = 0.5
SILENT_AFTER_s = 600.0
OF_FOLLOWER = frozenset({"zone", "date_order", "offset_s", "half_width_s", "look_s", "silent_after_s", "through", "electrodes"})


def capabilities_of(options: Mapping[str, Any]) -> Capabilities:
    """It runs every kind of step, since somebody else does; ``electrodes: 3`` where its files say Ewe and Ece."""
    three = checks.three_electrodes(options, "follow") and "through" not in options
    return Capabilities(
        CC=True,
        CV=True,
        EIS=False,
        max_steps=1,
        on_device_limits=frozenset({"time", "voltage", "charge", "current"}),
        autonomous=True,
        make_safe_s=1.0,
        min_sample_interval_s=float(options.get("look_s", LOOK_s)) if "through" in options else 0.0,
        commands=frozenset(),
        electrodes=frozenset({WE, CE} if three else ()),
        ends_on=frozenset({CELL, WE, CE}),
        holds=frozenset({CELL, WE, CE}),
        rung=FOLLOWED,
        cannot=CANNOT,
    )


class Follower:
    """One channel that is followed."""

    @staticmethod
    def declared(settings: Settings) -> Capabilities:
        """What the rig file alone says."""
        return capabilities_of(settings.options)

    def __init__(self, settings: Settings, context: Context) -> None:
        options = settings.options
        self._name, self._clock = settings.instrument, context.clock
        self._look_s = float(options.get("look_s", LOOK_s))
        self._silent_after_s = float(options.get("silent_after_s", SILENT_AFTER_s))
        self._outbox = Outbox()
        self._matching = Matching(self._outbox)
        self._route = route_of(settings, context)
        self._tasks = Tasks(self._name, self._broke)
        self._loaded: tuple[StepOrder, ...] = ()
        self._started: dict[str, None] = {}
        self._lost = ""
        self._grew_ns = 0
        self.capabilities = capabilities_of(options)

    # -------------------------------------------------------------------------------------------------- the contract

    async def connect(self) -> Identity:
        """See whether it is there; what was written before is history but for its last row."""
        identity = await self._route.open()
        self._grew_ns = self._clock.mono_ns()
        self._take(await self._route.look())
        self._tasks.spawn(self._watch())
        return identity

    async def read_state(self) -> ChannelState:
        """What was seen last. Whose the cell is, is no question here: unknown until a step of the plan is seen."""
        running, newest = self._matching.running, self._matching.newest
        E_V, I_A = (None, None) if newest is None else (newest.voltage_V, newest.current_A)
        if self._lost:
            return ChannelState(CellState.UNKNOWN, None, None, E_V, I_A, self._lost)
        if running is not None:
            return ChannelState(CellState.OFF if running.mode is Mode.REST else CellState.ON, True, running.key, E_V, I_A)
        awaited = self._matching.awaited
        wanted = f"waits for {awaited.key} ({awaited.mode.value}); " if awaited is not None else ""
        return ChannelState(CellState.UNKNOWN, None, None, E_V, I_A, f"{wanted}{self._matching.does}; this program {CANNOT}")

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        """What the plan expects the cycler to do next. Raises Rejected."""
        if any(order.mode is Mode.IMPEDANCE for order in program):
            raise Rejected("impedance is not followed", instrument=self._name, did="nothing was started")
        if self._matching.running is not None:
            raise Rejected("a step is being followed", instrument=self._name, did="nothing was started")
        self._loaded = program

    async def start(self, key: str) -> None:
        """From now on the first of them is waited for."""
        if key in self._started:
            return
        if not self._loaded or self._loaded[0].key != key:
            raise Rejected(f"{key} is not what was announced", instrument=self._name, did="nothing was started")
        self._started |= dict.fromkeys(order.key for order in self._loaded)
        program, self._loaded = self._loaded, ()
        self._matching.start(program, self._clock.mono_ns())

    def events(self) -> AsyncIterator[PotentiostatEvent]:
        """The one ordered stream."""
        return self._outbox.stream()

    async def end_step(self, key: str | None = None) -> None:
        """Not possible. Raises NotSupported."""
        sent = f"end of {key or 'the step'}"
        raise NotSupported(f"this program {CANNOT}", instrument=self._name, sent=sent, did="nothing was sent", advice="act at the cycler")

    async def make_safe(self) -> SafeState:
        """Not possible, and said so; what was announced is forgotten."""
        self._loaded = ()
        self._matching.forget()
        return SafeState(Confirmation.UNCONFIRMED, f"this program {CANNOT}: act at the cycler")

    async def release(self) -> None:
        """Look no more; the cell goes on as it was."""
        await self._tasks.end()
        with contextlib.suppress(InstrumentError):
            await self._route.close()
        self._outbox.close()

    async def read_clock(self) -> ClockSample | None:
        """The newest row's own stamp against ours."""
        newest = self._matching.newest
        if newest is None or newest.device_ns == newest.mono_ns:
            return None
        return ClockSample(newest.device_ns, newest.mono_ns, newest.half_width_ns)

    # ------------------------------------------------------------------------------------------------------- what is seen

    @property
    def latency(self) -> str:
        """How late edges were seen by this route, for people; empty before the first."""
        seen_s = self._matching.latencies_s
        if not seen_s:
            return ""
        return (
            f"step edges by {self._route.name}: {len(seen_s)}, seen {statistics.median(seen_s):.2f} s after they happened (median), "
            f"{max(seen_s):.2f} s at most"
        )

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(self._look_s)
            try:
                self._take(await self._route.look())
            except InstrumentError as error:
                self._lose(error.message)

    def _take(self, look: Look) -> None:
        now_ns = self._clock.mono_ns()
        if look.gone:
            self._lose(look.gone)
            return
        still_s = (now_ns - self._grew_ns) / 1e9
        if look.rows or look.stopped:
            self._grew_ns, still_s = now_ns, 0.0
        if still_s < self._silent_after_s:
            self._restore()
        else:
            self._lose(f"no new row for {still_s:.0f} s: {look.trouble or 'has the cycler stopped, or does its file no longer grow?'}")
        self._matching.feed(look.rows, now_ns)
        self._matching.look_over(max(0.0, still_s - self._route.still_after_s), now_ns, stopped=look.stopped)

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = why
            self._outbox.put(LinkLost(self._clock.mono_ns(), why))

    def _restore(self) -> None:
        if self._lost:
            self._lost = ""
            self._outbox.put(LinkRestored(self._clock.mono_ns(), "rows come again; what was written meanwhile is read"))

    def _broke(self, fault: BaseException) -> None:
        self._lose(f"the following has broken off: {type(fault).__name__}: {fault}")


def route_of(settings: Settings, context: Context) -> Route:
    """By the rig file. Raises Rejected."""
    options = settings.options
    if "through" in options:
        through = dict(options["through"])
        driver = str(through.pop("driver", ""))
        return StatusRoute(replace(settings, driver=driver, options=through), context)
    try:
        zone = zone_of(str(options.get("zone", "UTC")))
    except BadZone as error:
        raise Rejected(str(error), instrument=settings.instrument, did="nothing was opened") from error
    told = options.get("offset_s")
    offset_s = None if told is None else float(told)
    return FileRoute(
        Path(settings.address), zone, str(options.get("date_order", "")), context.clock, offset_s, float(options.get("half_width_s", 1.0))
    )
