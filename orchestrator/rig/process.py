"""One run, from files to exit code: real and scaled time, or virtual time at ``--speed max``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink, SocketGuardLink
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.guard.finish import Declared, Say, watch_device
from orchestrator.guard.heard import heard
from orchestrator.guard.inline import InlineGuard
from orchestrator.guard.process import Watched
from orchestrator.guard.service import POST
from orchestrator.guard.start import start_guard
from orchestrator.guard.watch import acting_limit_s, silence_limit_s
from orchestrator.monitor.notify import Notifier, notifier
from orchestrator.platform import calm_collector
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.recorder.records import Reader
from orchestrator.recorder.rundisk import RunDisk, drop_ballast
from orchestrator.rig.companions import Companions
from orchestrator.rig.emulators import PREFIX
from orchestrator.rig.faults import HOST, inject_all
from orchestrator.rig.fencing import fence_settings, need_armed, plain
from orchestrator.rig.folders import home, new_run_folder, state_folder
from orchestrator.rig.gather import IN_MEMORY, CannotRun, Gathered, run_started
from orchestrator.rig.guarding import KeptGuard
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.host import Host
from orchestrator.rig.log import logged
from orchestrator.rig.mortal import Life, MortalJournal
from orchestrator.rig.request import VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.sources import note_sources
from orchestrator.rig.survivors import kill
from orchestrator.rig.upkeep import mind_observer
from orchestrator.rig.world import Instruments, World, emulate_request, hosted, made_world, survivors_of
from orchestrator.runner.run import NOT_CONTINUED, Continuation, run_plan
from orchestrator.runner.safety import NOTICED_WITHIN_S
from orchestrator.runner.station import Disk, Outcome

Commands = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
LET_GO_WITHIN_s = 2.0
LONGEST_UNGUARDED_s = 30.0
"""So long a cell under current may at most be without a guard, while another is started."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a run, and what the observer found at close-out."""

    folder: Path
    outcome: Outcome
    closeout: Mapping[str, Any]


def run(gathered: Gathered, disk: Disk | None = None) -> Ended:
    """Run to the end. Raises CannotRun, InstrumentError, GuardDidNotStart: then nothing was started.

    ``disk``: instead of the real one under the run's folder; in virtual time none is watched unless one is given.
    """
    request = gathered.request
    calm_collector()
    if request.virtual:
        epoch_utc_ns = request.epoch_utc_ns or VIRTUAL_EPOCH_UTC_ns
        return registry.virtual_run(lambda clock: _run(gathered, clock, disk), epoch_utc_ns=epoch_utc_ns)
    return asyncio.run(_run(gathered, Clock(request.speed or 1.0, request.epoch_utc_ns, waits=True), disk))


async def _run(gathered: Gathered, clock: Clock, disk: Disk | None) -> Ended:
    with contextlib.ExitStack() as stack:
        state = state_folder(gathered.rig.name, simulated=gathered.all_simulated)
        if not gathered.request.virtual:
            stack.enter_context(rig_held(state, gathered.rig.name))
        folder = _folder(gathered)
        if not gathered.request.virtual:
            name_running(state, folder)
        stack.enter_context(logged(folder))
        return await _run_in(folder, gathered, clock, disk or disk_of(folder, gathered))


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


def disk_of(folder: Path, gathered: Gathered) -> Disk | None:
    """The disk under the run's folder, with its ballast; in virtual time nothing that is measured may enter the data."""
    if gathered.request.virtual:
        return None
    disk = RunDisk(folder, gathered.plan.ballast_bytes)
    try:
        disk.take_ballast()
    except OSError as error:
        raise CannotRun(f"{folder}: no room for the ballast of {disk.ballast_bytes / 1e6:.0f} MB ({error}); nothing was started") from error
    return disk


async def _run_in(folder: Path, gathered: Gathered, clock: Clock, disk: Disk | None) -> Ended:
    journal = _journal(folder, clock)
    note_sources(folder, gathered)
    run_id = _run_id(gathered, folder)
    first = journal.put("run.started", run_started(gathered, clock, run_id))
    return await lived(Hosting(gathered, clock, folder, journal, made_world(gathered, clock, folder), run_id, disk), first)


@dataclass(slots=True)
class Hosting:
    """One host of a run: the first, or (``continuation``) one that goes on where another died. ``life``: until when it lives.

    ``guarded``: a guard was looking after the cell when this host came, and has it again where the run is not continued.
    """

    gathered: Gathered
    clock: Clock
    folder: Path
    journal: Journal
    world: contextlib.AbstractAsyncContextManager[World]
    run_id: str
    disk: Disk | None = None
    continuation: Continuation | None = None
    guarded: bool = False
    life: Life = field(default_factory=Life)

    @property
    def key_prefix(self) -> str:
        """A real console keeps the data sets of all runs in one folder: each run's keys are its own. An emulated one is the run's."""
        return "" if self.gathered.simulated else f"{self.run_id[:8]}-"


async def lived(hosting: Hosting, first_seq: int) -> Ended:
    """Live a run to its end, once its first record is on the disk; closes the journal."""
    gathered, folder, journal, life = hosting.gathered, hosting.folder, hosting.journal, hosting.life
    kept_bytes = gathered.plan.ballast_bytes if hosting.disk is not None else 0
    control = None if gathered.request.virtual else state_folder(gathered.rig.name, simulated=gathered.all_simulated)
    companions = Companions(folder, gathered.request.display, keep_free_bytes=kept_bytes, mirror_to=gathered.mirror_to, control=control)
    record = MortalJournal(journal, life)
    people = _people(gathered, folder, record)
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
        await _drop_ballast(folder, hosting.clock)
        await journal.close()
        closeout = await hosting.clock.in_thread(companions.finish, lane="companions")
        if people is not None:
            await hosting.clock.in_thread(people.close, lane="companions")
    return Ended(folder, outcome, closeout)


async def _drop_ballast(folder: Path, clock: Clock) -> None:
    """What was kept for a full disk is there for the close-out; a disk that hangs may keep it."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LET_GO_WITHIN_s):
            await clock.in_thread(drop_ballast, folder, lane="disk")


def _people(gathered: Gathered, folder: Path, record: MortalJournal) -> Notifier | None:
    """Who is told of alarms, in real time; a program that fails to tell is a note in the run."""
    if gathered.request.virtual or not gathered.rig.notify:
        return None
    loop = asyncio.get_running_loop()

    def report(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the run is over
            loop.call_soon_threadsafe(record.listeners_note, text)

    people = notifier(gathered.rig.notify, report)
    record.listener = lambda kind, data: _tell(people, gathered.rig.name, folder.name, kind, data)
    return people


def _tell(people: Notifier, rig: str, run: str, kind: str, data: Mapping[str, Any]) -> None:
    """What of the journal is told at once; nobody waits for it."""
    if kind == "alarm.raised":
        text = "\n".join(part for part in (data["text"], data.get("advice", ""), f"run: {run}") if part)
        people.tell(str(data["level"]), f"{rig}: {data['title']}", text)
    elif kind == "run.ended":
        level = "info" if data["outcome"] == "as planned" else "alarm"
        people.tell(level, f"{rig}: the run has ended ({data['outcome']})", f"{data['reason']}\nrun: {run}")


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
        if gathered.request.virtual and (faults := gathered.fault_shares()[HOST]):
            computer = Host(clock, journal, lambda seq: kill(folder, survivors_of(instruments), seq))
            inject_all(computer.inject, faults, world.twin)
            stack.push_async_callback(computer.close)
        host = asyncio.current_task()
        assert host is not None
        if instruments.station.fence is not None:
            await need_armed(instruments.station.fence)
        guard = instruments.guard = await stack.enter_async_context(
            _guard(gathered, clock, folder, instruments, host, life, journal, under_way=hosting.continuation is not None)
        )
        await _observed(companions, clock)
        commands: Commands = asyncio.Queue(maxsize=64)
        interrupts: asyncio.Queue[str] = asyncio.Queue()
        if not gathered.request.virtual:
            await stack.enter_async_context(_control(gathered, folder, commands))
            stack.enter_context(_signals(interrupts))
            minding = asyncio.create_task(_upkeep(journal, companions), name="companions")
            stack.push_async_callback(_cancelled, minding)
        else:
            stack.push_async_callback(_cancelled, _analysing(hosting, journal, commands))
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
                disk=hosting.disk,
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
        if outcome.state == NOT_CONTINUED and hosting.guarded:
            await guard.hand_over()
        elif outcome.state == NOT_CONTINUED:
            await guard.stand_down()
        elif outcome.cell != "unknown":
            instruments.in_use = False
            await guard.stand_down()
        else:
            await guard.hand_over()
        return outcome


def _analysing(hosting: Hosting, journal: MortalJournal, commands: Commands) -> asyncio.Task[None]:
    """Live analysis in this very process, as it is at ``--speed max`` alone."""
    from orchestrator.observer.analysis import Inline

    inline = Inline(hosting.clock, commands)
    with Reader(hosting.folder / "journal.sqlite") as reader:
        inline.before(reader.events())
    journal.hearer = inline.heard
    return asyncio.create_task(inline.run(), name="analysis")


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


async def _upkeep(journal: MortalJournal, companions: Companions) -> None:
    def put(kind: str, data: dict[str, Any]) -> None:
        if not journal.ended:
            journal.put(kind, data)

    await mind_observer(companions, put)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """End a task of the outer ring; what was wrong with it must not keep us from the end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("%s failed", task.get_name(), exc_info=error)


# ------------------------------------------------------------------------------------------------- guard and commands


@contextlib.asynccontextmanager
async def _guard(
    gathered: Gathered,
    clock: Clock,
    folder: Path,
    instruments: Instruments,
    host: asyncio.Task[Any],
    life: Life,
    journal: MortalJournal,
    *,
    under_way: bool = False,
) -> AsyncIterator[GuardLink]:
    """``under_way``: the cell may be under current already."""
    make_safe_s = instruments.station.potentiostat.capabilities.make_safe_s
    host_lost_s = gathered.plan.host_lost_within_s
    limit_s = silence_limit_s(host_lost_s, make_safe_s)
    acting_s = acting_limit_s(host_lost_s, make_safe_s, limit_s)
    if gathered.request.virtual:
        async with _inline(gathered, clock, folder, instruments, host, life, limit_s, acting_s) as inline:
            yield inline
        return
    watched = _watched(gathered, clock, folder, instruments, limit_s, acting_s)
    service = state_folder(gathered.rig.name) / POST

    async def start(*, under_way: bool) -> SocketGuardLink:
        return await start_guard(replace(watched, under_way=under_way), service=service)

    def put(kind: str, data: dict[str, Any]) -> None:
        if not journal.ended:
            journal.put(kind, data)

    within_s = min(LONGEST_UNGUARDED_s, max(limit_s, acting_s - NOTICED_WITHIN_S))
    yield KeptGuard(await start(under_way=under_way), start, put, within_s=within_s, fresh_s=limit_s)


def _watched(gathered: Gathered, clock: Clock, folder: Path, instruments: Instruments, limit_s: float, acting_s: float) -> Watched:
    """What a guard in a process of its own is told. Emulated instruments are there for this run alone."""
    settings = instruments.station.potentiostat_settings
    return Watched(
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
        trip_after_s=max(2.0, gathered.plan.host_lost_within_s - limit_s),
        fence=plain(fence_settings(gathered, instruments.world.addresses)),
        notify=tuple(dict(way) for way in gathered.rig.notify),
        posts=str(folder if settings.simulated else home() / "guards"),
        rig=gathered.rig.name,
        run=folder.name,
    )


@contextlib.asynccontextmanager
async def _inline(
    gathered: Gathered,
    clock: Clock,
    folder: Path,
    instruments: Instruments,
    host: asyncio.Task[Any],
    life: Life,
    limit_s: float,
    acting_s: float,
) -> AsyncIterator[GuardLink]:
    """The guard in virtual time, on the instruments' side."""

    def fence(why: str) -> None:
        life.end()
        host.cancel(f"ended by its guard: {why}")

    async def device(declared: Declared, within_s: float, say: Say) -> str:
        await life.buried()
        return await watch_device(lambda: _anew(gathered, clock, instruments), declared, within_s, say)

    asked = fence_settings(gathered, instruments.world.addresses)
    context = Context(clock, instruments.world.network, _Unrecorded(), instruments.world.twin)
    relay = None if asked is None else registry.make_fence(asked, context)
    said: dict[str, Any] = {}
    reach = lambda: _reach(gathered, clock, instruments, life, said)  # noqa: E731
    inline = InlineGuard(clock, limit_s, fence, reach, folder, acting_s, device, None if relay is None else relay.trip, heard=said)
    watching = asyncio.create_task(inline.run(), name="guard")
    try:
        yield inline
    finally:
        if not instruments.in_use:
            await inline.stand_down()
        await watching


async def _reach(gathered: Gathered, clock: Clock, instruments: Instruments, life: Life, said: dict[str, Any]) -> SafeState:
    """Open the potentiostat anew on the instruments' side and make it safe."""
    await life.buried()
    potentiostat = _anew(gathered, clock, instruments)
    another = potentiostat is not instruments.potentiostat
    if another:
        await potentiostat.connect()
    try:
        safe = await potentiostat.make_safe()
        said.update(await heard(potentiostat, clock) if another else {})
        return safe
    finally:
        await potentiostat.release()


def _anew(gathered: Gathered, clock: Clock, instruments: Instruments) -> Potentiostat:
    """The potentiostat as somebody else than the host has it; the one in memory is nobody's but its own."""
    settings = gathered.settings("potentiostat", instruments.world.addresses)
    if settings.address == IN_MEMORY:
        return instruments.potentiostat
    return registry.make_potentiostat(settings, Context(clock, instruments.world.network, _Unrecorded(), instruments.world.twin))


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

    async with ControlServer(state_folder(gathered.rig.name, simulated=gathered.all_simulated), folder, answering):
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


__all__ = ["PREFIX", "Ended", "Hosting", "emulate_request", "lived", "run"]
