"""What the contract suite needs of a driver's tests: an instrument on a bench, and the truth about its cell.

A subclass of a contract supplies one fixture:

    class TestMine(PotentiostatContract):
        @pytest.fixture
        def bench(self, bench_run):
            @asynccontextmanager
            async def opened(clock):
                ...                                  # start twin and emulator, make the driver; connect nothing
                yield PotentiostatBench(...)
                ...                                  # stop the emulator
            return Bench(opened, bench_run)

The tests are coroutines; each runs in the time that ``bench_run`` gives (virtual unless ``--bench-speed`` says otherwise). What an
instrument says it cannot do is not asked of it, without a skip.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from drivers.base import (
    AcquisitionOrder,
    Console,
    ConsoleEvent,
    EndConditions,
    Limits,
    Mode,
    Potentiostat,
    PotentiostatEvent,
    StepOrder,
)
from drivers.clock import Clock

E = TypeVar("E")
K = TypeVar("K")

REAL_SLACK_S = 10.0
"""What a wire and a busy computer may take, in real seconds, before a test gives up."""

Run = Callable[[Callable[[Clock], Coroutine[Any, Any, None]]], None]


class Leads(Protocol):
    """What the cell's leads show."""

    @property
    def voltage_V(self) -> float:
        """Voltage of the cell."""

    @property
    def current_A(self) -> float:
        """Current, oxidation at working positive."""

    @property
    def output_on(self) -> bool:
        """False at open circuit."""


class Truth(Protocol):
    """The twin, as far as a contract asks it."""

    @property
    def t0_mono_ns(self) -> int:
        """The clock's ``mono_ns`` at which the twin's time is zero."""

    def measure(self, t_s: float) -> Leads:
        """Read the leads."""

    def charge_C(self) -> float:
        """Net charge passed until the latest instant anybody asked about."""


@dataclass(kw_only=True)
class PotentiostatBench:
    """One channel with a cell on it.

    ``current_A``: small and positive; with it the cell certainly passes ``upper_V`` within 60 s, with its negative ``lower_V``. ``limits``:
    far away from all that. ``another(identity="")``: one more driver of the same instrument, not connected. ``rest_V`` ± 10 mV: the cell
    at open circuit. ``cut_link``, ``mend_link``: from now on the instrument is not heard and hears nothing, and again; what it runs goes
    on. ``skew_clock``: the instrument's clock runs 200 ppm fast from now on. ``shrink_buffer``: from now on the instrument keeps so many
    readings and no more. ``line_out``: when (the twin's seconds) the instrument's own line went to which level, so far. ``reboot``: it is
    switched off and on. ``inject``, ``clear``: a fault of the emulator, by its name. None: this bench cannot, and what happens then is not
    asked.
    """

    potentiostat: Potentiostat
    clock: Clock
    truth: Truth
    another: Callable[..., Potentiostat]
    current_A: float
    upper_V: float
    lower_V: float
    rest_V: float
    limits: Limits
    sample_interval_s: float = 1.0
    charge_tolerance: float = 0.02
    cut_link: Callable[[], None] | None = None
    mend_link: Callable[[], None] | None = None
    skew_clock: Callable[[], None] | None = None
    shrink_buffer: Callable[[int], Coroutine[Any, Any, None]] | None = None
    raise_line: Callable[[], None] | None = None
    line_out: Callable[[], list[tuple[float, int]]] | None = None
    reboot: Callable[[], None] | None = None
    inject: Callable[..., None] | None = None
    clear: Callable[[str], None] | None = None

    def small_step(self, key: str = "step-1", *, time_s: float = 10.0, ends: Mapping[str, Any] | None = None, **changes: Any) -> StepOrder:
        """A galvanostatic step of ``current_A`` for ``time_s``; ``ends`` and ``changes`` replace fields."""
        order = StepOrder(
            key=key,
            mode=Mode.GALVANOSTATIC,
            ends=EndConditions(time_s=time_s, **(ends or {})),
            limits=self.limits,
            current_A=self.current_A,
            sample_interval_s=self.sample_interval_s,
        )
        return replace(order, **changes)

    def rest(self, key: str, time_s: float = 10.0) -> StepOrder:
        """A step at open circuit."""
        return self.small_step(key, time_s=time_s, mode=Mode.REST, current_A=None)

    def leads(self) -> Leads:
        """What the cell truly shows now."""
        return self.truth.measure((self.clock.mono_ns() - self.truth.t0_mono_ns) / 1e9)

    def charge_C(self) -> float:
        """What has truly passed until now."""
        self.leads()
        return self.truth.charge_C()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[EventLog[PotentiostatEvent]]:
        """Connect, listen, and at the end make safe and release."""
        await self.potentiostat.connect()
        async with listening(self.potentiostat.events(), self.clock) as log:
            try:
                yield log
            finally:
                await self.potentiostat.make_safe()
        await self.potentiostat.release()

    async def start(self, *program: StepOrder) -> None:
        """Load a program and start it."""
        await self.potentiostat.load(program)
        await self.potentiostat.start(program[0].key)


@dataclass(kw_only=True)
class ConsoleBench:
    """One console with a sample in it.

    ``orders``: a small acquisition (at least 4 scans) for each of two nuclei, by nucleus. ``points``, ``spectral_width_Hz``: what their
    templates hold. ``another(identity="")``: one more driver of the same console, not connected. ``cut_link``, ``mend_link``: from now
    on the console does not answer, and again; what it scans goes on. None: this bench cannot, and what happens then is not asked.
    """

    console: Console
    clock: Clock
    another: Callable[..., Console]
    orders: Mapping[str, AcquisitionOrder]
    points: int
    spectral_width_Hz: float
    cut_link: Callable[[], None] | None = None
    mend_link: Callable[[], None] | None = None

    def small_acquisition(self, key: str = "acquisition-1", **changes: Any) -> AcquisitionOrder:
        """The first of ``orders`` under another key, with fields replaced."""
        return replace(next(iter(self.orders.values())), key=key, **changes)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[EventLog[ConsoleEvent]]:
        """Connect, listen, and at the end make safe and release."""
        await self.console.connect()
        async with listening(self.console.events(), self.clock) as log:
            try:
                yield log
            finally:
                await self.console.make_safe()
        await self.console.release()


class EventLog(Generic[E]):
    """All events so far of one stream, in order, and when each was heard."""

    def __init__(self, clock: Clock) -> None:
        self.events: list[E] = []
        self.heard_ns: list[int] = []
        self.failure: Exception | None = None
        self._clock = clock
        self._changed = asyncio.Event()

    async def follow(self, stream: AsyncIterator[E]) -> None:
        """Take every event as it comes; an error of the stream is kept for who waits."""
        try:
            async for event in stream:
                self.events.append(event)
                self.heard_ns.append(self._clock.mono_ns())
                self._changed.set()
        except Exception as error:  # noqa: BLE001  it is raised where the test waits
            self.failure = error
            self._changed.set()

    def of(self, kind: type[K]) -> list[K]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[K], count: int = 1, *, within_s: float = 120.0) -> K:
        """The ``count``-th event of a kind; fails when the stream fails or the experiment's time passes without it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._real_s(within_s)):
                found = looked_at = 0
                while self.failure is None:
                    found += sum(isinstance(event, kind) for event in self.events[looked_at:])
                    looked_at = len(self.events)
                    if found >= count:
                        break
                    self._changed.clear()
                    await self._changed.wait()
        if len(self.of(kind)) >= count:
            return self.of(kind)[count - 1]
        raise AssertionError(f"no {kind.__name__} number {count} within {within_s} s; seen: {self.events}") from self.failure

    def _real_s(self, within_s: float) -> float:
        return within_s if self._clock.virtual else within_s / self._clock.speed + REAL_SLACK_S


@asynccontextmanager
async def listening(stream: AsyncIterator[E], clock: Clock) -> AsyncIterator[EventLog[E]]:
    """Follow a stream while the block runs; an error of the stream fails the block."""
    log: EventLog[E] = EventLog(clock)
    following = asyncio.create_task(log.follow(stream), name="events")
    try:
        yield log
    finally:
        following.cancel()
        await asyncio.wait({following})
    assert log.failure is None, f"the event stream failed: {log.failure!r}"


@dataclass(frozen=True)
class Bench:
    """How a test gets its bench: ``opened(clock)`` sets it up, ``run`` gives it a loop and a clock."""

    opened: Callable[[Clock], AbstractAsyncContextManager[Any]]
    run: Run


def on_bench(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine method: it is given the opened bench, and other fixtures as they are."""

    @functools.wraps(test)
    def run(self: Any, bench: Bench, **given: Any) -> None:
        async def main(clock: Clock) -> None:
            async with bench.opened(clock) as opened:
                await test(self, opened, **given)

        bench.run(main)

    return run


def near(found: float, expected: float, tolerance: float) -> bool:
    """Within an absolute tolerance, and a number."""
    return math.isfinite(found) and abs(found - expected) <= tolerance
