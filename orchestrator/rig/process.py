"""One run, from files to exit code: real and scaled time, or virtual time at ``--speed max``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers import registry
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.guard.inline import InlineGuard
from orchestrator.observer.analysis import announce
from orchestrator.platform import calm_collector, prompt_threads
from orchestrator.recorder.journal import Journal, JournalError, JournalFailed
from orchestrator.recorder.records import Reader
from orchestrator.report.libraries import take_in
from orchestrator.rig.cells import CellLedger, kept_record
from orchestrator.rig.companions import Companions
from orchestrator.rig.emulators import PREFIX
from orchestrator.rig.faults import HOST, inject_all
from orchestrator.rig.fencing import need_armed
from orchestrator.rig.folders import home, new_run_folder, state_folder
from orchestrator.rig.gather import CannotRun, Gathered, run_started
from orchestrator.rig.guards import guard_of
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.host import Host
from orchestrator.rig.interrupts import Interrupts
from orchestrator.rig.log import logged
from orchestrator.rig.mortal import Life, MortalJournal
from orchestrator.rig.outside import noted, refuse_network
from orchestrator.rig.people import people_of
from orchestrator.rig.publishing import publish_arguments
from orchestrator.rig.request import VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.sources import note_sources
from orchestrator.rig.survivors import kill
from orchestrator.rig.upkeep import PUBLISHER, disk_of, give_ballast_back, mind_observer
from orchestrator.rig.world import Instruments, World, emulate_request, hosted, made_world, survivors_of
from orchestrator.runner.run import NOT_CONTINUED, Continuation, run_plan
from orchestrator.runner.station import INTERRUPTED, UNSAFE, Disk, Outcome

if TYPE_CHECKING:
    from orchestrator.monitor.memory import MemoryBroker
    from orchestrator.observer.inline import InlineObserver

Commands = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
LET_GO_WITHIN_s = 2.0


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
        ended = registry.virtual_run(lambda clock: _run(gathered, clock, disk), epoch_utc_ns=epoch_utc_ns)
    else:
        prompt_threads()
        ended = asyncio.run(_run(gathered, Clock(request.speed or 1.0, request.epoch_utc_ns, waits=True), disk))
    if (record := kept_record(gathered.experiment.cell, home())) is not None:
        CellLedger(record).settle()
    return ended


async def _run(gathered: Gathered, clock: Clock, disk: Disk | None) -> Ended:
    interrupts = Interrupts()
    with contextlib.ExitStack() as stack:
        state = state_folder(gathered.rig.name, simulated=gathered.all_simulated)
        if not gathered.request.virtual:
            stack.enter_context(interrupts.heard())
            refuse_network(state)
            stack.enter_context(rig_held(state, gathered.rig.name))
        folder = _folder(gathered)
        if not gathered.request.virtual:
            name_running(state, folder)
        stack.enter_context(logged(folder))
        if gathered.request.virtual:
            return await _run_in(folder, gathered, clock, disk, interrupts)
        async with noted(state, folder, "a run begins") as tell:
            ended = await _run_in(folder, gathered, clock, disk or disk_of(folder, gathered), interrupts)
            tell(ended.outcome)
        return ended


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


async def _run_in(folder: Path, gathered: Gathered, clock: Clock, disk: Disk | None, interrupts: Interrupts) -> Ended:
    journal = _journal(folder, clock)
    note_sources(folder, gathered)
    run_id = _run_id(gathered, folder)
    first = journal.put("run.started", run_started(gathered, clock, run_id))
    _on_cell(gathered, run_id, folder)
    world = made_world(gathered, clock, folder)
    return await lived(Hosting(gathered, clock, folder, journal, world, run_id, disk, interrupts=interrupts), first)


def _on_cell(gathered: Gathered, run_id: str, folder: Path) -> None:
    """A cell with a record remembers its runs, before their first current."""
    cell, record = gathered.experiment.cell, kept_record(gathered.experiment.cell, home())
    if record is not None:
        CellLedger(record).begin_run(run_id, folder, cell.x_now, simulated=gathered.all_simulated)


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
    interrupts: Interrupts = field(default_factory=Interrupts)

    @property
    def key_prefix(self) -> str:
        """A real console keeps the data sets of all runs in one folder: each run's keys are its own. An emulated one is the run's."""
        return "" if self.gathered.simulated else f"{self.run_id[:8]}-"


async def lived(hosting: Hosting, first_seq: int) -> Ended:
    """Live a run to its end, once its first record is on the disk; closes the journal."""
    gathered, folder, journal, life = hosting.gathered, hosting.folder, hosting.journal, hosting.life
    companions = _companions(hosting)
    record = MortalJournal(journal, life)
    people = people_of(gathered, folder, record, hosting.clock, from_start=hosting.continuation is None)
    outcome = error = None
    try:
        await journal.durable(first_seq)
        companions.start()
        outcome = await _with_instruments(hosting, record, companions)
    except asyncio.CancelledError:
        if not hosting.interrupts.why or hosting.continuation is not None:
            raise
        outcome = Outcome("aborted", "ended early", hosting.interrupts.why, complete=False, exit_code=INTERRUPTED, cell="untouched")
        record.put("run.ended", asdict(outcome))
        companions.start_late()
    except Exception as raised:
        error = raised
        raise
    finally:
        untouched = hosting.continuation is not None and (not record.cell or (outcome is not None and outcome.state == NOT_CONTINUED))
        if life.over or untouched:
            companions.dismiss()
        elif outcome is None and not record.ended and not journal.failed:
            record.put("run.ended", ended_anyhow(record.cell, error))
        await give_ballast_back(folder, hosting.clock)
        unwritten = await _closed(journal)
        if unwritten:
            companions.dismiss()  # the end that they wait for is not in the journal
        closeout = await hosting.clock.in_thread(companions.finish, lane="companions")
        if people is not None:
            await hosting.clock.in_thread(people.close, lane="companions")
    if unwritten:
        outcome = replace(
            outcome, complete=False, reason=f"{outcome.reason}\n  journal: {unwritten}", exit_code=outcome.exit_code or UNSAFE
        )
    return Ended(folder, outcome, closeout)


def _companions(hosting: Hosting) -> Companions | InlineObserver:
    """What stands beside the run: processes, or in virtual time, where that was asked for, the observer in this one."""
    gathered = hosting.gathered
    if gathered.request.inline and gathered.request.virtual:
        from orchestrator.observer.inline import InlineObserver

        return InlineObserver(hosting.folder)
    return Companions(
        hosting.folder,
        gathered.request.display,
        keep_free_bytes=gathered.plan.ballast_bytes if hosting.disk is not None else 0,
        mirror_to=gathered.mirror_to,
        control=None if gathered.request.virtual else state_folder(gathered.rig.name, simulated=gathered.all_simulated),
        publish=publish_arguments(gathered),
        status_to=gathered.status_to,
        meanwhile=take_in if gathered.request.report else None,
    )


async def _closed(journal: Journal) -> str:
    """Why the last records are not on the disk, which may be full for good; empty where they are."""
    try:
        await journal.close()
    except JournalFailed as error:
        return str(error)
    return ""


async def _observed(companions: Companions | InlineObserver, clock: Clock) -> None:
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


async def _with_instruments(hosting: Hosting, journal: MortalJournal, companions: Companions | InlineObserver) -> Outcome:
    """Emulators (if any), drivers, guard and control socket around the Runner."""
    gathered, clock, folder, life = hosting.gathered, hosting.clock, hosting.folder, hosting.life
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(hosting.world)
        instruments = await stack.enter_async_context(hosted(world, gathered, clock, folder, life))
        if gathered.request.virtual and (faults := gathered.fault_shares()[HOST]):
            broker = await stack.enter_async_context(_shown(hosting, journal)) if "broker_gone" in faults else None
            computer = Host(clock, journal, lambda seq: kill(folder, survivors_of(instruments), seq), broker)
            inject_all(computer.inject, faults, world.twin)
            stack.push_async_callback(computer.close)
        host = asyncio.current_task()
        assert host is not None
        if instruments.station.fence is not None:
            await need_armed(instruments.station.fence)
        guard = instruments.guard = await stack.enter_async_context(
            guard_of(gathered, clock, folder, instruments, host, life, journal, under_way=hosting.continuation is not None)
        )
        commands: Commands = asyncio.Queue(maxsize=64)
        if gathered.request.virtual:
            # before the observer is waited for: both take in their libraries, at the same time
            stack.push_async_callback(_cancelled, _analysing(hosting, journal, commands))
        await _observed(companions, clock)
        if not gathered.request.virtual:
            await stack.enter_async_context(_control(gathered, folder, commands))
            announce(commands)
            assert isinstance(companions, Companions)
            for minding in _upkeep(journal, companions):
                stack.push_async_callback(_cancelled, minding)
        await hosting.interrupts.started()
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
                interrupts=hosting.interrupts.queue,
                key_prefix=hosting.key_prefix,
                disk=hosting.disk,
                continuation=hosting.continuation,
                beside=Path(gathered.experiment.file).parent if gathered.experiment.file else None,
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


def _shown(hosting: Hosting, journal: MortalJournal) -> contextlib.AbstractAsyncContextManager[MemoryBroker]:
    """A broker in memory and its publisher, where it is to go: no other run needs an MQTT client in this process."""
    from orchestrator.rig.shown import shown_in_memory

    return shown_in_memory(hosting.folder, hosting.gathered.rig.name, hosting.clock, journal, hosting.life)


def _analysing(hosting: Hosting, journal: MortalJournal, commands: Commands) -> asyncio.Task[None]:
    """Live analysis in this very process, as it is at ``--speed max`` alone."""
    from orchestrator.observer.analysis import Inline

    inline = Inline(hosting.clock, commands, lambda text: journal.put_unless_ended("note", {"text": text, "who": "analysis"}))
    with Reader(hosting.folder / "journal.sqlite") as reader:
        inline.before(reader.events())
    announce(commands)
    journal.hearer, journal.heard_kinds = inline.heard, inline.kinds
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


def _upkeep(journal: MortalJournal, companions: Companions) -> Iterator[asyncio.Task[None]]:
    yield asyncio.create_task(mind_observer(companions, journal.put_unless_ended), name="companions")
    if companions.publishing is not None:
        yield asyncio.create_task(mind_observer(companions.publishing, journal.put_unless_ended, PUBLISHER), name="publishing")


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """End a task of the outer ring; what was wrong with it must not keep us from the end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("%s failed", task.get_name(), exc_info=error)


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


__all__ = ["PREFIX", "Ended", "Hosting", "emulate_request", "lived", "run"]
