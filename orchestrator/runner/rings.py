"""The tasks of a run in two rings.

Inner ring: sampling, heartbeat, the watch over journal and guard; when one of them fails the cell goes to open circuit and the run
ends. Outer ring, restarted when it fails: everything about the console, and people's commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from drivers.errors import InstrumentError
from orchestrator.runner.beat import Beat
from orchestrator.runner.commands import Commands
from orchestrator.runner.disk import DiskWatch
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.states import RunState
from orchestrator.runner.station import BUG, INSTRUMENT, SAFETY, Ending, Surroundings
from orchestrator.runner.watches import Watches
from orchestrator.runner.wire import supervise

HEARTBEAT, SAMPLING, GUARD_WATCH = "heartbeat", "sampling", "guard watch"
NEED_POTENTIOSTAT = frozenset({SAMPLING, GUARD_WATCH})


class Rings:
    """``begin`` with the task group that they live in."""

    def __init__(self, surroundings: Surroundings, run: Reactions, watches: Watches, commands: Commands) -> None:
        self._s = surroundings
        self._run = run
        self._watches = watches
        self._commands = commands
        self._ring: asyncio.TaskGroup | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, ring: asyncio.TaskGroup) -> None:
        """Tasks may be started from now on."""
        self._ring = ring

    def cancel(self) -> None:
        """Whatever becomes of them, the task group waits for each."""
        for task in self.tasks:
            task.cancel()

    def let_go(self) -> None:
        """End what needs the potentiostat."""
        for task in self.tasks:
            if task.get_name() in NEED_POTENTIOSTAT:
                task.cancel()

    async def end(self) -> None:
        """Nobody listens any more: that a released instrument's stream ends is no event of the run. Only the heart beats on."""
        over = [task for task in self.tasks if task.get_name() != HEARTBEAT]
        for task in over:
            task.cancel()
        await asyncio.wait(over)
        self._commands.close()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that lives until the run is over."""
        assert self._ring is not None
        task = self._ring.create_task(work, name=name)
        self.tasks.append(task)
        return task

    def _fail(self, name: str, error: Exception) -> None:
        """A task without which the cell must not be under current has failed."""
        self._run.make_safe.begin(f"{name} failed")
        code = INSTRUMENT if isinstance(error, (InstrumentError, ConnectionError)) else BUG
        self._run.end(Ending(RunState.FAILED, f"{name} failed: {type(error).__name__}: {error}", code, SAFETY))

    def react(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """A task that a reaction needs; what fails in it does not end the run past make_safe."""
        self.spawn(self._inner(name, work), name)

    def start_first(self) -> None:
        """What must not wait for a slow instrument: the heartbeat, Ctrl-C and commands."""
        run = self._run
        self.spawn(self._inner(HEARTBEAT, Beat(self._s, run.sampling, run).run), HEARTBEAT)
        for name, outer in (("commands", self._commands.obey), ("interrupts", self._commands.heed)):
            self.spawn(supervise(self._s, run.alarms, name, outer), name)

    def start(self) -> None:
        """Everything that a run on instruments that were met needs."""
        run = self._run
        for name, inner in (
            (SAMPLING, run.sampling.read),
            ("journal watch", self._watches.journal),
            (GUARD_WATCH, self._watches.guard),
        ):
            self.spawn(self._inner(name, inner), name)
        for name, outer in (
            ("console", run.acquisitions.own),
            ("console events", run.acquisitions.listen),
            ("storing", run.acquisitions.storing.run),
            ("missed", run.retry_missed),
            ("booking", self._watches.booking),
            ("clocks", self._watches.clocks),
            *([("sensors", run.sensing.watch)] if self._s.station.sensors else []),
            ("wall clock", self._watches.wall_clock),
        ):
            self.spawn(supervise(self._s, run.alarms, name, outer), name)
        if self._s.disk is not None:
            self.spawn(supervise(self._s, run.alarms, "disk", DiskWatch(self._s, run, self._s.disk).watch), "disk")

    async def _inner(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A task without which the cell must not be under current."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 whatever it is, the cell comes first
            self._fail(name, error)
