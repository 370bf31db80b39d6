"""An event loop whose time is virtual: it jumps to the next timer when nobody has anything to do.

Every sleep and every time-out of asyncio is then virtual. Time is kept in whole nanoseconds; timers of the same nanosecond fire in the
order they were made; tasks are numbered, so that sets of them (task groups, ``asyncio.wait``) have the same order in every run.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from asyncio.events import TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, copy_context
from typing import Any, TypeVar

from drivers.clock import Clock

T = TypeVar("T")

EPOCH_UTC_NS = 1_700_000_000_000_000_000
"""UTC of a virtual run that names no epoch: 2023-11-14T22:13:20Z."""

REAL_WAIT_S = 0.002
"""How long the loop sleeps between two looks at gates that forbid a jump (a thread's wake-up ends it at once)."""


MOST_CANCELLED = 100
"""So many cancelled timers may lie about before they are swept out."""


class Deadlock(RuntimeError):
    """Every task waits for another: nothing is ready, no timer is set, nobody works outside the loop."""


class _NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that a set of tasks is ordered alike in every run."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **{"name": f"task-{number}", **{k: v for k, v in options.items() if v is not None}})

    def set_name(self, value: object) -> None:
        """Rename; None (what newer Pythons pass for no name) keeps the number."""
        if value is not None:
            super().set_name(value)

    def __hash__(self) -> int:
        return self._number


class _Selector(selectors.DefaultSelector):
    """Counts what it watches: with nothing but the loop's own wake-up pipe there is no world to look at."""

    watched = 0

    def register(self, *args: Any, **options: Any) -> selectors.SelectorKey:
        key = super().register(*args, **options)
        self.watched += 1
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self.watched -= 1
        return key


def _nothing() -> None:
    """In the place of a callback that is not called any more."""


class _Handle(asyncio.Handle):
    """A callback of this loop; made without a look at whether the loop is debugged."""

    __slots__ = ()

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], loop: VirtualLoop, context: Context | None) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class _Timer(TimerHandle):
    """The same, later."""

    __slots__ = ()
    _loop: VirtualLoop

    def __init__(
        self, when_s: float, callback: Callable[..., Any], args: tuple[Any, ...], loop: VirtualLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None
        self._when, self._scheduled = when_s, True

    def cancel(self) -> None:
        """Forget the callback; asyncio takes four calls for that, one a second at least for every sleep."""
        if not self._cancelled:
            self._cancelled = True
            self._callback, self._args = _nothing, ()
            if self._scheduled:
                self._loop.cancelled_timers += 1


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. ``start_ns``: where its time begins (a restored run goes on from its snapshot).

    Its turn is its own (``_run_once``): timers are tuples of whole nanoseconds, and a night has half a million turns.
    """

    _ready: deque[Any]
    _closed: bool
    _debug: bool
    _stopping: bool

    def __init__(self, start_ns: int = 0) -> None:
        self._selector = _Selector()
        self._start_ns = start_ns
        self._now_ns = 0
        self._gates: list[Callable[[], bool]] = []
        self._timers: list[tuple[int, int, TimerHandle | asyncio.Future[None]]] = []
        self._timer_numbers = itertools.count()
        self._task_numbers = itertools.count(1)
        self.holds = 0
        self.cancelled_timers = 0
        super().__init__(self._selector)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made; exact to the nanosecond for the first fifty days."""
        return self._now_ns / 1e9

    def now_ns(self) -> int:
        """Virtual nanoseconds, from ``start_ns`` on."""
        return self._start_ns + self._now_ns

    def add_gate(self, may_jump: Callable[[], bool]) -> None:
        """Time jumps only while every gate says yes."""
        self._gates.append(may_jump)

    def may_jump(self) -> bool:
        """Nobody holds time and every gate is open."""
        if self.holds:
            return False
        for gate in self._gates:  # noqa: SIM110 without a generator: asked before every jump
            if not gate():
                return False
        return True

    def _run_once(self) -> None:
        """What is due and what is ready, round after round, from jump to jump (one round where a world must be looked at)."""
        ready, timers, selector = self._ready, self._timers, self._selector
        alone = True
        while alone:
            alone = selector.watched == 1
            if not ready or not alone:
                self._go_on(alone=alone)
            now_ns = self._now_ns
            while timers and timers[0][0] <= now_ns:
                timer = heapq.heappop(timers)[2]
                if type(timer) is not asyncio.Future:
                    timer._scheduled = False  # type: ignore[union-attr]  # noqa: SLF001
                ready.append(timer)
            for _ in range(len(ready)):
                handle = ready.popleft()
                if type(handle) is asyncio.Future:
                    if not handle.done():
                        handle.set_result(None)
                    continue
                if handle._cancelled:  # noqa: SLF001
                    continue
                try:  # what a handle does to run itself, without the call
                    handle._context.run(handle._callback, *handle._args)  # noqa: SLF001
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 a callback that fails is told of and ends nothing else
                    self._tell_failed(handle, error)
            if self._stopping:
                return

    def _tell_failed(self, handle: asyncio.Handle, error: BaseException) -> None:
        self.call_exception_handler({"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle})

    def _go_on(self, *, alone: bool) -> None:
        """See what the real world brings (whoever writes to the wake-up pipe has made his callback ready before), or jump."""
        may_jump = self.may_jump()
        if not (alone and may_jump):
            self._look(0.0)
        if (self._timers and self._timers[0][2].cancelled()) or self.cancelled_timers > MOST_CANCELLED:
            self._forget_cancelled()
        if self._ready or self._stopping or (self._timers and self._timers[0][0] <= self._now_ns):
            return
        if not may_jump:
            self._look(REAL_WAIT_S)
        elif self._timers:
            self._now_ns = self._timers[0][0]
        elif not alone:
            self._look(None)
        else:
            raise self.deadlock()

    def _look(self, wait_s: float | None) -> None:
        self._process_events(self._selector.select(wait_s))  # type: ignore[attr-defined]

    def _forget_cancelled(self) -> None:
        """Those at the head, which must not attract the clock; all of them where most are."""
        timers = self._timers
        if self.cancelled_timers > max(MOST_CANCELLED, len(timers) // 2):
            timers[:] = [timer for timer in timers if not timer[2].cancelled()]
            heapq.heapify(timers)
            self.cancelled_timers = 0
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self.cancelled_timers -= 1

    def deadlock(self) -> Deadlock:
        """The error that says who waits."""
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        lines = [f"  {task.get_name()}: {_where(task)}" for task in tasks]
        return Deadlock("\n".join([f"virtual time stands still at {self.time():.9f} s: every task waits and no timer is set", *lines]))

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Call back in the next round; what asyncio checks besides is for debugging."""
        if self._debug:
            return super().call_soon(callback, *args, context=context)
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> TimerHandle:  # type: ignore[override]
        """Call back ``delay`` virtual seconds from now, rounded to the nanosecond."""
        return self._set_timer(self._now_ns + round(delay * 1e9), callback, args, context)

    def call_at_ns(self, when_ns: int, callback: Callable[..., Any]) -> TimerHandle:
        """Call back at an instant of ``now_ns``; at once when it is past."""
        return self._set_timer(max(when_ns - self._start_ns, self._now_ns), callback, (), None)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> TimerHandle:  # type: ignore[override]
        """Call back at ``when``, rounded to the nanosecond."""
        return self._set_timer(round(when * 1e9), callback, args, context)

    async def sleep(self, delay_s: float) -> None:
        """``asyncio.sleep``, without a timer's handle around it: most of what a night does is to wait for the next second."""
        if delay_s <= 0.0:
            await asyncio.sleep(0)
            return
        due: asyncio.Future[None] = asyncio.Future(loop=self)
        heapq.heappush(self._timers, (self._now_ns + round(delay_s * 1e9), next(self._timer_numbers), due))
        try:
            await due
        except asyncio.CancelledError:
            self.cancelled_timers += 1
            raise

    def _set_timer(self, when_ns: int, callback: Callable[..., Any], args: Any, context: Context | None) -> TimerHandle:
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        timer = _Timer(when_ns / 1e9, callback, args, self, context)
        heapq.heappush(self._timers, (when_ns, next(self._timer_numbers), timer))
        return timer

    def _make_task(self, _: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> _NumberedTask:
        return _NumberedTask(coroutine, loop=self, number=next(self._task_numbers), **options)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run in a thread; virtual time stands still until it returns."""
        future = super().run_in_executor(executor, func, *args)
        self.holds += 1
        future.add_done_callback(self._let_go)
        return future

    def _let_go(self, _: object) -> None:
        self.holds -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads, in real time."""
        self.holds += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self.holds -= 1


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    return f"{frames[-1].f_code.co_qualname} line {frames[-1].f_lineno}" if frames else "not started"


def run_virtual(main: Callable[[Clock], Coroutine[Any, Any, T]], *, epoch_utc_ns: int = EPOCH_UTC_NS, start_ns: int = 0) -> T:
    """Run ``main(clock)`` in virtual time, as ``asyncio.run`` does in real time; ``epoch_utc_ns``: UTC at ``start_ns``.

    What is left at the end is cancelled and awaited. Raises Deadlock when every task waits for another.
    """
    loop = VirtualLoop(start_ns)
    clock = Clock(epoch_utc_ns=epoch_utc_ns, virtual=loop)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(clock))
