"""What outlives a host that dies at ``--speed max``: cell, instruments, bytes in flight, guard and the virtual clock.

``Survivors`` is made while a run lives. Its ``snapshot`` is plain data, written as ``emulated/survivors.json`` the instant before
the host is killed; ``live_on`` makes the same things of it in another process and lets time go on there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.base import Context, Emulator, Potentiostat, SafeState
from drivers.clock import Clock
from orchestrator.guard.finish import Declared, Say, watch_device
from orchestrator.guard.heard import heard
from orchestrator.guard.inline import InlineGuard
from orchestrator.rig.emulators import EmulateRequest, make_emulators, make_twin, told_truth
from orchestrator.rig.former_guard import ACTS_WITHIN_s
from orchestrator.rig.gather import Gathered

SURVIVORS = "survivors.json"
KILLED = 137
VERSION = 1


@dataclass
class Survivors:
    """The side of the wires that is not the host's. ``guard``: once there is one."""

    clock: Clock
    network: registry.MemoryMedia
    twin: Any
    emulators: Mapping[str, Emulator]
    addresses: Mapping[str, str]
    guard: InlineGuard | None = None

    def snapshot(self) -> dict[str, Any]:
        """Plain data of everything that lives on. The hosts' own bytes and ports are not among it."""
        return {
            "version": VERSION,
            "mono_ns": self.clock.mono_ns(),
            "utc_ns": self.clock.utc_ns(),
            "twin": self.twin.snapshot(),
            "network": self.network.snapshot(self._ports()),
            "emulators": {name: emulator.snapshot() for name, emulator in self.emulators.items()},
            "addresses": dict(self.addresses),
            "guard": None if self.guard is None else self.guard.snapshot(),
        }

    def _ports(self) -> set[int]:
        return {port for emulator in self.emulators.values() if (port := getattr(emulator, "port", 0))}


def kill(folder: Path, survivors: Survivors, keeps_seq: int) -> None:
    """Write the snapshot and die as by SIGKILL. ``keeps_seq``: the last record of the journal that had reached the disk."""
    text = json.dumps(survivors.snapshot())
    path = folder / "emulated" / SURVIVORS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite", isolation_level=None)) as journal:
        journal.execute("DELETE FROM record WHERE seq > ?", (keeps_seq,))
    os._exit(KILLED)


@dataclass
class Afterwards:
    """The instruments' side in another process. ``acted``: what the guard reached, None while it has not acted."""

    survivors: Survivors
    guard: InlineGuard | None

    def flush(self) -> None:
        """What the guard has said is in its file."""
        if self.guard is not None:
            self.guard.flush()

    async def relieved(self) -> None:
        """The guard has let go of the device that it watched; one that is just opening the circuit is waited for, for a while."""
        if self.guard is not None and self.guard.alive:
            self.guard.relieve()
            gone = asyncio.ensure_future(self.guard.lost())
            await asyncio.wait({gone}, timeout=ACTS_WITHIN_s)
            gone.cancel()

    @property
    def acted(self) -> SafeState | None:
        """What came of the guard's act."""
        return None if self.guard is None else self.guard.acted


@contextlib.asynccontextmanager
async def live_on(gathered: Gathered, request: EmulateRequest, folder: Path, clock: Clock) -> AsyncIterator[Afterwards]:
    """Everything of a snapshot lives again, from the instant at which it was made; the guard knows that its host is gone.

    ``clock``: of a virtual run that begins at the snapshot's ``mono_ns``. ``request``: as the dead run made its emulators.
    """
    state = read_survivors(folder)
    network = registry.memory_network()
    network.restore(state["network"])
    twin = make_twin(request.twin, seed=request.seed, t0_mono_ns=0)
    twin.restore(state["twin"])
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(told_truth(twin, request.truth))
        emulators = make_emulators(_without_faults(request), clock, network, twin)
        addresses = {}
        for name, emulator in emulators.items():
            emulator.restore(state["emulators"][name])
            addresses[name] = (await emulator.start()).address
            stack.push_async_callback(emulator.stop)
        survivors = Survivors(clock, network, twin, emulators, addresses)
        guard = None
        if state["guard"] is not None:
            guard = _guard(gathered, survivors, folder, state["guard"])
            watching = asyncio.create_task(guard.run(), name="guard")
            stack.push_async_callback(_ended, watching)
        yield Afterwards(survivors, guard)


def read_survivors(folder: Path) -> dict[str, Any]:
    """The snapshot in a run folder; ValueError for one of another version."""
    state: dict[str, Any] = json.loads((folder / "emulated" / SURVIVORS).read_text("utf-8"))
    if state["version"] != VERSION:
        raise ValueError(f"survivors of version {state['version']}; this program reads {VERSION}")
    return state


def _without_faults(request: EmulateRequest) -> EmulateRequest:
    """Those that are on, and those to come, stand in the snapshot."""
    return replace(request, faults={})


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _guard(gathered: Gathered, survivors: Survivors, folder: Path, survived: Mapping[str, Any]) -> InlineGuard:
    """The guard that has outlived its host; as any other it says what it heard of the step that it broke off, or let finish."""
    said: dict[str, Any] = {}

    async def device(declared: Declared, within_s: float, say: Say) -> str:
        return await watch_device(lambda: _anew(gathered, survivors), declared, within_s, say)

    reach = lambda: _reach(gathered, survivors, said)  # noqa: E731
    return InlineGuard(survivors.clock, 1.0, lambda _: None, reach, folder, device=device, survived=survived, heard=said)


def _anew(gathered: Gathered, survivors: Survivors) -> Potentiostat:
    settings = gathered.settings("potentiostat", survivors.addresses)
    return registry.make_potentiostat(settings, Context(survivors.clock, survivors.network, _Unheard(), survivors.twin))


async def _reach(gathered: Gathered, survivors: Survivors, said: dict[str, Any]) -> SafeState:
    """Open the potentiostat anew and make it safe."""
    potentiostat = _anew(gathered, survivors)
    await potentiostat.connect()
    try:
        safe = await potentiostat.make_safe()
        said.update(await heard(potentiostat, survivors.clock))
        return safe
    finally:
        await potentiostat.release()


class _Unheard:
    """The guard's own bytes stand in no wire file."""

    def sent(self, data: bytes) -> None:
        """Nothing."""

    def received(self, data: bytes) -> None:
        """Nothing."""
