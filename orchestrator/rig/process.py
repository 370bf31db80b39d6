"""One run, from files to exit code: real and scaled time, or virtual time at ``--speed max``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Network, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.guard.inline import InlineGuard
from orchestrator.guard.process import Watched
from orchestrator.guard.start import start_guard
from orchestrator.guard.watch import acting_limit_s, silence_limit_s
from orchestrator.platform import calm_collector
from orchestrator.recorder.journal import Journal, JournalError
from orchestrator.rig.companions import Companions
from orchestrator.rig.emulators import PREFIX, EmulateRequest, EmulatorProcess, LINGER_s, make_emulators, make_twin, told_truth
from orchestrator.rig.folders import new_run_folder, state_folder
from orchestrator.rig.gather import IN_MEMORY, CannotRun, Gathered, run_started
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.log import logged
from orchestrator.rig.request import VIRTUAL_EPOCH_UTC_ns
from orchestrator.rig.truth import TRUTH
from orchestrator.runner.run import run_plan
from orchestrator.runner.station import Outcome, Station

Commands = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
OBSERVER_LOOK_s = 2.0


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
    companions = Companions(folder, gathered.request.display)
    journal = _journal(folder, clock)
    outcome = None
    try:
        first = journal.put("run.started", run_started(gathered, clock, _run_id(gathered, folder)))
        await journal.durable(first)
        companions.start()
        if not await clock.in_thread(companions.ready, lane="companions"):
            raise CannotRun(f"the observer did not make {folder.name}/run.h5; no current was started")
        outcome = await _with_instruments(gathered, clock, folder, journal, companions)
    finally:
        if outcome is None and not journal.failed:
            _put_ended(journal)
        await journal.close()
        closeout = await clock.in_thread(companions.finish, lane="companions")
    return Ended(folder, outcome, closeout)


def _put_ended(journal: Journal) -> None:
    """A run that never began still has an end, so that observer and screen close."""
    reason = "the run could not begin; no current was started"
    journal.put("run.ended", {"state": "failed", "outcome": "ended early", "reason": reason, "complete": False, "exit_code": 3})


def _run_id(gathered: Gathered, folder: Path) -> str:
    """Names the run for ever; in virtual time it follows from what was asked, so that one seed gives one file."""
    request = gathered.request
    text = f"{gathered.experiment.source}|{gathered.rig.source}|{request.seed}|{request.epoch_utc_ns}"
    return hashlib.sha256((text if request.virtual else f"{text}|{folder.resolve()}").encode()).hexdigest()[:32]


async def _with_instruments(gathered: Gathered, clock: Clock, folder: Path, journal: Journal, companions: Companions) -> Outcome:
    """Emulators (if any), drivers, guard and control socket around the Runner."""
    async with contextlib.AsyncExitStack() as stack:
        instruments = await stack.enter_async_context(_instruments(gathered, clock, folder))
        host = asyncio.current_task()
        assert host is not None
        guard = await stack.enter_async_context(_guard(gathered, clock, folder, instruments, host))
        commands: Commands = asyncio.Queue(maxsize=64)
        interrupts: asyncio.Queue[str] = asyncio.Queue()
        if not gathered.request.virtual:
            await stack.enter_async_context(_control(gathered, folder, commands))
            stack.enter_context(_signals(interrupts))
            stack.push_async_callback(_cancelled, asyncio.create_task(_mind(companions, journal), name="companions"))
        instruments.in_use = True
        try:
            clock.begin()
            outcome = await run_plan(
                gathered.plan, instruments.station, journal, clock, guard, folder=folder, commands=commands, interrupts=interrupts
            )
        except asyncio.CancelledError:
            if not (isinstance(guard, InlineGuard) and guard.why):
                raise
            host.uncancel()
            outcome = Outcome("failed", "ended early", f"the guard ended the run: {guard.why}", complete=False, exit_code=4, cell="unknown")
        if outcome.cell == "off":
            instruments.in_use = False
            await guard.stand_down()
        else:
            await guard.hand_over()
        return outcome


async def _mind(companions: Companions, journal: Journal) -> None:
    """Start the observer again when it dies; the run does not notice."""
    while True:
        await asyncio.sleep(OBSERVER_LOOK_s)
        if companions.observer_died():
            text = "the observer died and was started again; run.h5 is being rebuilt from the journal"
            journal.put("note", {"text": text, "who": "rig"})


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# ------------------------------------------------------------------------------------------------------- instruments


@dataclass(slots=True)
class Instruments:
    """The station's drivers, and what the guard needs to open the potentiostat anew.

    ``in_use``: the cell may be under current, so that emulators outlive us for the guard's sake.
    """

    station: Station
    network: Network
    addresses: Mapping[str, str]
    twin: Any = None
    in_use: bool = False


@contextlib.asynccontextmanager
async def _instruments(gathered: Gathered, clock: Clock, folder: Path) -> AsyncIterator[Instruments]:
    async with contextlib.AsyncExitStack() as stack:
        addresses: Mapping[str, str] = {}
        twin = process = None
        network = registry.memory_network() if gathered.request.virtual else registry.real_network()
        request = _emulate_request(gathered, folder)
        if gathered.simulated and (gathered.request.virtual or _in_memory(gathered)):
            twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=clock.mono_ns())
            stack.enter_context(told_truth(twin, request.truth))
        if request.names and gathered.request.virtual:
            emulators = make_emulators(request, clock, network, twin)
            addresses = {name: (await emulator.start()).address for name, emulator in emulators.items()}
            for emulator in emulators.values():
                stack.push_async_callback(emulator.stop)
        elif request.names:
            process = await EmulatorProcess.start(request)
            addresses = {name: str(found["address"]) for name, found in process.addresses.items()}
        station = _station(gathered, clock, folder, network, addresses, twin, stack)
        instruments = Instruments(station, network, addresses, twin)
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


def _emulate_request(gathered: Gathered, folder: Path) -> EmulateRequest:
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
    return Station(name=gathered.plan.station, raw_folder=folder / "raw", **made)


# ------------------------------------------------------------------------------------------------- guard and commands


@contextlib.asynccontextmanager
async def _guard(
    gathered: Gathered, clock: Clock, folder: Path, instruments: Instruments, host: asyncio.Task[Any]
) -> AsyncIterator[GuardLink]:
    make_safe_s = instruments.station.potentiostat.capabilities.make_safe_s
    host_lost_s = gathered.plan.host_lost_within_s
    limit_s = silence_limit_s(host_lost_s, make_safe_s)
    acting_s = acting_limit_s(host_lost_s, make_safe_s, limit_s)
    if gathered.request.virtual:

        def fence(why: str) -> None:
            host.cancel(f"ended by its guard: {why}")

        inline = InlineGuard(clock, limit_s, fence, lambda: _reach(gathered, clock, instruments), folder, acting_s)
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


async def _reach(gathered: Gathered, clock: Clock, instruments: Instruments) -> SafeState:
    """Open the potentiostat anew on the instruments' side and make it safe."""
    settings = gathered.settings("potentiostat", instruments.addresses)
    wire = instruments.station.potentiostat if settings.address == IN_MEMORY else None
    potentiostat: Potentiostat = wire or registry.make_potentiostat(
        settings, Context(clock, instruments.network, _Unrecorded(), instruments.twin)
    )
    if wire is None:
        await potentiostat.connect()
    try:
        return await potentiostat.make_safe()
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
