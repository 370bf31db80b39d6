"""Which guard a run has: a process of its own in real and scaled time, a task on the instruments' side at ``--speed max``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.control.heartbeat import GuardLink, NoGuard, SocketGuardLink
from orchestrator.guard.finish import Declared, Say, watch_device
from orchestrator.guard.heard import heard
from orchestrator.guard.inline import InlineGuard
from orchestrator.guard.process import Watched
from orchestrator.guard.service import POST
from orchestrator.guard.start import start_guard
from orchestrator.guard.watch import acting_limit_s, silence_limit_s
from orchestrator.model.rig import IN_MEMORY
from orchestrator.rig.fencing import fence_settings, plain
from orchestrator.rig.folders import home, state_folder
from orchestrator.rig.gather import Gathered
from orchestrator.rig.guarding import KeptGuard
from orchestrator.rig.mortal import Life, MortalJournal
from orchestrator.rig.world import Instruments
from orchestrator.runner.safety import NOTICED_WITHIN_S

LONGEST_UNGUARDED_s = 30.0
"""So long a cell under current may at most be without a guard, while another is started."""


@contextlib.asynccontextmanager
async def guard_of(
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
    """The guard of one host; of a cell that somebody else runs there is none. ``under_way``: it may be under current already."""
    if not instruments.station.potentiostat.capabilities.obeys:
        yield NoGuard()
        return
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

    within_s = min(LONGEST_UNGUARDED_s, max(limit_s, acting_s - NOTICED_WITHIN_S))
    yield KeptGuard(await start(under_way=under_way), start, journal.put_unless_ended, within_s=within_s, fresh_s=limit_s)


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
