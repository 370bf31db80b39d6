"""One run, from files to exit code: real and scaled time, or virtual time at ``--speed max``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.guard.heard import heard
from orchestrator.guard.inline import InlineGuard
from orchestrator.guard.process import Watched
from orchestrator.guard.start import start_guard
from orchestrator.guard.watch import acting_limit_s, silence_limit_s
from orchestrator.platform import calm_collector
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.rig.companions import Companions
from orchestrator.rig.emulators import PREFIX
from orchestrator.rig.folders import new_run_folder, state_folder
from orchestrator.rig.gather import IN_MEMORY, CannotRun, Gathered, run_started
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.log import logged
from orchestrator.rig.mortal import Life, MortalJournal
from orchestrator.rig.request import VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.sources import note_sources
from orchestrator.rig.upkeep import mind_observer, watch_disk
from orchestrator.rig.world import Instruments, World, hosted, made_world
from orchestrator.runner.run import NOT_CONTINUED, Continuation, run_plan
from orchestrator.runner.station import Outcome

Commands = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
LET_GO_WITHIN_s = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a run, and what the observer found at close-out."""

    folder: Path
    outcome: Outcome
    closeout: Mapping[str, Any]


def run(gathered: Gathered) -> Ended:
    """Run to the end. Raises CannotRun, InstrumentError, GuardDidNotStart: then nothing was started."""
    request = gathered.request
    calm_collector()
    if request.virtual:
        epoch_utc_ns = request.epoch_utc_ns or VIRTUAL_EPOCH_UTC_ns
        return registry.virtual_run(lambda clock: _run(gathered, clock), epoch_utc_ns=epoch_utc_ns)
    return asyncio.run(_run(gathered, Clock(request.speed or 1.0, request.epoch_utc_ns, waits=True)))


async def _run(gathered: Gathered, clock: Clock) -> Ended:
    with contextlib.ExitStack() as stack:
        state = state_folder(gathered.rig.name)
        if not gathered.request.virtual:
            stack.enter_context(rig_held(state, gathered.rig.name))
        folder = _folder(gathered)
        if not gathered.request.virtual:
            name_running(state, folder)
        stack.enter_context(logged(folder))
        return await _run_in(folder, gathered, clock)


def _folder(gathered: Gathered) -> Path:
    out = gathered.request.out
    try:
        return new_run_folder(out, gathered.experiment.name, Clock().utc_ns())
    except OSError as error:
        raise CannotRun(f"--out {out}: no run folder can be made there ({error.strerror or error}); nothing was started") from error


def _journal(folder: Path, clock: Clock) -> Journal:
    try:
        return Journal.create(folder / "journal.sqlite", clock)
    except (JournalError, OSError, sqlite3.Error) as error:
        raise CannotRun(f"{folder}: no journal can be kept there ({error}); nothing was started") from error


async def _run_in(folder: Path, gathered: Gathered, clock: Clock) -> Ended:
    journal = _journal(folder, clock)
    note_sources(folder, gathered)
    first = journal.put("run.started", run_started(gathered, clock, _run_id(gathered, folder)))
    hosting = Hosting(gathered, clock, folder, journal, made_world(gathered, clock, folder), run_id=_run_id(gathered, folder))
    return await lived(hosting, first)


@dataclass(slots=True)
class Hosting:
    """One host of a run: the first, or (``continuation``) one that goes on where another died. ``life``: until when it lives."""

    gathered: Gathered
    clock: Clock
    folder: Path
    journal: Journal
    world: contextlib.AbstractAsyncContextManager[World]
    run_id: str
    continuation: Continuation | None = None
    life: Life = field(default_factory=Life)

    @property
    def key_prefix(self) -> str:
        """A real console keeps the data sets of all runs in one folder: each run's keys are its own. An emulated one is the run's."""
        return "" if self.gathered.simulated else f"{self.run_id[:8]}-"


async def lived(hosting: Hosting, first_seq: int) -> Ended:
    """Live a run to its end, once its first record is on the disk; closes the journal."""
    folder, journal, life = hosting.folder, hosting.journal, hosting.life
    companions = Companions(folder, hosting.gathered.request.display)
    record = MortalJournal(journal, life)
    outcome = error = None
    try:
        await journal.durable(first_seq)
        companions.start()
        outcome = await _with_instruments(hosting, record, companions)
    except Exception as raised:
        error = raised
        raise
    finally:
        untouched = hosting.continuation is not None and (not record.cell or (outcome is not None and outcome.state == NOT_CONTINUED))
        if life.over or untouched:
            companions.dismiss()
        elif outcome is None and not record.ended and not journal.failed:
            record.put("run.ended", ended_anyhow(record.cell, error))
        await journal.close()
        closeout = await hosting.clock.in_thread(companions.finish, lane="companions")
    return Ended(folder, outcome, closeout)


async def _observed(companions: Companions, clock: Clock) -> None:
    if not await clock.in_thread(companions.ready, lane="companions"):
        raise CannotRun(f"the observer did not make {companions.folder.name}/run.h5; no current was started")


def ended_anyhow(cell: Mapping[str, Any], error: Exception | None) -> dict[str, Any]:
    """The end of a run that nobody else has ended, so that observer and screen close. ``cell``: its last ``cell.state``."""
    reason, code = "the run could not begin; no current was started", 3
    if cell:
        broke = "it was cancelled" if error is None else f"{type(error).__name__}: {error}"
        known = "at open circuit" if cell["cell"] == "off" else "in an UNKNOWN state: its guard has it"
        reason, code = f"the run broke off: {broke}\n  cell: by the last that was heard {known}", 1 if cell["cell"] == "off" else 4
    return {"state": "failed", "outcome": "ended early", "reason": reason, "complete": False, "exit_code": code}


def _run_id(gathered: Gathered, folder: Path) -> str:
    """Names the run for ever; in virtual time it follows from what was asked, so that one seed gives one file."""
    request = gathered.request
    text = f"{gathered.experiment.source}|{gathered.rig.source}|{request.seed}|{request.epoch_utc_ns}"
    return hashlib.sha256((text if request.virtual else f"{text}|{folder.resolve()}").encode()).hexdigest()[:32]


async def _with_instruments(hosting: Hosting, journal: MortalJournal, companions: Companions) -> Outcome:
    """Emulators (if any), drivers, guard and control socket around the Runner."""
    gathered, clock, folder, life = hosting.gathered, hosting.clock, hosting.folder, hosting.life
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(hosting.world)
        instruments = await stack.enter_async_context(hosted(world, gathered, clock, folder, life))
        host = asyncio.current_task()
        assert host is not None
        guard = await stack.enter_async_context(_guard(gathered, clock, folder, instruments, host, life))
        await _observed(companions, clock)
        commands: Commands = asyncio.Queue(maxsize=64)
        interrupts: asyncio.Queue[str] = asyncio.Queue()
        if not gathered.request.virtual:
            await stack.enter_async_context(_control(gathered, folder, commands))
            stack.enter_context(_signals(interrupts))
            for name, work in _upkeep(gathered, clock, folder, journal, companions):
                stack.push_async_callback(_cancelled, asyncio.create_task(work, name=name))
        instruments.in_use = True
        try:
            clock.begin()
            outcome = await run_plan(
                gathered.plan,
                instruments.station,
                journal,
                clock,
                guard,
                folder=folder,
                commands=commands,
                interrupts=interrupts,
                key_prefix=hosting.key_prefix,
                continuation=hosting.continuation,
            )
        except asyncio.CancelledError:
            if not life.over:
                raise
            host.uncancel()
        except Exception:
            if not life.over:
                await _left_to_guard(instruments, guard)
                raise
        if life.over:
            return await _after_death(guard)
        if outcome.state == NOT_CONTINUED or outcome.cell == "off":
            instruments.in_use = outcome.state == NOT_CONTINUED
            await guard.stand_down()
        else:
            await guard.hand_over()
        return outcome


async def _after_death(guard: GuardLink) -> Outcome:
    """What can be told of a host whose guard has ended it: nothing but what the guard found."""
    assert isinstance(guard, InlineGuard)
    await guard.lost()
    cell = "off" if guard.acted is not None and guard.acted.confirmed else "unknown"
    return Outcome("failed", "ended early", f"the guard ended the run: {guard.why}", complete=False, exit_code=4, cell=cell)


async def _left_to_guard(instruments: Instruments, guard: GuardLink) -> None:
    """Our own bug has ended the run: let go of the instrument, so that the guard can have it."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(LET_GO_WITHIN_s):
            await instruments.station.potentiostat.release()
    await guard.hand_over()


def _upkeep(
    gathered: Gathered, clock: Clock, folder: Path, journal: MortalJournal, companions: Companions
) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    def put(kind: str, data: dict[str, Any]) -> None:
        if not journal.ended:
            journal.put(kind, data)

    return [
        ("companions", mind_observer(companions, put)),
        ("disk", watch_disk(folder, gathered.plan.size_bytes, clock, put)),
    ]


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """End a task of the outer ring; what was wrong with it must not keep us from the end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("%s failed", task.get_name(), exc_info=error)


# ------------------------------------------------------------------------------------------------- guard and commands


@contextlib.asynccontextmanager
async def _guard(
    gathered: Gathered, clock: Clock, folder: Path, instruments: Instruments, host: asyncio.Task[Any], life: Life
) -> AsyncIterator[GuardLink]:
    make_safe_s = instruments.station.potentiostat.capabilities.make_safe_s
    host_lost_s = gathered.plan.host_lost_within_s
    limit_s = silence_limit_s(host_lost_s, make_safe_s)
    acting_s = acting_limit_s(host_lost_s, make_safe_s, limit_s)
    if gathered.request.virtual:

        def fence(why: str) -> None:
            life.end()
            host.cancel(f"ended by its guard: {why}")

        inline = InlineGuard(clock, limit_s, fence, lambda: _reach(gathered, clock, instruments, life, inline.heard), folder, acting_s)
        watching = asyncio.create_task(inline.run(), name="guard")
        try:
            yield inline
        finally:
            if not instruments.in_use:
                await inline.stand_down()
            await watching
        return
    settings = instruments.station.potentiostat_settings
    watched = Watched(
        folder=str(folder),
        token="",
        limit_s=limit_s,
        driver=settings.driver,
        address=settings.address,
        instrument=settings.instrument,
        channel=settings.channel,
        identity=settings.identity,
        options=dict(settings.options),
        speed=clock.speed,
        in_rig_process=settings.address == IN_MEMORY,
        acting_s=acting_s,
    )
    yield await start_guard(watched)


async def _reach(gathered: Gathered, clock: Clock, instruments: Instruments, life: Life, said: dict[str, Any]) -> SafeState:
    """Open the potentiostat anew on the instruments' side and make it safe."""
    settings = gathered.settings("potentiostat", instruments.world.addresses)
    await life.buried()
    wire = instruments.potentiostat if settings.address == IN_MEMORY else None
    potentiostat: Potentiostat = wire or registry.make_potentiostat(
        settings, Context(clock, instruments.world.network, _Unrecorded(), instruments.world.twin)
    )
    if wire is None:
        await potentiostat.connect()
    try:
        safe = await potentiostat.make_safe()
        if wire is None:
            said.update(await heard(potentiostat, clock))
        return safe
    finally:
        await potentiostat.release()


class _Unrecorded:
    """The guard's own bytes at ``--speed max`` stand in no wire file."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""


@contextlib.asynccontextmanager
async def _control(gathered: Gathered, folder: Path, commands: Commands) -> AsyncIterator[None]:
    async def answering(command: Command) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            commands.put_nowait((command, answer))
        except asyncio.QueueFull:
            return Answer(command.id, ok=False, text="too many commands are waiting; try again")
        return await answer

    async with ControlServer(state_folder(gathered.rig.name), folder, answering):
        yield


@contextlib.contextmanager
def _signals(interrupts: asyncio.Queue[str]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP as words in a queue; the Runner knows what each means."""
    loop = asyncio.get_running_loop()
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    previous: dict[int, Any] = {}
    for number in numbers:
        word = signal.Signals(number).name
        try:
            loop.add_signal_handler(number, interrupts.put_nowait, word)
        except NotImplementedError:  # Windows
            previous[number] = signal.signal(number, lambda *_, word=word: loop.call_soon_threadsafe(interrupts.put_nowait, word))
    try:
        yield
    finally:
        for number in numbers:
            if number in previous:
                signal.signal(number, previous[number])
            else:
                loop.remove_signal_handler(number)


__all__ = ["PREFIX", "Ended", "run"]
