"""``operando continue``: a run whose rig has died goes on, in the same journal, from what that journal says."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import FULL_CONTROL
from drivers.clock import Clock, Stamp
from orchestrator.config import ConfigError, parse_rig
from orchestrator.model.events import Event
from orchestrator.platform import calm_collector, prompt_threads
from orchestrator.recorder.journal import Journal, JournalError, JournalInUse, Reader
from orchestrator.rig.as_it_began import ContinueRequest, Former, as_begun, changed_versions, clock_again, gathered_again
from orchestrator.rig.companions import observer_gone
from orchestrator.rig.folders import state_folder
from orchestrator.rig.former_guard import FormerGuard
from orchestrator.rig.gather import CannotRun, Gathered
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.interrupts import Interrupts
from orchestrator.rig.log import logged
from orchestrator.rig.outside import noted
from orchestrator.rig.planned import simulated_instrument
from orchestrator.rig.process import Ended, Hosting, lived
from orchestrator.rig.sources import noted_sources
from orchestrator.rig.survivors import SURVIVORS, live_on, read_survivors
from orchestrator.rig.upkeep import disk_of
from orchestrator.rig.world import World, emulate_request, found_world
from orchestrator.runner.resumption import NotResumable, Story
from orchestrator.runner.run import Continuation
from orchestrator.runner.states import RunState
from orchestrator.runner.station import Disk


def continue_run(request: ContinueRequest) -> Ended:
    """Go on with a run to its end. Raises CannotRun, InstrumentError, GuardDidNotStart: then it is as it was."""
    calm_collector()
    if (request.folder / "emulated" / SURVIVORS).is_file():
        return _continue_virtual(request)
    prompt_threads()
    return asyncio.run(_continue(request))


async def _continue(request: ContinueRequest) -> Ended:
    rig, simulated = _rig_of(_first(request.folder), request.folder)
    interrupts = Interrupts()
    with contextlib.ExitStack() as stack:
        state = state_folder(rig, simulated=simulated)
        stack.enter_context(interrupts.heard())
        stack.enter_context(rig_held(state, rig))
        former = read_former(request.folder)
        gathered = gathered_again(request, former)
        clock, origin_ns = clock_again(former)
        guard = FormerGuard(request.folder)
        await guard.settled()
        await observer_gone(request.folder)
        name_running(state, request.folder)
        stack.enter_context(logged(request.folder))
        world = found_world(gathered, clock, request.folder)
        async with noted(state, request.folder, "a run goes on") as tell:
            ended = await go_on(request, former, gathered, clock, origin_ns, world, guard, disk_of(request.folder, gathered), interrupts)
            tell(ended.outcome)
        return ended


def _continue_virtual(request: ContinueRequest) -> Ended:
    """A host that died at ``--speed max``: what outlived it goes on for ``away_s``, then the run is continued, in one virtual time."""
    former = read_former(request.folder)
    gathered = gathered_again(request, former)
    state = read_survivors(request.folder)

    async def main(clock: Clock) -> Ended:
        with logged(request.folder):
            async with live_on(gathered, emulate_request(gathered, request.folder), request.folder, clock) as after:
                await clock.sleep(request.away_s)
                await after.relieved()
                world = World(after.survivors.network, after.survivors.addresses, clock.beside(), after.survivors.twin)
                world.emulators = after.survivors.emulators
                guard, origin_ns = FormerGuard(request.folder), former.left.origin_mono_ns
                await clock.in_thread(after.flush)
                return await go_on(request, former, gathered, clock, origin_ns, _as_it_is(world), guard)

    ended = registry.virtual_run(main, epoch_utc_ns=state["utc_ns"], start_ns=state["mono_ns"])
    (request.folder / "emulated" / SURVIVORS).unlink(missing_ok=True)
    return ended


@contextlib.asynccontextmanager
async def _as_it_is(world: World) -> AsyncIterator[World]:
    yield world


def _rig_of(started: Mapping[str, Any], folder: Path) -> tuple[str, bool]:
    """The rig's name, and whether all of its instruments are simulated."""
    try:
        lies = noted_sources(folder).get("rig")
        file = lies if lies is not None and lies.is_file() else as_begun(folder / "as-begun", started)
        rig = parse_rig(str(started["rig"]), file=str(file))
        station = rig.stations[str(started["station"])]
        named = [one.partition(":")[0] for one in (station.potentiostat, station.console)]
        return str(started["rig_name"]), all(simulated_instrument(rig.instruments[one]) for one in named)
    except (ConfigError, KeyError) as error:
        raise CannotRun(f"event 1 does not name a rig that this version understands: {error}; there is nothing to continue") from error


async def go_on(
    request: ContinueRequest,
    former: Former,
    gathered: Gathered,
    clock: Clock,
    origin_ns: int,
    world: AbstractAsyncContextManager[World],
    guard: FormerGuard,
    disk: Disk | None = None,
    interrupts: Interrupts | None = None,
) -> Ended:
    """Open the journal again, say so in it, import what the guard has written, live on."""
    journal = _opened(request.folder, clock)
    first = _put(journal, former.story, "run.state", _continued(former, clock, origin_ns), clock.stamp())
    for kind, data, at in guard.lines(former.left.guard_lines, clock, same_clock=origin_ns == former.left.origin_mono_ns):
        _put(journal, former.story, kind, data, at, source="guard")
    left = replace(former.story.resumption(), state=former.left.state)
    continuation, run_id = Continuation(left, request.cell_is_off), str(former.started["run_id"])
    hosting = Hosting(gathered, clock, request.folder, journal, world, run_id, disk, continuation, guarded=guard.on_duty)
    hosting.interrupts = interrupts or hosting.interrupts
    return await lived(hosting, first)


def _put(journal: Journal, story: Story, kind: str, data: dict[str, Any], at: Stamp, source: str = "rig") -> int:
    """Into the journal, and into the story that is told of it."""
    seq = journal.put(kind, data, source=source, at=at)
    story.feed(Event(seq, at.mono_ns, at.utc_ns, kind, data, None, source))
    return seq


def _continued(former: Former, clock: Clock, origin_ns: int) -> dict[str, Any]:
    """The event with which a run goes on: where second 0 lies now, how long nobody was there, what is another version."""
    left = former.left
    gap_s = (clock.mono_ns() - origin_ns - (left.last_ns - left.origin_mono_ns)) / 1e9
    changed = changed_versions(former.started)
    told = f"; changed since it began: {', '.join(f'{name} {was} → {now}' for name, (was, now) in changed.items())}" if changed else ""
    data: dict[str, Any] = {
        "from": left.state.value,
        "to": RunState.PREPARING.value,
        "why": f"continued after {gap_s:.1f} s in which its rig was dead{told}",
        "continued": left.continued + 1,
        "origin_mono_ns": origin_ns,
        "gap_s": gap_s,
    }
    if changed:
        data["versions"] = {name: now for name, (_, now) in changed.items()}
    identity = clock.identity()
    return {**data, **({"clock": identity} if identity else {})}


NOT_DRIVEN = {
    0: "`operando follow EC NMR --into` goes on with it",
    1: "the cell went on without it: start the experiment again, at the step that the cycler runs by now",
    "import": "it was imported, and nothing goes on",
}
"""Rung → what to do instead."""

# ---------------------------------------------------------------------------------------------------------- the journal


def _first(folder: Path) -> Mapping[str, Any]:
    """Data of event 1. Raises CannotRun."""
    with _reading(folder) as reader:
        events = reader.since(0, 1)
    if not events or events[0].kind != "run.started":
        raise CannotRun(f"{folder}: the journal does not begin with a run; there is nothing to continue")
    rung = events[0].data.get("rung", FULL_CONTROL)
    if rung in NOT_DRIVEN:
        how = NOT_DRIVEN[rung]
        raise CannotRun(f"{folder}: this program did not drive this run; {how}")
    return events[0].data


def read_former(folder: Path) -> Former:
    """What the journal says of the run. Raises CannotRun where it has ended, or its records are damaged."""
    story, started = Story(), _first(folder)
    with _reading(folder) as reader:
        broken = reader.check_chain()
        if broken is not None:
            advice = "`operando recover` rebuilds run.h5 from what is whole; such a run is not continued"
            raise CannotRun(f"{folder}: {broken}; {advice}")
        try:
            for event in reader.events():
                story.feed(event)
            left = story.resumption()
        except NotResumable as error:
            raise CannotRun(f"{folder}: {error}; there is nothing to continue") from error
    if left.ended is not None:
        told = f"{left.ended['state']}, {left.ended['outcome']}: {str(left.ended['reason']).splitlines()[0]}"
        raise CannotRun(f"{folder}: this run has ended ({told}); only a run whose rig has died can be continued")
    return Former(started, left, story)


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[Reader]:
    try:
        with Reader(folder / "journal.sqlite") as reader:
            yield reader
    except (JournalError, sqlite3.Error) as error:
        raise CannotRun(f"{folder}: the journal cannot be read: {error}") from error


def _opened(folder: Path, clock: Clock) -> Journal:
    try:
        return Journal.open(folder / "journal.sqlite", clock)
    except JournalInUse as error:
        raise CannotRun(f"{folder}: its rig still lives, or another process continues it: {error}") from error
    except (JournalError, OSError, sqlite3.Error) as error:
        raise CannotRun(f"{folder}: its journal cannot be opened: {error}; nothing was started") from error
