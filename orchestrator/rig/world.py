"""What lies outside the rig's process, real or not: media, emulated instruments, and the drivers that reach them.

A ``World`` outlives a host that dies; ``hosted`` gives one host its drivers in it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

from drivers import registry
from drivers.base import Context, Emulator, Network, Potentiostat
from drivers.clock import Clock
from drivers.durable import write_durably
from orchestrator.control.heartbeat import GuardLink
from orchestrator.guard.inline import InlineGuard
from orchestrator.model.rig import IN_MEMORY
from orchestrator.platform import process_start
from orchestrator.rig.emulators import AdoptedEmulators, EmulateRequest, EmulatorProcess, LINGER_s, make_emulators, make_twin, told_truth
from orchestrator.rig.faults import TWIN, inject_all
from orchestrator.rig.fencing import fence_settings
from orchestrator.rig.gather import CannotRun, Gathered
from orchestrator.rig.mortal import Life, MortalInstrument, MortalNetwork
from orchestrator.rig.survivors import Survivors
from orchestrator.rig.truth import TRUTH
from orchestrator.runner.station import Station

ADDRESSES, OWNER = "emulators.json", "owner"
SIMULATED_PERSON_s = 300.0
"""In virtual time nobody could answer a prompt."""
PLAYED = "a recording that is played back ends with the program that played it: start the run anew"
GONE = (
    "the simulated instruments of this run ended with it, so there is nothing to go on with; "
    "`operando recover` and `operando verify` see to what was measured"
)


class Leavable(Protocol):
    """Emulators in a process of their own."""

    async def stop(self) -> None:
        """End them."""

    def abandon(self) -> None:
        """Let them live on for their time to linger."""


@dataclass(slots=True)
class World:
    """Media, and emulators by their addresses; ``process``: where those live that have one of their own.

    ``clock``: the instruments' own, which stays when somebody sets the computer's.
    """

    network: Network
    addresses: Mapping[str, str]
    clock: Clock
    twin: Any = None
    process: Leavable | None = None
    emulators: Mapping[str, Emulator] = field(default_factory=dict)


@dataclass(slots=True)
class Instruments:
    """The station's drivers, and what the guard needs to open the potentiostat anew.

    ``potentiostat``: the driver itself, which a dead host no longer has.
    ``in_use``: the cell may be under current, so that emulators outlive us for the guard's sake.
    """

    station: Station
    world: World
    potentiostat: Potentiostat
    in_use: bool = False
    guard: GuardLink | None = None


def survivors_of(instruments: Instruments) -> Survivors:
    """What lives on when this host dies. Only at ``--speed max``."""
    world = instruments.world
    guard = instruments.guard if isinstance(instruments.guard, InlineGuard) else None
    network = cast("registry.MemoryMedia", world.network)
    return Survivors(world.clock, network, world.twin, world.emulators, world.addresses, guard)


@contextlib.asynccontextmanager
async def made_world(gathered: Gathered, clock: Clock, folder: Path) -> AsyncIterator[World]:
    """A world of its own for a run that begins: its emulators are started."""
    async with contextlib.AsyncExitStack() as stack:
        network = registry.memory_network() if gathered.request.virtual else registry.real_network()
        world = World(network, {}, clock.beside())
        request = emulate_request(gathered, folder)
        if gathered.simulated and (gathered.request.virtual or in_memory(gathered)):
            world.twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=clock.mono_ns())
            stack.enter_context(told_truth(world.twin, request.truth))
            inject_all(world.twin.befall, request.faults.get(TWIN, {}), world.twin)
        if request.names and gathered.request.virtual:
            world.emulators = make_emulators(request, world.clock, network, world.twin)
            world.addresses = {name: (await emulator.start()).address for name, emulator in world.emulators.items()}
            for emulator in world.emulators.values():
                stack.push_async_callback(emulator.stop)
        elif request.names:
            process = await EmulatorProcess.start(request)
            world.process, world.addresses = process, {name: str(found["address"]) for name, found in process.addresses.items()}
            _note(folder, process)
        yield world


@contextlib.asynccontextmanager
async def found_world(gathered: Gathered, clock: Clock, folder: Path) -> AsyncIterator[World]:
    """The world of a run that goes on. Raises CannotRun where its simulated instruments are no more."""
    with contextlib.ExitStack() as stack:
        world = World(registry.real_network(), {}, clock)
        request = emulate_request(gathered, folder)
        if gathered.instrument("potentiostat").address == IN_MEMORY:
            raise CannotRun(GONE)
        if gathered.recorded("potentiostat"):
            raise CannotRun(PLAYED)
        if in_memory(gathered):
            world.twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=clock.mono_ns())
            stack.enter_context(told_truth(world.twin, ""))
        if request.names:
            world.process, world.addresses = _adopted(folder)
        yield world


def _note(folder: Path, process: EmulatorProcess) -> None:
    """Where they are, for whoever continues this run while they linger."""
    found = {"pid": process.pid, "start": process_start(process.pid), "addresses": process.addresses}
    write_durably(folder / "emulated" / ADDRESSES, json.dumps(found))


def _adopted(folder: Path) -> tuple[AdoptedEmulators, Mapping[str, str]]:
    try:
        found = json.loads((folder / "emulated" / ADDRESSES).read_text("utf-8"))
    except (OSError, ValueError):
        raise CannotRun(GONE) from None
    if found["start"] is None or process_start(int(found["pid"])) != found["start"]:
        raise CannotRun(GONE)
    write_durably(folder / "emulated" / OWNER, f"{os.getpid()}:{process_start(os.getpid())}")
    return AdoptedEmulators(int(found["pid"]), found["start"]), {name: str(one["address"]) for name, one in found["addresses"].items()}


@contextlib.asynccontextmanager
async def hosted(world: World, gathered: Gathered, clock: Clock, folder: Path, life: Life) -> AsyncIterator[Instruments]:
    """The drivers of one host; when it parts its emulators end, or are left to its guard."""
    async with contextlib.AsyncExitStack() as stack:
        hosts = MortalNetwork(world.network, life) if gathered.request.virtual else world.network
        station = _station(gathered, clock, folder, hosts, world, stack)
        instruments = Instruments(station, world, station.potentiostat)
        if gathered.request.virtual and in_memory(gathered):
            # What a dead process no longer does: the instrument's work stands still until somebody connects, and is caught up then.
            life.closes(station.potentiostat.release)
            life.closes(station.console.release)
            instruments.station = replace(
                station,
                potentiostat=cast("Potentiostat", MortalInstrument(station.potentiostat, life)),
                console=cast("Any", MortalInstrument(station.console, life)),
            )
        if world.process is not None:
            stack.push_async_callback(_part, world.process, instruments)
        yield instruments


async def _part(process: Leavable, instruments: Instruments) -> None:
    """End the emulators, or leave them to the guard for the time they linger."""
    if instruments.in_use:
        process.abandon()
    else:
        await process.stop()


def in_memory(gathered: Gathered) -> bool:
    """Is any instrument simulated inside the rig's own process?"""
    return any(gathered.instrument(role).address == IN_MEMORY for role in ("potentiostat", "console"))


def emulate_request(gathered: Gathered, folder: Path) -> EmulateRequest:
    """Which emulators this run needs, on which twin."""
    request = gathered.request
    options = gathered.emulator_options()
    twin = str(gathered.twin_path or "")
    own = folder / "emulated"
    return EmulateRequest(
        tuple(options), twin, request.speed or 1.0, request.seed, gathered.fault_shares(), options, str(own), LINGER_s, str(own / TRUTH)
    )


def _station(gathered: Gathered, clock: Clock, folder: Path, network: Network, world: World, stack: contextlib.AsyncExitStack) -> Station:
    made: dict[str, Any] = {}
    for role, make in (("potentiostat", registry.make_potentiostat), ("console", registry.make_console)):
        settings = gathered.settings(role, world.addresses)
        wire = registry.wire_log(folder / "wire" / f"{settings.instrument}.jsonl", clock)
        stack.callback(wire.close)
        made[role] = make(settings, Context(clock, registry.recorded_network(network, wire), wire, world.twin))
        made[f"{role}_settings"] = settings
    if (asked := fence_settings(gathered, world.addresses)) is not None:
        wire = registry.wire_log(folder / "wire" / f"{asked.instrument}.jsonl", clock)
        stack.callback(wire.close)
        made["fence"] = registry.make_fence(asked, Context(clock, registry.recorded_network(network, wire), wire, world.twin))
    made["sensors"] = {}
    for role, name in gathered.further():
        settings = gathered.settings_of(name, world.addresses)
        wire = registry.wire_log(folder / "wire" / f"{settings.instrument}.jsonl", clock)
        stack.callback(wire.close)
        context = Context(clock, registry.recorded_network(network, wire), wire)
        if role == "tuner":
            made |= {"tuner": registry.make_tuner(settings, context), "tuner_settings": settings}
        else:
            made["sensors"][settings.instrument] = (registry.make_sensor(settings, context), settings)
    person_s = SIMULATED_PERSON_s if gathered.request.virtual else None
    return Station(
        name=gathered.plan.station, raw_folder=folder / "raw", hands_folder=gathered.hands_folder, simulated_person_s=person_s, **made
    )
