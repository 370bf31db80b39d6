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
from typing import Any, cast

from drivers import registry
from drivers.base import Context, Emulator, Network, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink, SocketGuardLink
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.guard.finish import Declared, Say, watch_device
from orchestrator.guard.inline import InlineGuard
from orchestrator.guard.process import Watched
from orchestrator.guard.service import POST
from orchestrator.guard.start import start_guard
from orchestrator.guard.watch import acting_limit_s, silence_limit_s
from orchestrator.monitor.notify import Notifier, notifier
from orchestrator.platform import calm_collector
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.recorder.rundisk import RunDisk, drop_ballast
from orchestrator.rig.companions import Companions
from orchestrator.rig.emulators import PREFIX, EmulateRequest, EmulatorProcess, LINGER_s, make_emulators, make_twin, told_truth
from orchestrator.rig.faults import HOST, TWIN, inject_all
from orchestrator.rig.fencing import fence_settings, need_armed, plain
from orchestrator.rig.folders import home, new_run_folder, state_folder
from orchestrator.rig.gather import IN_MEMORY, CannotRun, Gathered, run_started
from orchestrator.rig.guarding import KeptGuard
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.host import Host
from orchestrator.rig.log import logged
from orchestrator.rig.mortal import Life, MortalInstrument, MortalJournal, MortalNetwork
from orchestrator.rig.request import VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.survivors import Survivors, kill
from orchestrator.rig.truth import TRUTH
from orchestrator.rig.upkeep import mind_observer
from orchestrator.runner.run import run_plan
from orchestrator.runner.safety import NOTICED_WITHIN_S
from orchestrator.runner.station import Disk, Outcome, Station

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
        return await _run_in(folder, gathered, clock, disk or _disk(folder, gathered))


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


def _disk(folder: Path, gathered: Gathered) -> Disk | None:
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
    kept_bytes = gathered.plan.ballast_bytes if disk is not None else 0
    companions = Companions(folder, gathered.request.display, keep_free_bytes=kept_bytes, mirror_to=gathered.mirror_to)
    journal = _journal(folder, clock)
    life = Life()
    record = MortalJournal(journal, life)
    people = _people(gathered, folder, record)
    outcome = error = None
    try:
        first = journal.put("run.started", run_started(gathered, clock, _run_id(gathered, folder)))
        await journal.durable(first)
        companions.start()
        outcome = await _with_instruments(gathered, clock, folder, record, companions, life, disk)
    except Exception as raised:
        error = raised
        raise
    finally:
        if life.over:
            companions.dismiss()
        elif outcome is None and not record.ended and not journal.failed:
            record.put("run.ended", ended_anyhow(record.cell, error))
        await _drop_ballast(folder, clock)
        await journal.close()
        closeout = await clock.in_thread(companions.finish, lane="companions")
        if people is not None:
            await clock.in_thread(people.close, lane="companions")
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


async def _with_instruments(
    gathered: Gathered, clock: Clock, folder: Path, journal: MortalJournal, companions: Companions, life: Life, disk: Disk | None
) -> Outcome:
    """Emulators (if any), drivers, guard and control socket around the Runner."""
    async with contextlib.AsyncExitStack() as stack:
        instruments = await stack.enter_async_context(_instruments(gathered, clock, folder, life))
        if gathered.request.virtual and (faults := gathered.fault_shares()[HOST]):
            computer = Host(clock, journal, lambda seq: kill(folder, survivors_of(instruments), seq))
            inject_all(computer.inject, faults, instruments.twin)
            stack.push_async_callback(computer.close)
        host = asyncio.current_task()
        assert host is not None
        if instruments.station.fence is not None:
            await need_armed(instruments.station.fence)
        guard = instruments.guard = await stack.enter_async_context(_guard(gathered, clock, folder, instruments, host, life, journal))
        await _observed(companions, clock)
        commands: Commands = asyncio.Queue(maxsize=64)
        interrupts: asyncio.Queue[str] = asyncio.Queue()
        if not gathered.request.virtual:
            await stack.enter_async_context(_control(gathered, folder, commands))
            stack.enter_context(_signals(interrupts))
            minding = asyncio.create_task(_upkeep(journal, companions), name="companions")
            stack.push_async_callback(_cancelled, minding)
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
                key_prefix=_key_prefix(gathered, folder),
                disk=disk,
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
        if outcome.cell != "unknown":
            instruments.in_use = False
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


async def _upkeep(journal: MortalJournal, companions: Companions) -> None:
    def put(kind: str, data: dict[str, Any]) -> None:
        if not journal.ended:
            journal.put(kind, data)

    await mind_observer(companions, put)


def _key_prefix(gathered: Gathered, folder: Path) -> str:
    """A real console keeps the data sets of all runs in one folder: each run's keys are its own. An emulated one is made for the run."""
    return "" if gathered.simulated else f"{_run_id(gathered, folder)[:8]}-"


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """End a task of the outer ring; what was wrong with it must not keep us from the end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("%s failed", task.get_name(), exc_info=error)


# ------------------------------------------------------------------------------------------------------- instruments


@dataclass(slots=True)
class Instruments:
    """The station's drivers, and what the guard needs to open the potentiostat anew.

    ``potentiostat``: the driver itself, which a dead host no longer has. ``clock``: the instruments' own.
    ``in_use``: the cell may be under current, so that emulators outlive us for the guard's sake.
    """

    station: Station
    network: Network
    addresses: Mapping[str, str]
    potentiostat: Potentiostat
    twin: Any = None
    in_use: bool = False
    clock: Clock | None = None
    emulators: Mapping[str, Emulator] = field(default_factory=dict)
    guard: GuardLink | None = None


def survivors_of(instruments: Instruments) -> Survivors:
    """What lives on when this host dies. Only at ``--speed max``."""
    guard = instruments.guard if isinstance(instruments.guard, InlineGuard) else None
    clock, network = instruments.clock, cast("registry.MemoryMedia", instruments.network)
    assert clock is not None
    return Survivors(clock, network, instruments.twin, instruments.emulators, instruments.addresses, guard)


@contextlib.asynccontextmanager
async def _instruments(gathered: Gathered, clock: Clock, folder: Path, life: Life) -> AsyncIterator[Instruments]:
    async with contextlib.AsyncExitStack() as stack:
        addresses: Mapping[str, str] = {}
        twin = process = None
        theirs, emulators = clock.beside(), {}
        network = registry.memory_network() if gathered.request.virtual else registry.real_network()
        request = emulate_request(gathered, folder)
        if gathered.simulated and (gathered.request.virtual or _in_memory(gathered)):
            twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=clock.mono_ns())
            stack.enter_context(told_truth(twin, request.truth))
            inject_all(twin.befall, request.faults.get(TWIN, {}), twin)
        if request.names and gathered.request.virtual:
            emulators = make_emulators(request, theirs, network, twin)
            addresses = {name: (await emulator.start()).address for name, emulator in emulators.items()}
            for emulator in emulators.values():
                stack.push_async_callback(emulator.stop)
        elif request.names:
            process = await EmulatorProcess.start(request)
            addresses = {name: str(found["address"]) for name, found in process.addresses.items()}
        hosts = MortalNetwork(network, life) if gathered.request.virtual else network
        station = _station(gathered, clock, folder, hosts, addresses, twin, stack)
        instruments = Instruments(station, network, addresses, station.potentiostat, twin, clock=theirs, emulators=emulators)
        if gathered.request.virtual and _in_memory(gathered):
            instruments.station = replace(station, potentiostat=cast("Potentiostat", MortalInstrument(station.potentiostat, life)))
        if process is not None:
            stack.push_async_callback(_part, process, instruments)
        yield instruments


async def _part(process: EmulatorProcess, instruments: Instruments) -> None:
    """End the emulators, or leave them to the guard for the time they linger."""
    if instruments.in_use:
        process.abandon()
    else:
        await process.stop()


def _in_memory(gathered: Gathered) -> bool:
    return any(gathered.instrument(role).address == IN_MEMORY for role in ("potentiostat", "console"))


def emulate_request(gathered: Gathered, folder: Path) -> EmulateRequest:
    """Which emulators a run has, on which twin, with which faults."""
    request = gathered.request
    options = gathered.emulator_options()
    twin = str(gathered.twin_path or "")
    own = folder / "emulated"
    return EmulateRequest(
        tuple(options), twin, request.speed or 1.0, request.seed, gathered.fault_shares(), options, str(own), LINGER_s, str(own / TRUTH)
    )


def _station(
    gathered: Gathered,
    clock: Clock,
    folder: Path,
    network: Network,
    addresses: Mapping[str, str],
    twin: Any,
    stack: contextlib.AsyncExitStack,
) -> Station:
    made: dict[str, Any] = {}
    for role, make in (("potentiostat", registry.make_potentiostat), ("console", registry.make_console)):
        settings = gathered.settings(role, addresses)
        wire = registry.wire_log(folder / "wire" / f"{settings.instrument}.jsonl", clock)
        stack.callback(wire.close)
        made[role] = make(settings, Context(clock, registry.recorded_network(network, wire), wire, twin))
        made[f"{role}_settings"] = settings
    if (asked := fence_settings(gathered, addresses)) is not None:
        wire = registry.wire_log(folder / "wire" / f"{asked.instrument}.jsonl", clock)
        stack.callback(wire.close)
        made["fence"] = registry.make_fence(asked, Context(clock, registry.recorded_network(network, wire), wire, twin))
    return Station(name=gathered.plan.station, raw_folder=folder / "raw", **made)


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
) -> AsyncIterator[GuardLink]:
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
    yield KeptGuard(await start(under_way=False), start, put, within_s=within_s, fresh_s=limit_s)


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
        fence=plain(fence_settings(gathered, instruments.addresses)),
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

    asked = fence_settings(gathered, instruments.addresses)
    context = Context(clock, instruments.network, _Unrecorded(), instruments.twin)
    relay = None if asked is None else registry.make_fence(asked, context)
    reach = lambda: _reach(gathered, clock, instruments, life)  # noqa: E731
    inline = InlineGuard(clock, limit_s, fence, reach, folder, acting_s, device, None if relay is None else relay.trip)
    watching = asyncio.create_task(inline.run(), name="guard")
    try:
        yield inline
    finally:
        if not instruments.in_use:
            await inline.stand_down()
        await watching


async def _reach(gathered: Gathered, clock: Clock, instruments: Instruments, life: Life) -> SafeState:
    """Open the potentiostat anew on the instruments' side and make it safe."""
    await life.buried()
    potentiostat = _anew(gathered, clock, instruments)
    if potentiostat is not instruments.potentiostat:
        await potentiostat.connect()
    try:
        return await potentiostat.make_safe()
    finally:
        await potentiostat.release()


def _anew(gathered: Gathered, clock: Clock, instruments: Instruments) -> Potentiostat:
    """The potentiostat as somebody else than the host has it; the one in memory is nobody's but its own."""
    settings = gathered.settings("potentiostat", instruments.addresses)
    if settings.address == IN_MEMORY:
        return instruments.potentiostat
    return registry.make_potentiostat(settings, Context(clock, instruments.network, _Unrecorded(), instruments.twin))


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


__all__ = ["PREFIX", "Ended", "run"]
