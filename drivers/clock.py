"""The time of a run: real, scaled or virtual, behind one small class.

``Clock`` is handed to everything that needs time; nothing else asks the operating system. Durations are those of the
experiment: at ``speed`` 60, ``sleep(60)`` waits one real second. Time-outs on wires are real seconds and use
``asyncio.timeout``; in virtual time (``drivers.transport.virtual``) the event loop's own time is virtual, so they are too.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, cast

T = TypeVar("T")

NEVER_ns = 1 << 62

LANE_THREADS = 8


class VirtualTime(Protocol):
    """What an event loop with virtual time offers its clock."""

    def now_ns(self) -> int:
        """Virtual nanoseconds since the loop was made."""

    def call_at_ns(self, when_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back at an instant of ``now_ns``; at once when it is past."""

    def add_gate(self, may_jump: Callable[[], bool]) -> None:
        """Time jumps only while every gate says yes."""

    async def sleep(self, delay_s: float) -> None:
        """Wait so many virtual seconds; let others go on where they are none or less."""

    @property
    def holds(self) -> int:
        """How many waiters need the real world to go on first."""

    @holds.setter
    def holds(self, value: int) -> None: ...


class Stamp(NamedTuple):
    """One instant: monotonic for durations, UTC for labels, both in ns."""

    mono_ns: int
    utc_ns: int


def boot_id() -> str:
    """What differs after each start of this computer, and with it the monotonic clock; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


class Clock:
    """Monotonic and UTC time of a run.

    ``speed``: experiment seconds per real second (1 in virtual time). ``epoch_utc_ns``: UTC of the first instant; None =
    the computer's. At speed 1 UTC is the computer's own; scaled and virtual runs count on from the epoch. ``waits``: a
    scaled clock keeps the pace of real time until ``begin``, so that starting companions costs no hours of the experiment.
    """

    def __init__(
        self, speed: float = 1.0, epoch_utc_ns: int | None = None, virtual: VirtualTime | None = None, *, waits: bool = False
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = 1.0 if virtual else speed
        self.virtual = virtual
        if virtual is not None:
            self.mono_ns = virtual.now_ns  # type: ignore[method-assign]  # asked ten times a sample
            self.sleep = self.sleep_real = virtual.sleep  # type: ignore[method-assign]  # each second of a night
        self._scaled_from_ns = NEVER_ns if waits else time.monotonic_ns()
        self._epoch_utc_ns = epoch_utc_ns if epoch_utc_ns is not None else time.time_ns()
        self._counts_from_epoch = virtual is not None or speed != 1.0 or epoch_utc_ns is not None
        self._origin_ns = self.mono_ns()
        self._lanes: dict[str, asyncio.Semaphore] = {}

    def mono_ns(self) -> int:
        """Nanoseconds of the run's monotonic clock (at speed 1 the computer's own)."""
        return self.of_computer(time.monotonic_ns())

    def of_computer(self, monotonic_ns: int) -> int:
        """This clock's reading at an instant of the computer's own monotonic clock."""
        if self.speed == 1.0 or monotonic_ns < self._scaled_from_ns:
            return monotonic_ns
        return self._scaled_from_ns + int((monotonic_ns - self._scaled_from_ns) * self.speed)

    @classmethod
    def again(cls, speed: float, scaled_from_ns: int | None, utc_less_mono_ns: int | None) -> Clock:
        """The clock of an earlier process on this computer, which has not been restarted since: the same instants, the same numbers.

        ``utc_less_mono_ns``: where UTC counted on from an epoch; None = the computer's own.
        """
        clock = cls(speed)
        if speed != 1.0 and scaled_from_ns is not None:
            clock._scaled_from_ns = scaled_from_ns
        if utc_less_mono_ns is not None:
            clock._counts_from_epoch, clock._origin_ns, clock._epoch_utc_ns = True, 0, utc_less_mono_ns
        return clock

    def identity(self) -> dict[str, Any]:
        """From what a later process can tell whether its clock is the same one, as plain data; empty in virtual time."""
        if self.virtual is not None:
            return {}
        scaled = {"scaled_from_ns": self._scaled_from_ns, "utc_less_mono_ns": self._epoch_utc_ns - self._origin_ns}
        return {"boot_id": boot_id(), **(scaled if self._counts_from_epoch else {})}

    def begin(self) -> None:
        """From now on at ``speed``; nothing for a clock that does not wait."""
        self._scaled_from_ns = min(self._scaled_from_ns, time.monotonic_ns())

    def utc_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return self.utc_of(self.mono_ns()) if self._counts_from_epoch else time.time_ns()

    def utc_of(self, mono_ns: int) -> int:
        """UTC of an instant of the monotonic clock, by today's map."""
        if self._counts_from_epoch:
            return self._epoch_utc_ns + mono_ns - self._origin_ns
        return time.time_ns() + mono_ns - time.monotonic_ns()

    def set_utc(self, by_s: float) -> None:
        """Somebody sets the computer's clock ``by_s`` seconds forward: UTC jumps, durations do not notice. For simulations."""
        if not self._counts_from_epoch:
            raise ValueError("the computer's own clock is not ours to set")
        self._epoch_utc_ns += round(by_s * 1e9)

    def beside(self) -> Clock:
        """The same time by another clock, whose UTC stays when this one is set."""
        return copy.copy(self)

    def stamp(self) -> Stamp:
        """Now, on both clocks."""
        mono_ns = self.mono_ns()
        return Stamp(mono_ns, self.utc_of(mono_ns) if self._counts_from_epoch else time.time_ns())

    async def sleep(self, delay_s: float) -> None:
        """Wait so many seconds of the experiment."""
        await self.sleep_real(max(0.0, delay_s) / self.speed)

    async def sleep_real(self, delay_s: float) -> None:
        """Wait so many real seconds; virtual ones in virtual time."""
        await asyncio.sleep(delay_s)

    async def sleep_until(self, mono_ns: int) -> None:
        """Wait for an instant of the monotonic clock; returns at once when it is past."""
        await self.sleep((mono_ns - self.mono_ns()) / 1e9)

    def call_at(self, mono_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back at an instant of the monotonic clock; as soon as may be when it is past."""
        if self.virtual is not None:
            return self.virtual.call_at_ns(mono_ns, callback)
        delay_s = max(0.0, (mono_ns - self.mono_ns()) / 1e9 / self.speed)
        return asyncio.get_running_loop().call_later(delay_s, callback)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Virtual time stands still inside (somebody waits for a disk or a thread); nothing otherwise."""
        if self.virtual is None:
            yield
            return
        self.virtual.holds += 1
        try:
            yield
        finally:
            self.virtual.holds -= 1

    def add_gate(self, may_jump: Callable[[], bool]) -> None:
        """Virtual time jumps only while ``may_jump()``; nothing otherwise."""
        if self.virtual is not None:
            self.virtual.add_gate(may_jump)

    async def in_thread(self, function: Callable[..., T], *args: Any, lane: str = "") -> T:
        """Run blocking work beside the loop; in virtual time inline, so that the order of events is the same each time.

        Each ``lane`` (say, one per disk that may hang) has ``LANE_THREADS`` threads of its own: a lane whose calls never
        return fills up alone, and nobody waits for them when the program ends.
        """
        if self.virtual is not None:
            return function(*args)
        places = self._lanes.setdefault(lane, asyncio.Semaphore(LANE_THREADS))
        await places.acquire()
        return await _beside(function, args, lane, places.release)


def _beside(function: Callable[..., T], args: tuple[Any, ...], lane: str, after: Callable[[], None]) -> asyncio.Future[T]:
    """The result of a call in a thread that no exit waits for; ``after`` when the thread is done, however late."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        after()
        if not future.done():
            future.set_result(cast("T", result)) if error is None else future.set_exception(error)

    def work() -> None:
        result, failure = None, None
        try:
            result = function(*args)
        except BaseException as error:  # noqa: BLE001 raised where it is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended first
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=f"beside {lane}".strip(), daemon=True).start()
    return future
